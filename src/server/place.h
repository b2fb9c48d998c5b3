/* SPDX-License-Identifier: MIT
 *
 * The place of this process: it reads the master's messages, writes its row of the board, and asks for stops and reloads.
 */
#ifndef CNC_PLACE_H
#define CNC_PLACE_H

#include "proc/note.h"
#include "server/server.h"

struct cnc_engine_stats {
    unsigned threads, threads_idle, queued;
    unsigned long long requests, accepted, stalls;
    unsigned jobs; /* that threads have, or that wait for one: while there are some, the numbers change between turns */
    unsigned free; /* threads that a request could have now */
    bool is_lent;  /* the connections belong to another process, which counts them */
};

/* Serving thread of a child. Reads the master's messages: begins a stop, or passes a message to the role by place.told.
 * Ends the process when the master is gone. */
void cnc_place_hear(concur_server *server);
/* Serving thread of a child. Writes this process' row, and asks for a successor when its share of requests is served. */
void cnc_place_publish(concur_server *server, const struct cnc_engine_stats *stats);
/* Any thread of a child. So many requests were begun: asks for a successor if that is this process' share, once. */
void cnc_place_begun(concur_server *server, unsigned long long requests);
/* Begins a stop: in a child of this process alone, else of the whole server. Any thread, any signal handler; so are the next two. */
void cnc_place_stop(concur_server *server, int64_t ms);
/* In a child: asks for a stop of the whole server. */
void cnc_place_stop_all(concur_server *server, int64_t ms);
/* Serving thread. Only this process may have been woken for a connection, and it does not take it: another process must
 * look. */
void cnc_place_pass_on(concur_server *server);
/* Where there is a master: asks for a reload. */
void cnc_place_reload(concur_server *server);

#endif
