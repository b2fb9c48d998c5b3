/* SPDX-License-Identifier: MIT
 *
 * Signals in the process that runs concur_server_run(), and in those that the library forked: SIGTERM and SIGINT stop
 * the server, and in a master SIGHUP reloads it. Warnings of libevent are logged there.
 */
#ifndef CNC_SIGNALS_H
#define CNC_SIGNALS_H

#include "server/server.h"

/* Only one run at a time may be in a process. False: another one is under way. */
bool cnc_signals_claim(void);
void cnc_signals_release(void);
/* From now on SIGTERM and SIGINT stop the server within stop_timeout; a second one stops it at once. The earlier
 * handlers and signal mask are kept for cnc_signals_give_back(). */
void cnc_signals_take(concur_server *server);
/* In a master that is the program's process: SIGHUP asks for a reload, unless the program has its own handler for it.
 * After cnc_signals_take(). */
void cnc_signals_reload_on_hup(void);
void cnc_signals_give_back(void);
/* In the master: SIGCHLD wakes it. Between take and give_back, or in a process that the library forked. The program's
 * handler is still called. */
void cnc_signals_hear_children(void);
/* In a process that the library forked: SIGTERM stops it. Earlier handlers are not kept. */
void cnc_signals_adopt(concur_server *server);

#endif
