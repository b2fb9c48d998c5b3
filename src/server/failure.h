/* SPDX-License-Identifier: MIT
 *
 * Log lines about requests that failed. Clients can cause any number of them, so each process writes only a few a
 * second. The next line says how many were left out.
 */
#ifndef CNC_FAILURE_H
#define CNC_FAILURE_H

#include <stdatomic.h>

#include "base/base.h"

struct concur_server;

/* Any thread. */
struct cnc_failures {
    atomic_llong second;   /* in which the last line was written */
    atomic_uint lines;     /* cnc_failure() was called so often in that second */
    atomic_uint left_out;  /* lines left out since the last one that was written */
};

/* Any thread. Writes a line at level CONCUR_LOG_ERROR, or leaves it out. */
void cnc_failure(struct concur_server *server, const char *fmt, ...) CNC_PRINTF(2, 3);

#endif
