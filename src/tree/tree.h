/* SPDX-License-Identifier: MIT
 *
 * A server with several processes: a master and its children. proc/ has the master. This folder has what the children
 * run, and how the host starts the master and communicates with it.
 */
#ifndef CNC_TREE_H
#define CNC_TREE_H

#include "server/server.h"

/* Will the server have a master? Its set-up must exist. */
bool cnc_tree_is_due(const concur_server *server);
/* May this process fork? CONCUR_OK, or CONCUR_E_THREADS with the thread's last error set. */
int cnc_tree_check(concur_server *server);
/* The calling process becomes the master; returns when the server has stopped. The caller has opened the listening
 * sockets and set the handlers of signals. */
int cnc_tree_run(concur_server *server);
/* Forks the master. Returns CONCUR_OK when the first generation serves, or an error. */
int cnc_tree_start(concur_server *server);

/* After start, in the host: handles the log lines and events that the master has sent, without waiting. CONCUR_OK, or
 * CONCUR_E_GONE when the master has ended. One thread at a time. */
int cnc_tree_dispatch(concur_server *server);
/* Waits for the master's end, at most ms (-1: no limit), and dispatches meanwhile. CONCUR_AGAIN: it has not ended; else
 * the result of the server. */
int cnc_tree_wait(concur_server *server, int64_t ms);
/* Called only when the server is freed, since other threads may ask for a stop or the status at any time before. */
void cnc_tree_close(concur_server *server);

#endif
