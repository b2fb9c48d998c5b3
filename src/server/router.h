/* SPDX-License-Identifier: MIT
 *
 * Finds the route for a method and a path, in a tree of path segments. From left to right a literal segment wins over a
 * parameter, and a parameter over one that takes the rest of the path. Of equal routes the one that was added first
 * wins.
 */
#ifndef CNC_ROUTER_H
#define CNC_ROUTER_H

#include <concur/types.h>

#include "http/http.h"
#include "options/config.h"

#define CNC_ROUTE_PARAMS_MAX 16
#define CNC_ROUTE_METHODS_MAX 10

struct cnc_route {
    struct cnc_route *next;   /* of all routes, in the order in which they were added */
    struct cnc_route *same;   /* next route that ends at the same node */
    const char *pattern;      /* owned; as the program gave it */
    concur_handler_fn handler;
    void *arg;
    unsigned flags;           /* CONCUR_ROUTE_* */
    bool hooked;              /* its paths can be under the prefix of a hook */
    bool blocking;            /* as its flag says, unless its section in the configuration says otherwise */
    struct cnc_route_config cfg;
    unsigned method_count;    /* 0: any */
    unsigned method_bits;     /* 1 << CNC_HTTP_x of those that http/ knows; GET includes HEAD */
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
    struct cnc_route *refused; /* routes with an error, kept since nodes of the tree may use their text */
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
/* The route for a method (id: CNC_HTTP_*) and a path, with the values of its parameters in the order of the pattern.
 * skip: how many routes that match are left out. A GET route takes HEAD too. BAD_METHOD: the path has only routes for
 * other methods. */
int cnc_router_find(const struct cnc_router *r, int id, struct cnc_slice method, struct cnc_slice path, unsigned skip,
                    struct cnc_match *out);
/* Writes the value of Allow for a path (RFC 9110 §10.2.1), OPTIONS included, NUL-terminated. Returns its length; 0: no
 * route has this path. An empty path: all methods of the server, for "OPTIONS *". */
size_t cnc_router_allow(const struct cnc_router *r, struct cnc_slice path, char *out, size_t n);
/* Has any route this method? A method that is unknown and that none has is answered 501, not 405. */
bool cnc_router_knows(const struct cnc_router *r, struct cnc_slice method);

#endif
