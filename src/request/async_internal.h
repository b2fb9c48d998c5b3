/* SPDX-License-Identifier: MIT
 *
 * What timers.c, waits.c, offload.c and tickets.c share.
 */
#ifndef CNC_ASYNC_INTERNAL_H
#define CNC_ASYNC_INTERNAL_H

#include "request/request.h"

/* May the program begin an operation that the request waits for? CONCUR_OK, or the error to return. */
int cnc_async_may_begin(concur_request *r);
/* Adds op to what the request waits for; op holds a reference to the request. cut is called when the request is given up, and
 * runs op's callback. */
void cnc_async_link(concur_request *r, struct cnc_op *op, void (*cut)(struct cnc_op *));

#endif
