/* SPDX-License-Identifier: MIT */
#include "server/failure.h"

#include <stdarg.h>
#include <stdio.h>

#include "server/server.h"

#define LINES_A_SECOND 10

/* May another line be written in this second? *before: how many were left out since the last one. */
static bool may_write(struct cnc_failures *f, int64_t now_ms, unsigned *before)
{
    long long second = now_ms / 1000, last = atomic_load(&f->second);
    if (second != last && atomic_compare_exchange_strong(&f->second, &last, second))
        atomic_store(&f->lines, 0);
    if (atomic_fetch_add(&f->lines, 1) >= LINES_A_SECOND) {
        atomic_fetch_add(&f->left_out, 1);
        return false;
    }
    *before = atomic_exchange(&f->left_out, 0);
    return true;
}

void cnc_failure(concur_server *server, const char *fmt, ...)
{
    char line[CNC_LOG_LINE_MAX];
    unsigned before;
    if (!may_write(&server->failures, cnc_clock_now(server->clock), &before))
        return;
    va_list args;
    va_start(args, fmt);
    vsnprintf(line, sizeof line, fmt, args);
    va_end(args);
    if (before)
        cnc_log(&server->log, CONCUR_LOG_ERROR, "%s; left out before it: %u", line, before);
    else
        cnc_log(&server->log, CONCUR_LOG_ERROR, "%s", line);
}
