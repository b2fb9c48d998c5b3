/* SPDX-License-Identifier: MIT
 *
 * The set-up: everything that a configuration decides. It is built in full, checked, and from then on only read. A server
 * points to the one in force. Each generation of processes has its own, so a worker that is started later has the same as the
 * others. A reload builds a new one; if that is refused it is freed, and nothing else has changed.
 *
 * Not in it: hooks, counters, shared memory, listening sockets. They outlive a configuration.
 */
#ifndef CNC_SETUP_H
#define CNC_SETUP_H

#include "conn/conn.h"
#include "options/config.h"
#include "options/options.h"
#include "server/ledger.h"
#include "server/router.h"

struct cnc_engine_ops;

#define CNC_LISTEN_MAX 64 /* items of the option listen */

struct cnc_setup {
    unsigned refs; /* one thread: that of the set-up, later the master's; a forked process never counts */
    struct cnc_options *options; /* owned: the values with their origins */
    struct cnc_config cfg;
    struct cnc_conn_limits limits;
    struct cnc_router router; /* the program's routes, with the values of this set-up */
    char *spool_dir;          /* owned: where large bodies go */
    const struct cnc_transport_factory *factories[CNC_LISTEN_MAX]; /* of each listener; NULL: plain */
    /* what the engine makes of it (engines/configure.c) */
    const struct cnc_engine_ops *ops; /* NULL: this build has no such engine */
    int64_t receive_wait_ms;          /* SO_RCVTIMEO of accepted sockets; 0: none */
    unsigned connections_max;         /* of each process that accepts */
    struct cnc_ledger ledger;         /* owned: of connections that are lent; empty where none are */
};

/* Makes a set-up from the program's routes and from options, which it owns from then on, whatever it returns. CONCUR_OK;
 * CONCUR_E_NOMEM: *out is NULL; else the error of the options, and *out is made as if the refused values had not been
 * given. */
int cnc_setup_create(struct cnc_setup **out, struct cnc_options *options, const struct cnc_router *routes);
void cnc_setup_ref(struct cnc_setup *setup);
/* Frees it with the last reference. NULLs *setup, which may be NULL. */
void cnc_setup_unref(struct cnc_setup **setup);
/* Is there what its values name? CONCUR_OK, or CONCUR_E_OPTION, with a sentence in the thread's last error. */
int cnc_setup_check(const struct cnc_setup *setup);

#endif
