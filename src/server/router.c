/* SPDX-License-Identifier: MIT */
#include "server/router.h"

#include "base/error.h"
#include "base/sys.h"

/* A literal child of a node. Its key is stored here, so that a search does not have to read other nodes. */
struct literal {
    uint32_t key; /* key_of(node->text) */
    struct cnc_route_node *node;
};

struct cnc_route_node {
    struct cnc_slice text;    /* of a literal; within the text of the route that made the node */
    struct literal *literals; /* owned, sorted by key, then text */
    unsigned literal_count;
    struct cnc_route_node *param, *rest;
    struct cnc_route *routes;
};

void cnc_router_init(struct cnc_router *r)
{
    *r = (struct cnc_router){ 0 };
    r->tail = &r->first;
}

static void free_node(struct cnc_route_node *node)
{
    if (!node)
        return;
    for (unsigned i = 0; i < node->literal_count; i++)
        free_node(node->literals[i].node);
    cnc_free(node->literals);
    free_node(node->param);
    free_node(node->rest);
    cnc_free(node);
}

static void free_route(struct cnc_route *route)
{
    if (!route)
        return;
    cnc_free((char *)(uintptr_t)route->pattern);
    cnc_free(route->text);
    cnc_free(route);
}

static void free_routes(struct cnc_route *first)
{
    while (first) {
        struct cnc_route *route = first;
        first = route->next;
        free_route(route);
    }
}

void cnc_router_deinit(struct cnc_router *r)
{
    free_node(r->root);
    free_routes(r->first);
    free_routes(r->refused);
    cnc_router_init(r);
}

/* A number of length, first and last byte, by which most literals differ. */
static uint32_t key_of(struct cnc_slice s)
{
    if (s.n == 0)
        return 0;
    return (uint32_t)(s.n & 0xffff) << 16 | (uint32_t)(unsigned char)s.p[0] << 8 | (unsigned char)s.p[s.n - 1];
}

/* The order of literals with the same key; any fixed order will do. */
static int compare(struct cnc_slice a, struct cnc_slice b)
{
    if (a.n != b.n)
        return a.n < b.n ? -1 : 1;
    return a.n ? memcmp(a.p, b.p, a.n) : 0;
}

/* The index of text among the literals, or the index at which it must be inserted. */
CNC_HOT static unsigned literal_at(const struct cnc_route_node *node, struct cnc_slice text, bool *found)
{
    uint32_t key = key_of(text);
    unsigned lo = 0, hi = node->literal_count;
    *found = false;
    while (lo < hi) {
        unsigned mid = (lo + hi) / 2;
        const struct literal *at = &node->literals[mid];
        int c = at->key < key ? -1 : at->key > key ? 1 : compare(at->node->text, text);
        if (c == 0) {
            *found = true;
            return mid;
        }
        if (c < 0)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

/* The first segment of a path that begins with "/"; *path is set to the rest. */
static struct cnc_slice router_next_segment(struct cnc_slice *path)
{
    const char *p = path->p + 1, *end = path->p + path->n, *stop = p;
    while (stop < end && *stop != '/') /* segments are short: a call to memchr() would cost more */
        stop++;
    *path = (struct cnc_slice){ stop, (size_t)(end - stop) };
    return (struct cnc_slice){ p, (size_t)(stop - p) };
}

/* ---- adding ---- */

static int bad(const char *pattern, const char *why)
{
    return cnc_error_set(CONCUR_E_INVAL, "route \"%s\": %s", pattern, why);
}

static int parse_methods(struct cnc_route *route, char *methods, const char *pattern)
{
    for (char *p = methods; p; ) {
        char *comma = strchr(p, ',');
        size_t n = comma ? (size_t)(comma - p) : strlen(p);
        if (!cnc_http_is_token(p, n))
            return bad(pattern, "a method must be a token, several are separated by commas");
        if (route->method_count == CNC_ROUTE_METHODS_MAX)
            return bad(pattern, "at most 10 methods");
        for (unsigned i = 0; i < route->method_count; i++)
            if (cnc_slice_equal(route->methods[i], (struct cnc_slice){ p, n }))
                return bad(pattern, "a method is named twice");
        int id = cnc_http_method_parse(p, n);
        if (id != CNC_HTTP_OTHER)
            route->method_bits |= 1u << id;
        if (id == CNC_HTTP_GET)
            route->method_bits |= 1u << CNC_HTTP_HEAD; /* RFC 9110 §9.3.2 */
        route->methods[route->method_count++] = (struct cnc_slice){ p, n };
        p = comma ? comma + 1 : NULL;
    }
    return CONCUR_OK;
}

static bool router_is_name(const char *p, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (!cnc_is_alpha(p[i]) && !cnc_is_digit(p[i]) && p[i] != '_' && p[i] != '-')
            return false;
    return n > 0;
}

static int add_param(struct cnc_route *route, const char *pattern, char *name, size_t n)
{
    if (!router_is_name(name, n))
        return bad(pattern, "a parameter's name has letters, digits, - and _ only");
    if (route->param_count == CNC_ROUTE_PARAMS_MAX)
        return bad(pattern, "at most 16 parameters");
    for (unsigned i = 0; i < route->param_count; i++)
        if (strncmp(route->params[i], name, n) == 0 && route->params[i][n] == '}')
            return bad(pattern, "two parameters have the same name");
    route->params[route->param_count++] = name;
    return CONCUR_OK;
}

static struct cnc_route_node *literal_child(struct cnc_route_node *node, struct cnc_slice text)
{
    bool found;
    unsigned at = literal_at(node, text, &found);
    if (found)
        return node->literals[at].node;
    size_t size = (node->literal_count + 1) * sizeof *node->literals;
    struct literal *grown = cnc_realloc(node->literals, size);
    if (!grown)
        return NULL;
    node->literals = grown;
    struct cnc_route_node *child = cnc_calloc(1, sizeof *child);
    if (!child)
        return NULL;
    child->text = text;
    memmove(grown + at + 1, grown + at, (node->literal_count - at) * sizeof *grown);
    grown[at] = (struct literal){ key_of(text), child };
    node->literal_count++;
    return child;
}

static struct cnc_route_node *child_at(struct cnc_route_node **slot)
{
    if (!*slot)
        *slot = cnc_calloc(1, sizeof **slot);
    return *slot;
}

static bool is_literal(struct cnc_slice s)
{
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        if (c == '{' || c == '}' || c == '*' || c == '?' || c == '#' || c <= 0x20 || c == 0x7f)
            return false;
    }
    return true;
}

/* Checks a segment of the pattern, and finds or makes the child of the node for it. */
static int descend(struct cnc_route *route, const char *pattern, struct cnc_slice seg, bool last,
                   struct cnc_route_node **node)
{
    struct cnc_route_node *at = *node;
    char *p = (char *)(uintptr_t)seg.p;
    int rc = CONCUR_OK;
    if (seg.n >= 2 && p[0] == '{' && p[seg.n - 1] == '}') {
        rc = add_param(route, pattern, p + 1, seg.n - 2);
        at = rc < 0 ? NULL : child_at(&at->param);
    } else if (seg.n >= 1 && p[0] == '*') {
        if (!last)
            return bad(pattern, "\"*name\" must be the last segment");
        rc = add_param(route, pattern, p + 1, seg.n - 1);
        route->rest = true;
        at = rc < 0 ? NULL : child_at(&at->rest);
    } else if (is_literal(seg)) {
        at = literal_child(at, seg);
    } else {
        return bad(pattern, "a segment is literal text, \"{name}\", or \"*name\" at the end");
    }
    if (rc < 0)
        return rc;
    *node = at;
    return at ? CONCUR_OK : CONCUR_E_NOMEM;
}

static int add_path(struct cnc_router *r, struct cnc_route *route, char *path, const char *pattern)
{
    struct cnc_slice rest = { path, strlen(path) };
    struct cnc_route_node *node = child_at(&r->root);
    if (path[0] != '/')
        return bad(pattern, "the path must begin with \"/\"");
    if (!node)
        return CONCUR_E_NOMEM;
    while (rest.n) {
        struct cnc_slice seg = router_next_segment(&rest);
        int rc = descend(route, pattern, seg, rest.n == 0, &node);
        if (rc < 0)
            return rc;
    }
    struct cnc_route **end = &node->routes;
    while (*end)
        end = &(*end)->same;
    *end = route;
    return CONCUR_OK;
}

/* Ends the names of parameters with a NUL, which overwrites the pattern's punctuation: the tree needs it no more. */
static void terminate_names(struct cnc_route *route)
{
    for (unsigned i = 0; i < route->param_count; i++) {
        char *name = (char *)(uintptr_t)route->params[i];
        char *brace = strchr(name, '}');
        bool is_rest = route->rest && i == route->param_count - 1;
        if (brace && !is_rest)
            *brace = '\0';
    }
}

int cnc_router_add(struct cnc_router *r, const char *pattern, unsigned flags, concur_handler_fn handler, void *arg)
{
    struct cnc_route *route = cnc_calloc(1, sizeof *route);
    int rc = CONCUR_E_NOMEM;
    if (!route)
        return rc;
    *route = (struct cnc_route){ .handler = handler, .arg = arg, .flags = flags };
    route->pattern = cnc_strdup(pattern);
    route->text = cnc_strdup(pattern);
    if (!route->pattern || !route->text)
        goto out;
    char *space = strchr(route->text, ' ');
    char *path = route->text;
    rc = CONCUR_OK;
    if (space) {
        *space = '\0';
        path = space + 1;
        rc = parse_methods(route, route->text, pattern);
    }
    if (rc == CONCUR_OK)
        rc = add_path(r, route, path, pattern);
    if (rc < 0)
        goto out;
    terminate_names(route);
    *r->tail = route;
    r->tail = &route->next;
    r->count++;
    return CONCUR_OK;
out:
    /* Nodes may use this text already, so it is freed with the router. */
    if (route->text && r->root) {
        route->next = r->refused;
        r->refused = route;
    } else {
        free_route(route);
    }
    return rc;
}

/* ---- finding ---- */

struct search {
    struct cnc_slice method;
    unsigned method_bit; /* 0: a method that http/ does not know */
    unsigned skip;
    struct cnc_match *match;
    bool path_exists;
    /* not NULL: does not search a route, but collects the methods of all that match */
    char *allow;
    size_t allow_len, allow_size;
};

static bool takes(const struct cnc_route *route, const struct search *s)
{
    if (CNC_LIKELY(route->method_bits & s->method_bit))
        return true;
    if (route->method_count == 0)
        return true;
    for (unsigned i = 0; !s->method_bit && i < route->method_count; i++)
        if (cnc_slice_equal(route->methods[i], s->method))
            return true;
    return false;
}

static bool listed(const struct search *s, struct cnc_slice method)
{
    for (size_t at = 0; at + method.n <= s->allow_len; at++) {
        bool starts = at == 0 || s->allow[at - 1] == ' ';
        bool ends = at + method.n == s->allow_len || s->allow[at + method.n] == ',';
        if (starts && ends && memcmp(s->allow + at, method.p, method.n) == 0)
            return true;
    }
    return false;
}

static void list_method(struct search *s, struct cnc_slice method)
{
    if (listed(s, method) || s->allow_len + method.n + 3 > s->allow_size)
        return;
    if (s->allow_len) {
        memcpy(s->allow + s->allow_len, ", ", 2);
        s->allow_len += 2;
    }
    memcpy(s->allow + s->allow_len, method.p, method.n);
    s->allow_len += method.n;
}

static void list_route(struct search *s, const struct cnc_route *route)
{
    static const char *const any[] = { "GET", "HEAD", "POST", "PUT", "DELETE", "PATCH" };
    s->path_exists = true;
    for (unsigned i = 0; i < route->method_count; i++) {
        list_method(s, route->methods[i]);
        if (cnc_slice_equal(route->methods[i], CNC_SLICE("GET")))
            list_method(s, CNC_SLICE("HEAD"));
    }
    for (unsigned i = 0; route->method_count == 0 && i < CNC_COUNT(any); i++)
        list_method(s, (struct cnc_slice){ any[i], strlen(any[i]) });
}

/* Searches below a node. True: the search is over. */
static bool visit(struct search *s, const struct cnc_route_node *node, unsigned params)
{
    for (const struct cnc_route *route = node->routes; route; route = route->same) {
        if (s->allow) {
            list_route(s, route);
            continue;
        }
        s->path_exists = true;
        if (!takes(route, s) || s->skip-- > 0)
            continue;
        s->match->route = route;
        s->match->param_count = params;
        return true;
    }
    return false;
}

static bool walk(struct search *s, const struct cnc_route_node *node, struct cnc_slice path, unsigned params)
{
    if (path.n == 0)
        return visit(s, node, params);
    struct cnc_slice after = path;
    struct cnc_slice seg = router_next_segment(&after);
    bool found = false;
    unsigned at = node->literal_count ? literal_at(node, seg, &found) : 0;
    if (found && walk(s, node->literals[at].node, after, params))
        return true;
    if (node->param && seg.n && params < CNC_ROUTE_PARAMS_MAX) {
        s->match->params[params] = seg;
        if (walk(s, node->param, after, params + 1))
            return true;
    }
    if (node->rest && params < CNC_ROUTE_PARAMS_MAX) {
        s->match->params[params] = (struct cnc_slice){ path.p + 1, path.n - 1 };
        return visit(s, node->rest, params + 1);
    }
    return false;
}

/* Looks for a route of literals alone: it wins over all others, and is the usual case. */
static const struct cnc_route *find_literal(const struct cnc_route_node *node, struct cnc_slice path, unsigned bit)
{
    while (path.n) {
        bool found = false;
        unsigned at = node->literal_count ? literal_at(node, router_next_segment(&path), &found) : 0;
        if (!found)
            return NULL;
        node = node->literals[at].node;
    }
    return node->routes && (node->routes->method_bits & bit) ? node->routes : NULL;
}

CNC_HOT int cnc_router_find(const struct cnc_router *r, int id, struct cnc_slice method, struct cnc_slice path,
                            unsigned skip, struct cnc_match *out)
{
    struct search s = { .method = method, .skip = skip, .match = out };
    s.method_bit = id == CNC_HTTP_OTHER ? 0 : 1u << id;
    if (CNC_LIKELY(skip == 0 && r->root && path.n && path.p[0] == '/')) {
        out->route = find_literal(r->root, path, s.method_bit);
        out->param_count = 0;
        if (out->route)
            return CNC_ROUTE_FOUND;
    }
    if (r->root && path.n && path.p[0] == '/' && walk(&s, r->root, path, 0))
        return CNC_ROUTE_FOUND;
    return s.path_exists ? CNC_ROUTE_BAD_METHOD : CNC_ROUTE_NOT_FOUND;
}

size_t cnc_router_allow(const struct cnc_router *r, struct cnc_slice path, char *out, size_t n)
{
    struct cnc_match unused;
    struct search s = { .match = &unused, .allow = out, .allow_size = n };
    if (path.n == 0)
        for (const struct cnc_route *route = r->first; route; route = route->next)
            list_route(&s, route);
    else if (r->root && path.p[0] == '/')
        (void)walk(&s, r->root, path, 0);
    if (!s.path_exists) {
        out[0] = '\0';
        return 0;
    }
    list_method(&s, CNC_SLICE("OPTIONS"));
    out[s.allow_len] = '\0';
    return s.allow_len;
}

bool cnc_router_knows(const struct cnc_router *r, struct cnc_slice method)
{
    for (const struct cnc_route *route = r->first; route; route = route->next)
        for (unsigned i = 0; i < route->method_count; i++)
            if (cnc_slice_equal(route->methods[i], method))
                return true;
    return false;
}
