/* SPDX-License-Identifier: MIT
 *
 * The log: no other code writes lines. The process that gives a line to the program's function or to stderr escapes it,
 * so that bytes from a peer cannot forge or break a line.
 */
#ifndef CNC_LOG_H
#define CNC_LOG_H

#include <stdatomic.h>

#include <concur/types.h>

#include "base/base.h"

#define CNC_LOG_LINE_MAX 1024

struct cnc_log {
    concur_log_fn fn; /* NULL: silent, or stderr if to_stderr */
    void *arg;
    bool to_stderr; /* only while run() owns the process, and only warnings and errors */
    int up;         /* the link to the process in which fn is called; 0: it is this one */
    atomic_uint lost; /* lines that could not be written, and are not reported yet */
    atomic_bool torn; /* the last line was written only in part */
};

/* Any thread. Control characters, backslashes and bytes over 0x7e become \xHH. Never waits, unless the program's
 * function does: a line that cannot be written is lost, and the next line says how many were. */
void cnc_log(struct cnc_log *log, int level, const char *fmt, ...) CNC_PRINTF(3, 4);

/* The same for each line of a text. */
void cnc_log_lines(struct cnc_log *log, int level, const char *lines);

#endif
