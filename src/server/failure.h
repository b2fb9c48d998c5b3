/* SPDX-License-Identifier: MIT
 *
 * Lines of the log about requests that failed. Clients can cause as many as they like, so a process writes a few a second,
 * and says with the next one how many were left out.
 */
#ifndef CNC_FAILURE_H
#define CNC_FAILURE_H

#include <stdatomic.h>

#include "base/base.h"

struct concur_server;

/* Any thread. */
struct cnc_failures {
    atomic_llong second;   /* in which the last line was written */
    atomic_uint lines;     /* that were wanted in it */
    atomic_uint left_out;  /* since the last one that was written */
};

/* One line at level CONCUR_LOG_ERROR, or one more that is left out. Any thread. */
void cnc_failure(struct concur_server *server, const char *fmt, ...) CNC_PRINTF(2, 3);

#endif
