/* SPDX-License-Identifier: MIT
 *
 * Functions of the program that run before and after the handlers of all routes under a prefix, and its error pages.
 * Both are added before the server runs, and do not change afterwards.
 */
#ifndef CNC_ROUTE_HOOKS_H
#define CNC_ROUTE_HOOKS_H

#include <concur/types.h>

#include "base/base.h"

struct cnc_route_hook {
    char *prefix; /* owned; of n bytes, without a slash at the end; n is 0 for "/" */
    size_t n;
    concur_handler_fn before; /* NULL: after is set */
    concur_status_fn after;
    void *arg;
};

/* In the order in which they were added; all zero is empty. */
struct cnc_route_hooks {
    struct cnc_route_hook *items; /* owned */
    unsigned count;
};

/* CONCUR_OK, CONCUR_E_NOMEM, or CONCUR_E_INVAL with a sentence in concur_last_error(). */
int cnc_route_hooks_add(struct cnc_route_hooks *hooks, const char *prefix, concur_handler_fn before, concur_status_fn after,
                        void *arg);
void cnc_route_hooks_deinit(struct cnc_route_hooks *hooks);
/* Can one of them be for a path that this pattern (without methods) matches? */
bool cnc_route_hooks_may_cover(const struct cnc_route_hooks *hooks, const char *pattern);

/* Is the path the hook's prefix, or under it? */
static inline bool cnc_route_hook_covers(const struct cnc_route_hook *hook, struct cnc_slice path)
{
    if (path.n < hook->n || path.p[0] != '/' || memcmp(path.p, hook->prefix, hook->n) != 0)
        return false;
    return path.n == hook->n || path.p[hook->n] == '/';
}

struct cnc_page {
    int status; /* a status, or CONCUR_PAGE_* */
    concur_status_fn fn;
    void *arg;
};

/* All zero is empty. */
struct cnc_pages {
    struct cnc_page *items; /* owned */
    unsigned count;
};

/* Replaces an earlier page for the same status. CONCUR_OK or CONCUR_E_NOMEM. */
int cnc_pages_add(struct cnc_pages *pages, int status, concur_status_fn fn, void *arg);
void cnc_pages_deinit(struct cnc_pages *pages);
/* The page for the status, else for its class, else for all statuses. NULL: there is none. */
const struct cnc_page *cnc_pages_find(const struct cnc_pages *pages, int status);

#endif
