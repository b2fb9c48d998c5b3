/* SPDX-License-Identifier: MIT
 *
 * Functions of the program's that run before and after the handlers of all routes under a prefix, and its own pages for
 * statuses. Both are added during the set-up and never change afterwards.
 */
#ifndef CNC_ROUTE_HOOKS_H
#define CNC_ROUTE_HOOKS_H

#include <concur/types.h>

#include "base/base.h"

struct cnc_route_hook {
    char *prefix; /* owned; n bytes, without the slash at its end: 0 for "/" */
    size_t n;
    concur_handler_fn before; /* or NULL: then there is after */
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
/* May one of them be for a path that this route's pattern (without its methods) matches? */
bool cnc_route_hooks_may_cover(const struct cnc_route_hooks *hooks, const char *pattern);

/* Is the path the prefix, or under it? */
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

/* In place of an earlier one for the same. CONCUR_OK or CONCUR_E_NOMEM. */
int cnc_pages_add(struct cnc_pages *pages, int status, concur_status_fn fn, void *arg);
void cnc_pages_deinit(struct cnc_pages *pages);
/* That of the status itself, else of its class, else of all. NULL: there is none. */
const struct cnc_page *cnc_pages_find(const struct cnc_pages *pages, int status);

#endif
