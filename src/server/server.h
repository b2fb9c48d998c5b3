/* SPDX-License-Identifier: MIT
 *
 * The struct of a server, and of its place among its processes.
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
    int copy;                /* where there is no master, which has one; -1. So that a number closed by mistake is noticed */
    bool inherits;           /* accepted sockets have the two that follow from this one */
    bool nodelay;            /* as it was opened with; nobody changes them: generations share it */
    int64_t receive_wait_ms;
    struct cnc_address address;
    struct cnc_listener_file file; /* of a unix address */
    char text[CNC_ADDRESS_TEXT_MAX]; /* where it is bound, port 0 resolved */
};

/* Numbers for status, kept by whoever does the thing. */
struct cnc_server_counts {
    atomic_ullong ids; /* handed out to homes so far */
};

struct cnc_note;

/* This process' place among those of the server (place.h). All of it is empty where there is no master. */
struct cnc_place {
    /* Owned by the process that called run or start, until the server is freed: others look whenever they like. The others inherit it. */
    struct cnc_board *_Atomic board;
    struct cnc_board_row *row; /* a child's own */
    unsigned generation;
    unsigned number;     /* among those of its group, from 0 */
    unsigned page, slot; /* its row on the board */
    unsigned peer_slot;  /* of peer_row, the first of its group */
    const struct cnc_board_row *peer_row; /* of the process at the other end of lend; NULL: there is none */
    int link;       /* a child's to its master; the host's to the master that start made; else -1 */
    int lend;       /* to the front, or from the workers; else -1 */
    int up;         /* where a master that start made tells the host something; -1: the master is the host */
    int lines;      /* where its children write log lines; -1: they write to stderr */
    atomic_long master; /* its process id; 0: there is none, or it was waited for */
    int wake;       /* a child's: the eventfd that its master waits on; else -1 */
    int master_fd;  /* the host's: readable when the master has ended; -1 */
    bool is_child;
    bool was_told;  /* the master has told it to stop */
    bool all_stop;  /* ... and so all of its generation */
    const struct cnc_home *master_reader; /* a child's: the home that reads the master's messages; NULL until it serves */
    atomic_ullong recycle_at; /* requests after which a successor is asked for; 0: never, or it was */
    void (*look)(void *arg); /* a child's that accepts: a connection may wait of which it was not told; NULL: it does not accept */
    void *look_arg;
    /* A note for the role alone; fd is its own. */
    void (*told)(concur_server *, const struct cnc_note *, int fd);
};

struct concur_server {
    /* what the program said; read-only once it runs */
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
    int first_error;           /* of the set-up */
    char *errors;              /* owned; lines of set-up errors that are not the options' */
    char *run_error;           /* owned; the line of the last check, run or start */
    char *all_errors;          /* owned; what concur_server_error() last returned */
    uint64_t id_base;          /* of request ids */
    char *config_path;         /* owned; NULL: no file */

    /* What a configuration made of it. NULL until something asks; a change before the start drops it. The master puts
     * another one in its place when a generation of it serves; any other process has one for life. */
    struct cnc_setup *setup;
    atomic_llong stop_timeout; /* of the set-up in force: for a signal handler */

    /* running */
    void *engine;              /* the engine's own; NULL unless running */
    struct cnc_depot depot;    /* chunks that its homes share */
    atomic_size_t early_bytes; /* memory of bodies that are read before a thread takes their request */
    struct cnc_pool *pool;     /* offloads and blocking routes; NULL: in place */
    struct cnc_server_socket *sockets; /* owned */
    unsigned socket_count;
    atomic_bool stopping;      /* a stop was announced, and this process' own is still to come */
    atomic_bool draining;      /* replies say close */
    atomic_uint connections;
    struct cnc_server_counts counts;
    atomic_llong short_at;     /* when the last line of cnc_server_runs_short() was written */
    atomic_uint shorts;        /* left out since */

    atomic_long owner;         /* id of the process whose server this is: not of one that the program forked; 0: it never ran */
    atomic_uint *here;         /* owned; on a page of its own: 1, but 0 in such a process. NULL: it never ran */
    struct cnc_failures failures; /* of this process */

    atomic_int state;          /* enum cnc_server_state */
    atomic_llong stop_at;      /* monotonic ms: deadline of the stop; INT64_MAX: none asked for */
    int stop_fd;               /* eventfd that stop() raises: safe in a signal handler; -1 before it runs. Closed with the server */
    int stop_copy;             /* the same eventfd: if a number is closed by mistake it goes on, and its reader learns of that */
    pthread_t thread;          /* of start */
    bool announces;            /* run, in one process: "ready" is an event of its own */
    bool hooked;               /* WORKER_START hooks have run in this process, so WORKER_EXIT hooks must */
    bool has_thread;           /* and not joined yet */
    bool has_tree;             /* start made a master, which was not waited for yet */
    int host_fd;               /* what concur_server_fd() gives after start without a master: an eventfd, raised at the end; -1 */
    pthread_mutex_t mu;
    pthread_cond_t changed;
    bool ready;                /* accepting, or failed; guarded by mu */
    bool finished;             /* run is over; guarded by mu */
    int result;                /* guarded by mu */
    char end_error[256];       /* why it is none of CONCUR_OK and CONCUR_E_BUSY, where a thread of ours knows; guarded by mu */
    bool leaked;               /* something could not be joined: nothing may be freed */
    struct cnc_place place;
};

/* The engine's run calls this once connections are accepted. */
void cnc_server_ready(concur_server *server);
/* Puts a set-up in force, whose reference becomes the server's. */
void cnc_server_adopt(concur_server *server, struct cnc_setup *setup);
/* Tells the log what is worth knowing of the options of a set-up. */
void cnc_server_log_notes(concur_server *server, const struct cnc_setup *setup);
/* Notes a set-up error that sticks: a line of its own. Returns code. */
int cnc_server_note(concur_server *server, int code, const char *fmt, ...) CNC_PRINTF(3, 4);

/* hooks.c */
int cnc_server_add_hook(concur_server *server, int what, concur_hook_fn fn, void *arg);
/* Calls the program's hooks for one moment. CONCUR_OK, or what the first that forbids it returned: those after it are not
 * called then. Hooks for WORKER_EXIT and EVENT are all called, and forbid nothing. detail: NULL is "". */
int cnc_server_hooks(concur_server *server, int what, const char *detail);
void cnc_server_free_hooks(concur_server *server);

/* The eventfd of the stop. CONCUR_OK, or CONCUR_E_SYS and errno. */
int cnc_server_open_stop(concur_server *server);
void cnc_server_close_stop(concur_server *server);
/* Wakes whoever waits for a stop. Any thread, any signal handler. */
void cnc_server_raise(concur_server *server);

/* Any thread. The system has not enough of something, as the thread's last error says; cost: what that means for somebody.
 * A line in the log, at most one a second, which tells how many were left out. */
void cnc_server_runs_short(concur_server *server, const char *cost);

/* This process is the one that runs the server, or one of its own. CONCUR_OK or CONCUR_E_NOMEM. */
int cnc_server_claim(concur_server *server);
void cnc_server_disclaim(concur_server *server);
/* A process that the program has forked has a copy of the server, and must leave everything alone that both have. Any thread, any
 * signal handler; by a system call. */
bool cnc_server_is_copy(const concur_server *server);
/* The same, without one. */
static inline bool cnc_server_is_stray(const concur_server *server)
{
    return CNC_UNLIKELY(server->here && atomic_load_explicit(server->here, memory_order_relaxed) == 0);
}

/* Any thread. A stop has begun, of this process or of those before it. */
static inline bool cnc_server_is_stopping(const concur_server *server)
{
    return atomic_load_explicit(&server->stop_at, memory_order_relaxed) != INT64_MAX ||
           atomic_load_explicit(&server->stopping, memory_order_relaxed);
}

/* Any thread. The deadline of a stop has passed. */
bool cnc_server_is_late(const concur_server *server);

/* inside.c. Runs on a thread of this server at this moment? Then wait and free are refused. */
bool cnc_server_is_inside(const concur_server *server);
/* Marks the calling thread as running callbacks of server; returns what was marked before. */
concur_server *cnc_server_enter(concur_server *server);
void cnc_server_leave(concur_server *before);

#endif
