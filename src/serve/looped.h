/* SPDX-License-Identifier: MIT
 *
 * The role of a process with one loop and perhaps a pool: event, event-pool, and each worker of process-event.
 */
#ifndef CNC_LOOPED_H
#define CNC_LOOPED_H

#include "server/role.h"

int cnc_looped_open(concur_server *server);
/* The same with another cnc_conn_ops.request (conn.h) than the one that calls the program's handlers. */
int cnc_looped_open_with(concur_server *server,
                         int (*request)(struct cnc_conn *, const struct cnc_http_head *, const char *));
int cnc_looped_run(concur_server *server, bool may_give_up);
void cnc_looped_stats(concur_server *server, struct cnc_engine_stats *out);
void cnc_looped_close(concur_server *server);

#endif
