/* SPDX-License-Identifier: MIT
 *
 * What runs around a request's handler: hooks before it and before its reply leaves, and pages of the program's.
 */
#ifndef CNC_AROUND_H
#define CNC_AROUND_H

#include "request/request.h"

/* Its path may be under a hook's prefix: notes which of them are to come. */
void cnc_around_begin(concur_request *r);
/* Runs the hooks before the handler, from the one after the last that ran. True: all of them let it pass, and the request is
 * entered, unless no hook was left. False: it is answered or waits, or is gone. */
bool cnc_around_pass(concur_request *r);
/* A hook that decides later has decided: nothing but the request's way may be pending. False: something is, and it is answered. */
bool cnc_around_may_pass(concur_request *r);
/* The head is about to leave. CONCUR_OK, or an error that a hook made stick: then it does not leave. */
int cnc_around_reply(concur_request *r, int status);
/* The program's own page. False: it has none, or made none, and its fields are to be dropped. */
bool cnc_around_page(concur_request *r, int status);

#endif
