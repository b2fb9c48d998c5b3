/* SPDX-License-Identifier: MIT
 *
 * The program's functions around handlers: before a handler (concur_server_before()), before the head of a reply is sent
 * (concur_server_after()), and for error pages (concur_server_page()).
 */
#ifndef CNC_AROUND_H
#define CNC_AROUND_H

#include "request/request.h"

/* For a request whose path may be under the prefix of a hook: notes whether an after function covers it. */
void cnc_around_begin(concur_request *r);
/* Runs the before functions that have not run yet. True: all of them let the request pass, and it is entered if one of them
 * ran. False: it is answered, or waits for a decision, or was freed. */
bool cnc_around_pass(concur_request *r);
/* Entered or not, after a hook let the request pass: checks that nothing is pending. The handler may run on another thread, and
 * pending operations cannot go there. False: something is pending, and 500 is answered. */
bool cnc_around_may_pass(concur_request *r);
/* Entered, before the head of a reply is sent: runs the after functions. CONCUR_OK, or the first error of them or of their
 * calls for the reply: then the head must not be sent. */
int cnc_around_reply(concur_request *r, int status);
/* Entered. Replies with the program's page for a status. False: there is none or it did not reply; the caller must drop the
 * fields that it may have added, and send the library's page. */
bool cnc_around_page(concur_request *r, int status);

#endif
