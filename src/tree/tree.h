/* SPDX-License-Identifier: MIT
 *
 * A server with several processes: a master and its children. proc/ has the master; here is what its children run, and how the
 * host starts it and talks to it.
 */
#ifndef CNC_TREE_H
#define CNC_TREE_H

#include "server/server.h"

/* Does the server, checked, have a master? */
bool cnc_tree_is_due(const concur_server *server);
/* May this process fork? CONCUR_OK, or CONCUR_E_THREADS or what a hook said, noted in the server. */
int cnc_tree_check(concur_server *server);
/* The calling process becomes the master; returns when the server has stopped. The listening sockets are open. Signals are
 * the caller's to take. */
int cnc_tree_run(concur_server *server);
/* Forks the master. Returns when the first generation serves, or with the error. */
int cnc_tree_start(concur_server *server);

/* After start, in the host: takes what the master has sent, without waiting: log lines, events. CONCUR_OK, or CONCUR_E_GONE
 * when the master has ended. One thread at a time. */
int cnc_tree_dispatch(concur_server *server);
/* Waits for the master's end, dispatching meanwhile, at most ms (-1: no limit). CONCUR_AGAIN: not yet; else
 * what the server ended with. */
int cnc_tree_wait(concur_server *server, int64_t ms);
/* With the server, and not before: other threads may ask for a stop, or for the status, at any time until then. */
void cnc_tree_close(concur_server *server);

#endif
