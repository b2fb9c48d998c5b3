/* SPDX-License-Identifier: MIT
 *
 * The listening sockets of a server.
 */
#ifndef CNC_SOCKETS_H
#define CNC_SOCKETS_H

#include "conn/acceptor.h"
#include "server/server.h"

/* Opens them. alone: there is no other process that has them. */
int cnc_sockets_open(concur_server *server, bool alone);
/* Closes them; their addresses can still be asked for. A Unix socket's file is removed by the process that made it. */
void cnc_sockets_shut(concur_server *server);
void cnc_sockets_close(concur_server *server);
/* How connections of the i-th socket are accepted; blocking: accepted sockets may block. */
struct cnc_accept cnc_sockets_accept_how(const concur_server *server, unsigned i, bool blocking);

#endif
