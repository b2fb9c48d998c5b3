/* SPDX-License-Identifier: MIT
 *
 * From method and path to a route. A tree of segments; the most literal wins from the left: literal, parameter, rest; among
 * equals the one added first.
 */
#ifndef CNC_ROUTER_H
#define CNC_ROUTER_H

#include <concur/types.h>

#include "http/http.h"
#include "options/config.h"

#define CNC_ROUTE_PARAMS_MAX 16
#define CNC_ROUTE_METHODS_MAX 10

struct cnc_route {
    struct cnc_route *next;   /* of all, in the order they were added */
    struct cnc_route *same;   /* next one that ends at the same node */
    const char *pattern;      /* owned, as given */
    concur_handler_fn handler;
    void *arg;
    unsigned flags;           /* CONCUR_ROUTE_* */
    bool hooked;              /* its paths may be under the prefix of a hook */
    bool blocking;            /* the flag, unless its section says otherwise */
    struct cnc_route_config cfg;
    unsigned method_count;    /* 0: any */
    unsigned method_bits;     /* 1 << CNC_HTTP_x of those that http knows; HEAD with GET */
    struct cnc_slice methods[CNC_ROUTE_METHODS_MAX]; /* within text */
    unsigned param_count;
    const char *params[CNC_ROUTE_PARAMS_MAX]; /* names, within text */
    bool rest;                /* the last parameter takes the rest of the path */
    char *text;               /* owned: the pattern cut into NUL-terminated names */
};

struct cnc_route_node;

struct cnc_router {
    struct cnc_route_node *root; /* owned */
    struct cnc_route *first, **tail;
    struct cnc_route *refused; /* kept for their text, which nodes of the tree may use */
    unsigned count;
    const struct cnc_route_hooks *hooks; /* borrowed from the server; NULL: there are none */
};

struct cnc_match {
    const struct cnc_route *route;
    unsigned param_count;
    struct cnc_slice params[CNC_ROUTE_PARAMS_MAX]; /* within the path */
};

enum { CNC_ROUTE_FOUND = 0, CNC_ROUTE_NOT_FOUND = 1, CNC_ROUTE_BAD_METHOD = 2 };

void cnc_router_init(struct cnc_router *r);
void cnc_router_deinit(struct cnc_router *r);
/* CONCUR_OK, CONCUR_E_NOMEM, or CONCUR_E_INVAL with a sentence in concur_last_error(). */
int cnc_router_add(struct cnc_router *r, const char *pattern, unsigned flags, concur_handler_fn handler, void *arg);
/* The skip-th route (0: the first) for method (its id too, CNC_HTTP_*) and path, params in order of the pattern. GET routes take HEAD too.
 * BAD_METHOD: the path exists, with other methods. */
int cnc_router_find(const struct cnc_router *r, int id, struct cnc_slice method, struct cnc_slice path, unsigned skip,
                    struct cnc_match *out);
/* The value of Allow for path (RFC 9110 §10.2.1), OPTIONS included, NUL-terminated; returns its length, 0 when no route
 * has this path. path of length 0: what the whole server knows, for "OPTIONS *". */
size_t cnc_router_allow(const struct cnc_router *r, struct cnc_slice path, char *out, size_t n);
/* True when some route names this method: an unknown token that none names is 501, not 405. */
bool cnc_router_knows(const struct cnc_router *r, struct cnc_slice method);

#endif
