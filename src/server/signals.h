/* SPDX-License-Identifier: MIT
 *
 * Signals in a process that runs concur_server_run(), and in those that we forked: SIGTERM and SIGINT stop the server, and in a
 * master SIGHUP reloads it. Warnings of libevent go to the server's log there.
 */
#ifndef CNC_SIGNALS_H
#define CNC_SIGNALS_H

#include "server/server.h"

/* One run in a process at a time. False: another one is under way. */
bool cnc_signals_claim(void);
void cnc_signals_release(void);
/* SIGTERM and SIGINT stop server gracefully, within stop_timeout; a second one at once. What was set before is kept, also whether the
 * calling thread had blocked them. */
void cnc_signals_take(concur_server *server);
/* In a master that is the program's process: SIGHUP asks for a reload, unless the program has a handler of its own for it. After
 * cnc_signals_take(). */
void cnc_signals_reload_on_hup(void);
void cnc_signals_give_back(void);
/* In the master: children that stop or end wake it. Between take and give_back, or in a process that we forked. The program's
 * own handler is called as before. */
void cnc_signals_hear_children(void);
/* In a process that we forked: SIGTERM stops too; earlier handlers are not kept. */
void cnc_signals_adopt(concur_server *server);

#endif
