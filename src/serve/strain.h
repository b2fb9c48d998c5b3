/* SPDX-License-Identifier: MIT
 *
 * Watches a pool whose threads are all taken or cannot be started: logs a warning, at most one a second, and tries to start
 * threads again.
 */
#ifndef CNC_STRAIN_H
#define CNC_STRAIN_H

#include "exec/pool.h"
#include "server/server.h"

struct cnc_strain {
    concur_server *server;
    const char *option; /* the option that limits the threads; static */
    struct cnc_home *home;
    struct cnc_pool *pool;
    struct cnc_timer timer;
    struct cnc_task task;
    int64_t taken_told_at, failed_told_at;
};

/* Call it before the pool is made: cnc_strain_on() and strain go into its configuration. */
void cnc_strain_init(struct cnc_strain *strain, concur_server *server, const char *option);
/* home is where cnc_pool_look() is called; it must outlive the pool. */
void cnc_strain_open(struct cnc_strain *strain, struct cnc_home *home, struct cnc_pool *pool);
/* At home. */
void cnc_strain_close(struct cnc_strain *strain);
/* cnc_pool_config.strained. */
void cnc_strain_on(void *strain);

#endif
