/* SPDX-License-Identifier: MIT
 *
 * A whole body that is too large for memory goes to a file without a name. A thread that may block writes where it is. A
 * loop must not stand still for a disk: where it has a pool, the bytes are gathered in one buffer and written by the
 * library's threads there. While they write, nothing more of this body is taken.
 */
#ifndef CNC_SPOOL_H
#define CNC_SPOOL_H

#include "request/request.h"

#define CNC_SPOOL_BUFFER 65536 /* bytes that are written at once, if no single piece has more */

/* Entered. The body's next piece; what was kept in memory so far goes before it. CONCUR_OK; CONCUR_AGAIN: it is to be offered
 * again after resume_body(); or a status. */
int cnc_spool_piece(concur_request *r, const char *p, size_t n);
/* Not entered: the body is complete. CONCUR_OK: and it is written, if it is spooled at all; CONCUR_AGAIN: cnc_request_run() or an
 * answer follows; or a status. */
int cnc_spool_end(concur_request *r);
/* With the request. No write is under way. */
void cnc_spool_drop(concur_request *r);

#endif
