/* SPDX-License-Identifier: MIT
 *
 * What timers.c, waits.c, offload.c and tickets.c share.
 */
#ifndef CNC_ASYNC_INTERNAL_H
#define CNC_ASYNC_INTERNAL_H

#include "request/request.h"

/* May the program begin something that the request waits for? CONCUR_OK or why not. */
int cnc_async_may_begin(concur_request *r);
/* The request waits for op, and holds a reference for it. cut runs op's callback when the request is given up. */
void cnc_async_link(concur_request *r, struct cnc_op *op, void (*cut)(struct cnc_op *));

#endif
