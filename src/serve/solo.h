/* SPDX-License-Identifier: MIT
 *
 * A process that serves one connection at a time, on its one thread, by plain calls that block: a worker of prefork.
 */
#ifndef CNC_SOLO_H
#define CNC_SOLO_H

#include "net/gate.h"
#include "serve/serving.h"

struct cnc_solo {
    struct cnc_serving serving; /* the loop for a request that waits, and for a connection that is silent or slow */
    struct cnc_conn_ops ops;
    struct cnc_gate gate;
    char *room;                 /* owned; buffer for messages of the process that waits for heads; NULL: there is none */
    struct cnc_timer yield;     /* checks whether another client waits while the connection is silent */
    struct cnc_timer slow;      /* when a head has taken so long that it is passed to the process that waits for heads */
    unsigned long long accepted;
    unsigned long long recycle_at; /* requests after which this process ends; 0: never */
    int64_t warned_at;
    struct cnc_starved starved;
    const char *sick;              /* why this process can serve nobody; static. NULL: it can serve */
};

int cnc_solo_open(struct cnc_solo *solo, concur_server *server);
/* As cnc_serving_run(). */
int cnc_solo_run(struct cnc_solo *solo, bool may_give_up);
void cnc_solo_stats(const struct cnc_solo *solo, struct cnc_engine_stats *out);
void cnc_solo_close(struct cnc_solo *solo);

#endif
