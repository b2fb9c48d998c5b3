/* SPDX-License-Identifier: MIT
 *
 * Values of which each thread that runs handlers or work has its own. They are registered with the server, made at the thread's
 * home when it first asks, and freed there before the home closes.
 */
#ifndef CNC_LOCAL_H
#define CNC_LOCAL_H

#include <concur/types.h>

#include "base/base.h"

#define CNC_LOCALS_MAX 64

struct concur_local {
    concur_server *server;
    unsigned index; /* in the server's, and in what each home has */
    concur_make_fn make;
    concur_free_fn free; /* or NULL */
    void *arg;
};

/* Of a server, in the order of registration; all zero is empty. */
struct cnc_locals {
    struct concur_local *items[CNC_LOCALS_MAX]; /* owned */
    unsigned count;
};

/* CONCUR_OK, or CONCUR_E_LIMIT or CONCUR_E_NOMEM with the last error set. */
int cnc_locals_add(concur_server *server, concur_make_fn make, concur_free_fn free, void *arg, concur_local **out);
void cnc_locals_deinit(struct cnc_locals *locals);

#endif
