/* SPDX-License-Identifier: MIT
 *
 * One loop that accepts connections and drives them, from the start to the end of its stop. Every role that serves has one.
 */
#ifndef CNC_SERVING_H
#define CNC_SERVING_H

#include "conn/acceptor.h"
#include "request/request.h"
#include "serve/strain.h"
#include "server/place.h"

enum cnc_serving_phase {
    CNC_SERVING_ON,
    CNC_SERVING_DRAIN,  /* nothing is accepted any more; requests may finish */
    CNC_SERVING_CANCEL, /* the deadline has passed: requests were given up */
    CNC_SERVING_FORCE   /* connections were closed; only code of the program can still hold the process up */
};

struct cnc_serving {
    concur_server *server;
    struct cnc_home *home;
    struct cnc_driver drv;
    struct cnc_acceptor acceptor;
    struct cnc_io stop_io;
    struct cnc_timer stop_timer;
    enum cnc_serving_phase phase;
    bool is_late;               /* CNC_SERVING_LATE */
    bool has_told;              /* requests were told that a stop has begun */
    bool more_may_come;         /* another process may still pass connections, so a stop is not over yet */
    void (*drains)(struct cnc_serving *);  /* optional: a stop has begun, and nothing is accepted here any more; the listening
                                            * sockets are still open */
    void (*gave_up)(struct cnc_serving *); /* optional: the stop's deadline has passed, and requests were given up */
    struct cnc_pool *threads;   /* borrowed: threads that serve connections, besides server->pool; NULL: there are none */
    int64_t stall_warned_at;
    unsigned calls_before;      /* calls of the desk when the turn began */
    atomic_ullong stalls;       /* written by the loop's thread, read by any */
    struct cnc_io link_io;      /* the link to the master */
    struct cnc_timer publish_timer;
    int64_t published_at;
    int64_t publish_ms;         /* until the next time, while threads have jobs */
    unsigned long long published_requests;
    void (*publishes)(struct cnc_serving *); /* optional: called when this process writes its row of the board */
    struct cnc_strain pool_strain;
    struct cnc_desk_kind pool_desks;
    void (*stats)(concur_server *, struct cnc_engine_stats *); /* of the role; NULL: nothing is published */
};

#define CNC_SERVING_PATIENCE_MS 1000 /* how long code of the program may go on after the deadline of a stop */

enum {
    CNC_SERVING_BLOCKING_SOCKETS = 1, /* accepted sockets may block */
    CNC_SERVING_BLOCKING_HOME = 2,    /* handlers run here and may block; the loop runs between them */
    CNC_SERVING_NO_ACCEPT = 4,        /* connections come in another way */
    CNC_SERVING_LATE = 8,             /* does not accept until the caller calls cnc_serving_accept() */
    CNC_SERVING_LEASES = 16           /* transports that are not plain are made by whoever gets the connection from here */
};

/* Opens the loop, and the server's pool if pool_threads is not 0. ops: cnc_request_conn_ops, perhaps changed; with a handover
 * this is a poller, and runs no handlers. */
int cnc_serving_open(struct cnc_serving *s, concur_server *server, const struct cnc_conn_ops *ops, unsigned flags);
/* Begins to accept, unless a stop has begun. */
void cnc_serving_accept(struct cnc_serving *s);
/* Takes the next step of a stop, if one has begun. CONCUR_AGAIN: there is more to do; else as cnc_serving_run(). */
int cnc_serving_look(struct cnc_serving *s, bool may_give_up);
/* Begins to serve on the calling thread: what cnc_serving_run() does first. */
int cnc_serving_begin(struct cnc_serving *s);
/* Writes this process's row of the board, at most ten times a second. While threads have jobs a timer causes it too, since
 * these may end without a turn of the loop. */
void cnc_serving_publish(struct cnc_serving *s, int64_t now);
/* Blocks until a stop is complete. CONCUR_OK, or CONCUR_E_BUSY if may_give_up and code of the program still runs a second
 * after the deadline. */
int cnc_serving_run(struct cnc_serving *s, bool may_give_up);
/* stop.c: takes the next step of a stop that has begun; returns as cnc_serving_look(). */
int cnc_serving_move_stop(struct cnc_serving *s, bool may_give_up);
/* stop.c: tells requests that a stop has begun, once. */
void cnc_serving_tell_of_stop(struct cnc_serving *s);
/* stop.c: gives up every request, wherever it is. */
void cnc_serving_give_up(struct cnc_serving *s);
/* fail.c: the loop is broken, as the thread's last error says, so this process can serve nobody. If there is a master, the
 * process ends and is replaced. Else every request is given up and every thread joined. CONCUR_E_SYS, or CONCUR_E_BUSY if
 * may_give_up and code of the program still runs. */
int cnc_serving_fail(struct cnc_serving *s, bool may_give_up);
/* stop.c: stops a pool whose threads run requests: lets them finish until the stop's deadline, then gives them up. CONCUR_OK or
 * CONCUR_E_BUSY as with cnc_serving_run(). */
int cnc_serving_join(concur_server *server, struct cnc_pool *pool, bool may_give_up);
void cnc_serving_close(struct cnc_serving *s);
/* cnc_conn_ops.gives_up: true when the stop's deadline has passed. */
bool cnc_serving_gives_up(struct cnc_driver *drv);
/* Is this the number of a descriptor that must stay open here? If a new descriptor has it, the program has closed ours. */
bool cnc_serving_owns(const struct cnc_serving *s, int fd);
/* A connection of the server was closed, on any thread: cnc_conn_ops.closed. */
void cnc_serving_closed(struct cnc_driver *drv);

#endif
