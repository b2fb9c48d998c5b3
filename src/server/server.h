/* SPDX-License-Identifier: MIT
 *
 * The struct of a server, and what a process knows of itself among the processes of the server.
 */
#ifndef CNC_SERVER_H
#define CNC_SERVER_H

#include <stdatomic.h>

#include <concur/concur.h>

#include "conn/conn.h"
#include "net/listener.h"
#include "server/failure.h"
#include "server/local.h"
#include "server/log.h"
#include "server/route_hooks.h"
#include "server/setup.h"
#include "server/shared.h"
#include "server/topics.h"

enum cnc_server_state { CNC_SERVER_SETUP, CNC_SERVER_RUNNING, CNC_SERVER_STOPPED };

struct cnc_server_socket {
    int fd;
    int copy;                /* without a master: a copy that keeps it open if fd is closed by mistake; else -1 */
    bool inherits;           /* accepted sockets inherit the next two from this one */
    bool nodelay;            /* set when it was opened, and not changed later, since generations share it */
    int64_t receive_wait_ms;
    struct cnc_address address;
    struct cnc_listener_file file; /* of a unix address */
    char text[CNC_ADDRESS_TEXT_MAX]; /* the address to which it is bound; a port 0 is replaced by the real one */
};

/* Numbers for status. */
struct cnc_server_counts {
    atomic_ullong ids; /* request ids that were given to homes so far */
};

struct cnc_note;

/* What this process knows of itself among the processes of the server (place.h). Without a master all of it is
 * empty. */
struct cnc_place {
    /* Owned by the process that called run or start, until the server is freed, since any thread may read it. Inherited
     * by the other processes. */
    struct cnc_board *_Atomic board;
    struct cnc_board_row *row; /* in a child: its row */
    unsigned generation;
    unsigned number;     /* within its group, from 0 */
    unsigned page, slot; /* its row on the board */
    unsigned peer_slot;  /* slot of peer_row, the first of its group */
    const struct cnc_board_row *peer_row; /* of the process at the other end of lend; NULL: there is none */
    int link;       /* in a child: to its master; in a host: to the master that start made; else -1 */
    int lend;       /* to the front, or to the process heads, or that process' end to the workers; else -1 */
    int up;         /* in a master that start made: to the host; -1: the master is the host */
    int lines;      /* in a master: where its children send log lines; -1: they write to stderr */
    atomic_long master; /* process id; 0: there is none, or its end was awaited already */
    int wake;       /* in a child: the eventfd that wakes its master; else -1 */
    int master_fd;  /* in a host: readable when the master has ended; -1 */
    bool is_child;
    bool was_told;  /* the master has told this process to stop */
    bool all_stop;  /* and so all of its generation */
    const struct cnc_home *master_reader; /* in a child: the home that reads the master's messages; NULL until it serves */
    atomic_ullong recycle_at; /* number of requests after which it asks for a successor; 0: never, or it has asked */
    /* In a child that accepts: a connection may wait for which the kernel has woken another process. Else NULL. */
    void (*look)(void *arg);
    void *look_arg;
    /* A message for the role, which owns fd from then on. */
    void (*told)(concur_server *, const struct cnc_note *, int fd);
};

struct concur_server {
    /* what the program has set; read-only once the server runs */
    struct cnc_options *options;
    struct cnc_router routes;
    struct cnc_route_hooks route_hooks;
    struct cnc_pages pages;
    struct cnc_shares shares;
    struct cnc_locals locals;
    struct cnc_topics topics;
    struct cnc_link hooks;     /* owned; in the order of registration */
    unsigned needs;            /* CONCUR_NEED_* of the handlers */
    const struct cnc_transport_factory *factory; /* of all listeners, in every set-up; NULL: plain */
    struct cnc_log log;
    const struct cnc_clock *clock;
    int first_error;           /* of the calls that set up the server */
    char *errors;              /* owned; lines of errors of these calls, except those about options */
    char *run_error;           /* owned; the error of the last check, run or start */
    char *all_errors;          /* owned; what concur_server_error() last returned */
    uint64_t id_base;          /* request ids of this process follow it */
    char *config_path;         /* owned; NULL: no file */

    /* The set-up in force. NULL until it is needed; a change before the start drops it. The master replaces it when a
     * new generation serves; in any other process it does not change. */
    struct cnc_setup *setup;
    atomic_llong stop_timeout; /* copy from the set-up in force, for a signal handler */

    /* running */
    void *engine;              /* the engine's own; NULL unless running */
    struct cnc_depot depot;    /* chunks that its homes share */
    atomic_size_t early_bytes; /* memory of bodies that are read before a thread takes their request */
    struct cnc_pool *pool;     /* for offloads and blocking routes; NULL: they run in place */
    struct cnc_server_socket *sockets; /* owned */
    unsigned socket_count;
    atomic_bool stopping;      /* a stop was announced, and this process will be stopped later */
    atomic_bool draining;      /* this process stops: replies say close */
    atomic_uint connections;
    struct cnc_server_counts counts;
    atomic_llong short_at;     /* when the last line of cnc_server_runs_short() was written */
    atomic_uint shorts;        /* lines left out since then */

    atomic_long owner;         /* the process that runs the server, not one that the program forked; 0: it never ran */
    atomic_uint *here;         /* owned; on a page of its own: 1, but 0 in such a child. NULL: it never ran */
    struct cnc_failures failures; /* of this process */

    atomic_int state;          /* enum cnc_server_state */
    atomic_llong stop_at;      /* monotonic ms: deadline of the stop; INT64_MAX: none was asked for */
    int stop_fd;               /* eventfd that a stop raises; -1 before it runs. Closed only when the server is freed */
    int stop_copy;             /* a copy: if stop_fd is closed by mistake, a stop raises this one */
    pthread_t thread;          /* that start made */
    bool announces;            /* run in one process: the EVENT hooks are told "ready" */
    bool hooked;               /* WORKER_START hooks have run in this process, so WORKER_EXIT hooks must */
    bool has_thread;           /* thread is not joined yet */
    bool has_tree;             /* start made a master, whose end was not awaited yet */
    int host_fd;               /* concur_server_fd() after start without a master: an eventfd, raised at the end; -1 */
    pthread_mutex_t mu;
    pthread_cond_t changed;
    bool ready;                /* it accepts, or the start has failed; guarded by mu */
    bool finished;             /* run is over; guarded by mu */
    int result;                /* guarded by mu */
    char end_error[256];       /* reason for a result other than CONCUR_OK and CONCUR_E_BUSY, if known; guarded by mu */
    bool leaked;               /* something could not be joined: nothing may be freed */
    struct cnc_place place;
};

/* Connections are accepted now: wakes concur_server_start(), and tells the program. */
void cnc_server_ready(concur_server *server);
/* Puts a set-up in force, whose reference becomes the server's. */
void cnc_server_adopt(concur_server *server, struct cnc_setup *setup);
/* Logs what is probably a mistake in the options of a set-up. */
void cnc_server_log_notes(concur_server *server, const struct cnc_setup *setup);
/* Notes an error of a call that sets up the server; later checks report it. Returns code. */
int cnc_server_note(concur_server *server, int code, const char *fmt, ...) CNC_PRINTF(3, 4);

/* hooks.c */
int cnc_server_add_hook(concur_server *server, int what, concur_hook_fn fn, void *arg);
/* Calls the program's hooks for one moment (CONCUR_HOOK_*). CONCUR_OK, or the first error of a hook; the hooks after it
 * are not called then. Errors of WORKER_EXIT and EVENT hooks are ignored. detail: NULL is "". */
int cnc_server_hooks(concur_server *server, int what, const char *detail);
void cnc_server_free_hooks(concur_server *server);

/* Makes the eventfd of the stop. CONCUR_OK, or CONCUR_E_SYS with the thread's last error set. */
int cnc_server_open_stop(concur_server *server);
void cnc_server_close_stop(concur_server *server);
/* Wakes the thread that waits for a stop. Any thread, any signal handler. */
void cnc_server_raise(concur_server *server);

/* Any thread. The system lacks something, as the thread's last error says. cost: what fails because of that. Logs a
 * line, at most one a second, which says how many were left out. */
void cnc_server_runs_short(concur_server *server, const char *cost);

/* Notes that this process runs the server, or is one of the server's processes. CONCUR_OK or CONCUR_E_NOMEM. */
int cnc_server_claim(concur_server *server);
void cnc_server_disclaim(concur_server *server);
/* Is this a process that the program has forked? It has a copy of the server, and must not touch what both processes
 * share. Any thread, any signal handler; asks by a system call. */
bool cnc_server_is_copy(const concur_server *server);
/* The same without a system call. */
static inline bool cnc_server_is_stray(const concur_server *server)
{
    return CNC_UNLIKELY(server->here && atomic_load_explicit(server->here, memory_order_relaxed) == 0);
}

/* Any thread. Has a stop begun, of this process or of the front before it? */
static inline bool cnc_server_is_stopping(const concur_server *server)
{
    return atomic_load_explicit(&server->stop_at, memory_order_relaxed) != INT64_MAX ||
           atomic_load_explicit(&server->stopping, memory_order_relaxed);
}

/* Any thread. Has the deadline of a stop passed? */
bool cnc_server_is_late(const concur_server *server);

/* inside.c. Is the calling thread running a callback of this server? Then wait and free are refused. */
bool cnc_server_is_inside(const concur_server *server);
/* Marks the calling thread as running callbacks of server; returns what was marked before. */
concur_server *cnc_server_enter(concur_server *server);
void cnc_server_leave(concur_server *before);

#endif
