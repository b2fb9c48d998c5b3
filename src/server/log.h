/* SPDX-License-Identifier: MIT
 *
 * The log: all lines go through here. They are escaped in the process that gives them to the program or to stderr, so that
 * nothing that a peer sends can forge or break a line.
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
    int up;         /* where the process that has fn reads; 0: this is it */
    atomic_uint lost; /* lines that could not be written and were not yet reported */
    atomic_bool torn; /* the last one that was written was cut off before its end */
};

/* Any thread. Control characters, backslashes and bytes over 0x7e become \xHH. Only the program's own function can make the
 * log wait: a line that cannot be written is lost, and the next one that can says how many were. */
void cnc_log(struct cnc_log *log, int level, const char *fmt, ...) CNC_PRINTF(3, 4);

/* The same for each line of a text. */
void cnc_log_lines(struct cnc_log *log, int level, const char *lines);

#endif
