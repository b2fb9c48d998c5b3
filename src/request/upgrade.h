/* SPDX-License-Identifier: MIT
 *
 * A request that gives its connection to another protocol (RFC 9110 §7.8).
 */
#ifndef CNC_UPGRADE_H
#define CNC_UPGRADE_H

#include "request/request.h"

/* In a callback of r, before its reply: answers 101 with the fields that were added, and gives the connection to `to` as
 * cnc_carrier_ops.upgrade says. Then the reply of r is complete. protocol: its name in the field Upgrade, in lower case.
 *
 *   CONCUR_OK             from now on to->up is called, at the connection's home
 *   CONCUR_E_STATE        the client did not ask for protocol, and was answered 426 with its name; or the request's body was
 *                         not read whole; or a reply has begun
 *   CONCUR_E_UNSUPPORTED  the carrier of this request cannot be upgraded; 501 was answered
 *   another error         as for a reply that cannot begin
 *
 * After an error `to` still belongs to the caller. */
int cnc_request_upgrade(concur_request *r, const char *protocol, struct cnc_stream *to);

#endif
