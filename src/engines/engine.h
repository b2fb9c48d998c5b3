/* SPDX-License-Identifier: MIT
 *
 * What an engine is: a name, and the roles of its processes. A role is what serves in one process: the whole of a
 * single-process engine, one worker of many, a front. engines/table.c lists all engines.
 */
#ifndef CNC_ENGINE_H
#define CNC_ENGINE_H

#include "core/server.h"

struct cnc_engine_stats {
    unsigned threads, threads_idle, queued;
    unsigned long long requests, accepted, stalls;
};

/* Every function runs in the process that serves, but stats, which any of its threads may call while it runs. */
struct cnc_role {
    const char *name;
    /* Allocates; the server's listening sockets are open, and no thread runs yet. server->engine becomes the role's own.
     * CONCUR_OK, or an error noted in the server; undoes itself then. */
    int (*open)(concur_server *);
    /* Serves on the calling thread until server->stop_at says stop and the stop is complete. may_give_up: returns
     * CONCUR_E_BUSY a second after the deadline rather than waiting on for code of the program. */
    int (*run)(concur_server *, bool may_give_up);
    void (*stats)(concur_server *, struct cnc_engine_stats *);
    /* After run returned CONCUR_OK, or after open alone. NULLs server->engine. */
    void (*close)(concur_server *);
};

struct cnc_engine_ops {
    int id; /* CONCUR_ENGINE_* */
    const char *name;
    bool blocking_sockets; /* accepted ones may block, and wait for park_after when read */
    /* Refuses what cannot work, with a sentence in the server's errors; before any resource. CONCUR_OK or an error. NULL:
     * there is nothing to check. */
    int (*check)(concur_server *);
    struct cnc_role worker;
};

/* The engine of an id, or NULL when this build has none. */
const struct cnc_engine_ops *cnc_engine_find(int id);

extern const struct cnc_engine_ops cnc_engine_thread;
extern const struct cnc_engine_ops cnc_engine_event;
extern const struct cnc_engine_ops cnc_engine_event_pool;

#endif
