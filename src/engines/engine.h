/* SPDX-License-Identifier: MIT
 *
 * What an engine is: a name, what it can do, and five functions. engines/table.c lists them all.
 */
#ifndef CNC_ENGINE_H
#define CNC_ENGINE_H

#include "core/server.h"

struct cnc_engine_stats {
    unsigned threads, threads_idle, queued;
    unsigned long long requests, accepted, stalls;
};

struct cnc_engine_ops {
    int id; /* CONCUR_ENGINE_* */
    const char *name;
    /* Refuses what cannot work, with a sentence in the server's errors; before any resource. CONCUR_OK or an error. */
    int (*check)(concur_server *);
    /* In the parent, before any thread: binds and allocates; server->engine becomes the engine's own. Undoes itself on
     * error. */
    int (*open)(concur_server *);
    /* Serves on the calling thread until server->stop_at says stop and the stop is complete. may_give_up: returns
     * CONCUR_E_BUSY a second after the deadline rather than waiting on for code of the program. */
    int (*run)(concur_server *, bool may_give_up);
    /* Any thread, while running. */
    void (*stats)(concur_server *, struct cnc_engine_stats *);
    /* After run returned CONCUR_OK, or after open alone. NULLs server->engine. */
    void (*close)(concur_server *);
};

/* The engine of an id, or NULL when this build has none. */
const struct cnc_engine_ops *cnc_engine_find(int id);

extern const struct cnc_engine_ops cnc_engine_event;
extern const struct cnc_engine_ops cnc_engine_event_pool;
extern const struct cnc_engine_ops cnc_engine_thread;

#endif
