/* SPDX-License-Identifier: MIT
 *
 * Accepts connections: at most a number of them each time that the loop wakes it. When descriptors run out it pauses, so that
 * the loop does not spin.
 */
#ifndef CNC_ACCEPTOR_H
#define CNC_ACCEPTOR_H

#include "conn/conn.h"

/* How a connection is accepted: what its socket is to have, and does not have already from the listening one (on Linux those
 * of TCP inherit its options, those of AF_UNIX do not). */
struct cnc_accept {
    bool non_blocking;
    bool sets_nodelay, nodelay; /* TCP_NODELAY */
    bool sets_wait;
    int64_t receive_wait_ms;    /* SO_RCVTIMEO; 0: none */
    const struct cnc_transport_factory *factory; /* NULL: plain */
    bool leases;                /* with a factory: a worker makes the transport (lease.c) */
};

struct cnc_accept_from {
    int fd; /* borrowed */
    struct cnc_accept how;
};

/* A connection, which belongs to no driver yet; NULL and *err: none. */
struct cnc_conn *cnc_accept(int listener, const struct cnc_accept *how, int *err);
/* Would the next try fail too? Then accepting must pause. */
bool cnc_accept_fails_again(int err);
/* Was the descriptor of the listening socket closed? */
bool cnc_accept_is_closed(int err);

/* Since when every try fails while no connection is open here whose end could help. */
struct cnc_starved {
    int64_t since; /* 0: this is not the case */
};
/* Records a try that failed, or (err == 0) succeeded; open: connections of this process. True: tries have failed for so
 * long that this process cannot serve. */
bool cnc_accept_starves(struct cnc_starved *starved, int err, unsigned open, int64_t now);
#define CNC_STARVED_MS 2000

struct cnc_acceptor_config {
    unsigned batch;           /* accepts per wake and listener */
    unsigned connections_max; /* open at once, over all drivers that share `open` */
    atomic_uint *open;
    bool exclusive;           /* other processes accept from the same sockets: one of them is woken, not all */
    bool (*ask_room)(void *arg); /* optional: asks others to close a connection that counts here. False: none has one */
    void *ask_room_arg;
    bool (*owns)(void *arg, int fd); /* optional: a new connection has got this number. True: it is one of this process's, so
                                      * the program has closed that by mistake */
    void *owns_arg;
    void (*pass_on)(void *arg); /* optional: called when this process cannot accept and no other one was woken */
    void *pass_on_arg;
    void (*warn)(void *arg, const char *what, int err); /* at most once a second */
    void *warn_arg;
};

struct cnc_acceptor_socket {
    struct cnc_io io;
    struct cnc_acceptor *acceptor;
    bool watched;
    struct cnc_accept how;
};

/* If it cannot go on, since a descriptor of the process was closed or nothing could be accepted for long, it breaks the
 * loop. */
struct cnc_acceptor {
    struct cnc_driver *drv; /* gets the connections */
    struct cnc_acceptor_config cfg;
    struct cnc_acceptor_socket *sockets; /* owned */
    unsigned count;
    struct cnc_timer retry;
    bool running, paused;
    bool maybe_full; /* this process may be full: it then watches without EPOLLEXCLUSIVE, so that a wake-up that it cannot
                      * use is not taken from another process */
    int64_t warned_at;
    uint64_t pauses;
    struct cnc_starved starved;
    unsigned in_a_row;      /* accepts since another process was preferred */
    atomic_ullong accepted; /* written by the loop's thread, read by any */
};

/* The home's loop must exist. */
int cnc_acceptor_init(struct cnc_acceptor *a, struct cnc_driver *drv, const struct cnc_acceptor_config *cfg,
                      const struct cnc_accept_from *from, unsigned count);
int cnc_acceptor_start(struct cnc_acceptor *a);
/* The same; if that fails now, it is tried again later. */
void cnc_acceptor_begin(struct cnc_acceptor *a);
/* No more accepts; the descriptors may be closed afterwards. */
void cnc_acceptor_stop(struct cnc_acceptor *a);
void cnc_acceptor_deinit(struct cnc_acceptor *a);
/* A connection may be waiting of which the kernel has not told this process. */
void cnc_acceptor_look(struct cnc_acceptor *a);
/* A connection was closed: a pause may end early, and there is room. */
void cnc_acceptor_nudge(struct cnc_acceptor *a);

#endif
