/* SPDX-License-Identifier: MIT
 *
 * A whole body that is over body_memory goes to a file without a name. A thread that may block writes the file itself. A loop
 * must not wait for the disk: if the server has a pool, the bytes are gathered in one buffer, and the pool's threads for jobs
 * of the library write them. While they write, no further piece of this body is taken. A loop without a pool writes the file
 * itself.
 */
#ifndef CNC_SPOOL_H
#define CNC_SPOOL_H

#include "request/request.h"

#define CNC_SPOOL_BUFFER 65536 /* bytes of the buffer; a larger piece gets a buffer of its own size */

/* Entered. Takes the body's next piece. The first call also takes what was kept in memory so far. CONCUR_OK; CONCUR_AGAIN: the
 * piece was not taken and must be offered again after resume_body(); or a status. */
int cnc_spool_piece(concur_request *r, const char *p, size_t n);
/* Not entered; the body is complete. CONCUR_OK: it is in its file, or was never too large for memory; CONCUR_AGAIN: a write is
 * under way, and cnc_request_run() or an error page follows it; or a status. */
int cnc_spool_end(concur_request *r);
/* Frees the buffer and closes the file, if the request does not own it yet. No write may be under way. */
void cnc_spool_drop(concur_request *r);

#endif
