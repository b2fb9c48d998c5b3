/* SPDX-License-Identifier: MIT */
#include "base/error.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

#define TEXT_SIZE 512

static _Thread_local char last_error[TEXT_SIZE];

int cnc_error_set(int code, const char *fmt, ...)
{
    int saved = errno;
    char text[TEXT_SIZE]; /* a copy, since an argument may be the last error */
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    memcpy(last_error, text, strlen(text) + 1);
    errno = saved;
    return code;
}

const char *cnc_error_text(void)
{
    return last_error;
}

const char *concur_last_error(void)
{
    return cnc_error_text();
}
