/* SPDX-License-Identifier: MIT */
#include "server/local.h"

#include <concur/shared.h>

#include "base/error.h"
#include "base/sys.h"
#include "exec/home.h"
#include "server/server.h"

/* The values of a home, by index. */
struct held {
    concur_server *server;
    bool closing; /* values are being freed, so none is made any more */
    struct {
        void *p; /* NULL: not made yet, or freed */
        bool making;
    } values[];
};

int cnc_locals_add(concur_server *server, concur_make_fn make, concur_free_fn free, void *arg, concur_local **out)
{
    struct cnc_locals *locals = &server->locals;
    if (locals->count == CNC_LOCALS_MAX)
        return cnc_error_set(CONCUR_E_LIMIT, "local: at most %d", CNC_LOCALS_MAX);
    struct concur_local *local = cnc_malloc(sizeof *local);
    if (!local)
        return cnc_error_set(CONCUR_E_NOMEM, "local: out of memory");
    *local = (struct concur_local){ .server = server, .index = locals->count, .make = make, .free = free, .arg = arg };
    locals->items[locals->count++] = local;
    *out = local;
    return CONCUR_OK;
}

void cnc_locals_deinit(struct cnc_locals *locals)
{
    while (locals->count > 0)
        cnc_free(locals->items[--locals->count]);
}

/* Frees the values in reverse order, so that a free function may still use those that were registered before its
 * own. */
static void free_held(void *arg)
{
    struct held *held = arg;
    held->closing = true;
    concur_server *before = cnc_server_enter(held->server);
    for (unsigned i = held->server->locals.count; i-- > 0;) {
        void *p = held->values[i].p;
        held->values[i].p = NULL;
        if (p && held->server->locals.items[i]->free)
            held->server->locals.items[i]->free(p);
    }
    cnc_server_leave(before);
    cnc_free(held);
}

static void *local_fail(int code, const char *why)
{
    (void)cnc_error_set(code, "local: %s", why);
    return NULL;
}

static struct held *hold(struct cnc_home *home, concur_server *server)
{
    struct held *held = cnc_calloc(1, sizeof *held + server->locals.count * sizeof held->values[0]);
    if (!held)
        return NULL;
    held->server = server;
    home->locals = held;
    home->locals_free = free_held;
    return held;
}

static void *make(struct held *held, concur_local *local)
{
    if (held->closing)
        return local_fail(CONCUR_E_STATE, "the thread ends, so nothing new is made");
    if (held->values[local->index].making)
        return local_fail(CONCUR_E_STATE, "its own make function asked for it");
    held->values[local->index].making = true;
    concur_server *before = cnc_server_enter(local->server);
    void *p = local->make(local->arg);
    cnc_server_leave(before);
    held->values[local->index].making = false;
    held->values[local->index].p = p;
    return p ? p : local_fail(CONCUR_E_NOMEM, "its make function returned NULL");
}

void *concur_local_get(concur_local *local)
{
    struct cnc_home *home = cnc_home_here();
    if (!local)
        return local_fail(CONCUR_E_INVAL, "NULL");
    if (!home || home->owner != local->server)
        return local_fail(CONCUR_E_HOME, "this thread runs no handlers or work of the server");
    struct held *held = home->locals;
    if (CNC_LIKELY(held && held->values[local->index].p))
        return held->values[local->index].p;
    if (!held && !(held = hold(home, local->server)))
        return local_fail(CONCUR_E_NOMEM, "out of memory");
    return make(held, local);
}
