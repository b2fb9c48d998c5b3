/* SPDX-License-Identifier: MIT
 *
 * The log: the one sink. Lines are escaped here, so that nothing a peer sends can forge or break one.
 */
#ifndef CNC_LOG_H
#define CNC_LOG_H

#include <concur/types.h>

#include "base/base.h"

#define CNC_LOG_LINE_MAX 1024

struct cnc_log {
    concur_log_fn fn; /* NULL: silent, or stderr if to_stderr */
    void *arg;
    bool to_stderr; /* only while run() owns the process, and only warnings and errors */
    int up;         /* where the process that has fn reads; 0: this is it */
};

/* Any thread. Control characters, quotes of a peer's making and bytes over 0x7e become \xHH. */
void cnc_log(const struct cnc_log *log, int level, const char *fmt, ...) CNC_PRINTF(3, 4);

#endif
