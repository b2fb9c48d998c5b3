/* SPDX-License-Identifier: MIT
 *
 * Values that each thread has for itself. They are registered with the server. A thread's value is made when it first
 * asks for it, and freed on the same thread before its home is closed.
 */
#ifndef CNC_LOCAL_H
#define CNC_LOCAL_H

#include <concur/types.h>

#include "base/base.h"

#define CNC_LOCALS_MAX 64

struct concur_local {
    concur_server *server;
    unsigned index; /* in cnc_locals.items, and among the values of each home */
    concur_make_fn make;
    concur_free_fn free; /* or NULL */
    void *arg;
};

/* The values registered with a server, in that order; all zero is empty. */
struct cnc_locals {
    struct concur_local *items[CNC_LOCALS_MAX]; /* owned */
    unsigned count;
};

/* CONCUR_OK, or CONCUR_E_LIMIT or CONCUR_E_NOMEM with the last error set. */
int cnc_locals_add(concur_server *server, concur_make_fn make, concur_free_fn free, void *arg, concur_local **out);
void cnc_locals_deinit(struct cnc_locals *locals);

#endif
