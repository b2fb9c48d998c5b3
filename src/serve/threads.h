/* SPDX-License-Identifier: MIT
 *
 * Threads that serve connections. A poller reads heads; a connection with a complete head gets a thread, and goes back to the
 * poller when it waits for its peer. Used by the engine thread and by each worker of process-thread.
 */
#ifndef CNC_THREADS_H
#define CNC_THREADS_H

#include "serve/serving.h"

struct cnc_threads {
    concur_server *server;
    struct cnc_serving *serving; /* the poller */
    struct cnc_pool *pool;
    struct cnc_conn_ops ops, poller_ops; /* of the drivers at the threads, of the poller's */
    /* Optional, on a thread: takes conn, which is free of any request, elsewhere than back to the poller. False: it does
     * not. */
    bool (*parked)(struct cnc_threads *, struct cnc_home *, struct cnc_conn *conn);
    /* Optional, on a thread: it has become free for the next connection, which parked() has not told yet. */
    void (*is_free)(struct cnc_threads *);
    const struct cnc_loan_ops *loan; /* of the drivers at the threads; NULL: nothing here is lent */
    bool (*is_wanted)(void *threads); /* optional: others wait for a thread elsewhere */
    void (*submit)(struct cnc_threads *); /* optional, on the poller: in place of cnc_threads_submit() */
    struct cnc_strain strain;
    struct cnc_desk_kind desks;
    atomic_ullong begun; /* requests, where somebody wants to know at once */
    /* connections on their way back to the poller */
    pthread_mutex_t mu;
    struct cnc_link lot; /* guarded by mu */
    struct cnc_task lot_task;
    /* connections with a complete head, until the end of the poller's turn */
    struct cnc_link ready;
    struct cnc_link upgraded; /* the same, but a callback of their protocol is due */
    struct cnc_task ready_task;
    bool is_due; /* ready_task is queued */
    struct cnc_timer late; /* set: somebody may wait longer than queue_timeout then */
};

/* ops: of the threads' drivers. */
int cnc_threads_open(struct cnc_threads *threads, concur_server *server, struct cnc_serving *serving,
                     const struct cnc_conn_ops *ops);
/* Opens the poller, serving: flags as with cnc_serving_open(). Closing it is the caller's. */
int cnc_threads_open_poller(struct cnc_threads *threads, unsigned flags);
/* cnc_conn_ops.handover of the poller; also for a connection that came in another way. Poller. */
void cnc_threads_handover(struct cnc_driver *drv, struct cnc_conn *conn);
/* The same, but conn waits with those in `list` for the end of the turn, when submit() is called. Poller. */
void cnc_threads_await(struct cnc_threads *threads, struct cnc_conn *conn, struct cnc_link *list);
/* Poller. Gives the connections in list to the threads, or lets them wait for one. Those for which there is no room stay in
 * list; returns why, as cnc_pool_submit(). */
int cnc_threads_queue(struct cnc_threads *threads, struct cnc_link *list);
/* Poller. Answers all in list 503. */
void cnc_threads_refuse(struct cnc_threads *threads, struct cnc_link *list);
/* Poller. Gives to the threads what was handed over. */
void cnc_threads_submit(struct cnc_threads *threads);
/* Poller. What the end of the turn would do, now. */
void cnc_threads_flush(struct cnc_threads *threads);
/* What is left after the poller's run: CONCUR_OK or CONCUR_E_BUSY. */
int cnc_threads_join(struct cnc_threads *threads, bool may_give_up);
void cnc_threads_stats(const struct cnc_threads *threads, struct cnc_engine_stats *out);
void cnc_threads_close(struct cnc_threads *threads);

#endif
