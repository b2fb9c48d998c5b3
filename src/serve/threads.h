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
    struct cnc_conn_ops ops, poller_ops; /* for the drivers of the threads; for the poller's driver */
    /* Optional, on a thread that is done with conn, which has no request now. True: conn was taken; false: it goes back to the
     * poller. */
    bool (*parked)(struct cnc_threads *, struct cnc_home *, struct cnc_conn *conn);
    /* Optional, on a thread that has become free, unless cnc_pool_job_ends() was called before. */
    void (*is_free)(struct cnc_threads *);
    const struct cnc_loan_ops *loan; /* of the drivers at the threads; NULL: nothing here is lent */
    bool (*is_wanted)(void *threads); /* on a thread: does anyone else need it? */
    void (*submit)(struct cnc_threads *); /* optional, on the poller: in place of cnc_threads_submit() */
    struct cnc_strain strain;
    struct cnc_desk_kind desks;
    atomic_ullong begun; /* requests; counted only if the process is replaced after a number of them */
    /* connections on their way back to the poller */
    pthread_mutex_t mu;
    struct cnc_link back; /* connections that threads have given back; guarded by mu */
    struct cnc_task back_task;
    /* connections with a complete head, until the end of the poller's turn */
    struct cnc_link ready;
    struct cnc_link upgraded; /* the same, but a callback of their protocol is due */
    struct cnc_task ready_task;
    bool is_due; /* ready_task is queued */
    struct cnc_timer late; /* when a connection in the queue may have waited for queue_timeout */
};

/* ops: of the threads' drivers. */
int cnc_threads_open(struct cnc_threads *threads, concur_server *server, struct cnc_serving *serving,
                     const struct cnc_conn_ops *ops);
/* Opens the poller, threads->serving; flags as for cnc_serving_open(). The caller closes it. */
int cnc_threads_open_poller(struct cnc_threads *threads, unsigned flags);
/* Poller. cnc_conn_ops.handover; also for a connection that came in another way. */
void cnc_threads_handover(struct cnc_driver *drv, struct cnc_conn *conn);
/* Poller. Puts conn in list, whose connections wait for the end of the turn. Then submit() is called, or
 * cnc_threads_submit() if that is NULL. */
void cnc_threads_await(struct cnc_threads *threads, struct cnc_conn *conn, struct cnc_link *list);
/* Poller. Gives the connections in list to the threads, or lets them wait for one. Those for which there is no room stay in
 * list; returns why, as cnc_pool_submit(). */
int cnc_threads_queue(struct cnc_threads *threads, struct cnc_link *list);
/* Poller. Answers all in list 503. */
void cnc_threads_refuse(struct cnc_threads *threads, struct cnc_link *list);
/* Poller. Gives the connections that were handed over to the threads. */
void cnc_threads_submit(struct cnc_threads *threads);
/* Poller. Does now what the end of the turn would do. */
void cnc_threads_flush(struct cnc_threads *threads);
/* After the poller's run: stops the threads, as cnc_serving_join(). */
int cnc_threads_join(struct cnc_threads *threads, bool may_give_up);
void cnc_threads_stats(const struct cnc_threads *threads, struct cnc_engine_stats *out);
void cnc_threads_close(struct cnc_threads *threads);

#endif
