/* SPDX-License-Identifier: MIT
 *
 * The set-up: everything that a configuration decides. It is built completely, checked, and then only read. A server
 * points to the one in force. Each generation of processes has its own, so a worker that is started later has the same
 * as the others. A reload builds a new one; if it has an error it is freed, and nothing else has changed.
 *
 * Hooks, counters, shared memory and listening sockets are not in it, since a reload does not change them.
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
    unsigned refs; /* changed by one thread: the one that sets up the server, later the master's; never in a child */
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

/* Makes a set-up from the program's routes and from options, which it owns in every case. CONCUR_OK; CONCUR_E_NOMEM,
 * and *out is NULL; else the error of the options, and *out is made without the values that have errors. */
int cnc_setup_create(struct cnc_setup **out, struct cnc_options *options, const struct cnc_router *routes);
void cnc_setup_ref(struct cnc_setup *setup);
/* Frees it with the last reference. NULLs *setup, which may be NULL. */
void cnc_setup_unref(struct cnc_setup **setup);
/* Can files be created in body_dir? CONCUR_OK, or CONCUR_E_OPTION with the thread's last error set. */
int cnc_setup_check(const struct cnc_setup *setup);

#endif
