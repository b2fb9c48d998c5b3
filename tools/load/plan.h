/* SPDX-License-Identifier: MIT
 *
 * What the connections of a group share while a load runs: requests as bytes, and their rate. It does not change.
 */
#ifndef TOOLS_PLAN_H
#define TOOLS_PLAN_H

#include "load/load.h"
#include "load/response.h"

struct prepared {
    char *bytes; /* owned */
    size_t len;
    bool is_head;
    int status;
    unsigned weight_to; /* sum of the weights of this request and those before it */
    struct expected expected;
};

struct plan {
    const struct workload_group *group;
    struct prepared *requests; /* owned */
    unsigned weights;
    double interval_ns; /* between two requests of a connection; 0: closed loop */
    int64_t timeout_ns, slow_ns, stagger_ns;
};

/* 0 or -ENOMEM; plan_deinit() must follow in both cases. */
int plan_init(struct plan *p, const struct workload *w, const struct workload_group *g, const char *host);
void plan_deinit(struct plan *p);
/* Chooses a request by weight. chance: a random number. */
const struct prepared *plan_pick(const struct plan *p, uint32_t chance);

#endif
