/* SPDX-License-Identifier: MIT
 *
 * Threads that serve connections: a poller reads heads, a connection with a complete one gets a thread, and goes back to the
 * poller when only its peer can move it on. What thread and each worker of process-thread are built around.
 */
#ifndef CNC_THREADS_H
#define CNC_THREADS_H

#include "core/serving.h"

struct cnc_threads {
    concur_server *server;
    struct cnc_serving *serving; /* the poller */
    struct cnc_pool *pool;
    struct cnc_conn_ops ops, poller_ops; /* of the drivers at the threads, of the poller's */
    /* Optional, on a thread: takes conn, which is free of any request, elsewhere than back to the poller. False: it does
     * not. */
    bool (*parked)(struct cnc_threads *, struct cnc_home *, struct cnc_conn *conn);
    /* Optional, on a thread: it is free for the next connection. */
    void (*is_free)(struct cnc_threads *, struct cnc_home *);
    bool (*is_wanted)(void *threads); /* optional: others wait for a thread elsewhere */
    bool has_queue; /* requests wait for a thread here, and not before they come: queue_timeout counts, and who has left */
    /* connections on their way back to the poller */
    pthread_mutex_t mu;
    struct cnc_link lot; /* guarded by mu */
    struct cnc_task lot_task;
    /* connections with a complete head, until the end of the poller's turn */
    struct cnc_link ready;
    struct cnc_task ready_task;
    struct cnc_timer late; /* set: somebody may wait longer than queue_timeout then */
};

/* ops: of the threads' drivers. */
int cnc_threads_open(struct cnc_threads *threads, concur_server *server, struct cnc_serving *serving,
                     const struct cnc_conn_ops *ops);
/* Opens the poller, serving: flags as with cnc_serving_open(). Closing it is the caller's. */
int cnc_threads_open_poller(struct cnc_threads *threads, unsigned flags);
/* cnc_conn_ops.handover of the poller; also for a connection that came in another way. Poller. */
void cnc_threads_handover(struct cnc_driver *drv, struct cnc_conn *conn);
/* What is left after the poller's run: CONCUR_OK or CONCUR_E_BUSY. */
int cnc_threads_join(struct cnc_threads *threads, bool may_give_up);
void cnc_threads_stats(const struct cnc_threads *threads, struct cnc_engine_stats *out);
void cnc_threads_close(struct cnc_threads *threads);

#endif
