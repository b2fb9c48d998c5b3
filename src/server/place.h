/* SPDX-License-Identifier: MIT
 *
 * How a process communicates with the master: reads its messages, writes the row on the board, and asks for stops and
 * reloads.
 */
#ifndef CNC_PLACE_H
#define CNC_PLACE_H

#include "proc/note.h"
#include "server/server.h"

struct cnc_engine_stats {
    unsigned threads, threads_idle, queued;
    unsigned long long requests, accepted, stalls;
    unsigned jobs; /* that run on threads or wait for one; while there are any, the numbers may change between turns */
    unsigned free; /* threads that a request could have now */
    bool is_lent;  /* the connections are lent: the front counts them */
};

/* Serving thread of a child. Reads the master's messages: begins a stop, or gives a message to the role (place.told).
 * Ends the process if the master has ended. */
void cnc_place_hear(concur_server *server);
/* Serving thread of a child. Writes this process' row, and asks for a successor when its share of requests is
 * served. */
void cnc_place_publish(concur_server *server, const struct cnc_engine_stats *stats);
/* Any thread of a child. requests: begun so far. If these are as many as the process should serve, asks for a
 * successor, once. */
void cnc_place_begun(concur_server *server, unsigned long long requests);
/* Begins a stop: in a child of this process alone, else of the whole server. Any thread, any signal handler. */
void cnc_place_stop(concur_server *server, int64_t ms);
/* In a child: asks for a stop of the whole server. Any thread. */
void cnc_place_stop_all(concur_server *server, int64_t ms);
/* Serving thread. This process may have been woken for a connection that it does not take: has another process look for
 * it. */
void cnc_place_pass_on(concur_server *server);
/* If there is a master: asks for a reload. Any thread, any signal handler. */
void cnc_place_reload(concur_server *server);

#endif
