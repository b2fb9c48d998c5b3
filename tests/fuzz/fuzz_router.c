/* SPDX-License-Identifier: MIT
 *
 * Patterns and paths: the router accepts a pattern exactly when a plain reading of its rules does, and finds what a
 * plain matcher finds, which asks every route. A line that begins with ? is a lookup, "?METHOD PATH"; the mark may be
 * followed by digits: routes that are skipped. Any other line is a pattern.
 */
#include "fuzz.h"

#include "server/router.h"

enum { ROUTES_MAX = 64, SEGMENTS_MAX = 128, ALLOW_MAX = 1 << 16 };

enum kind { LITERAL, PARAM, REST };

struct segment {
    enum kind kind;
    struct cnc_slice text; /* of a literal, or the name */
};

struct plain {
    const char *pattern; /* owned */
    struct cnc_slice methods[CNC_ROUTE_METHODS_MAX];
    unsigned method_count, segment_count, param_count;
    struct segment segments[SEGMENTS_MAX];
};

static struct plain plains[ROUTES_MAX];
static unsigned plain_count;

static int handler(concur_request *r, void *arg)
{
    (void)r, (void)arg;
    return CONCUR_OK;
}

/* ---- reading a pattern ---- */

/* The part of s up to the first c, or all of it; *s becomes what follows. False: there was nothing left. */
static bool cut(struct cnc_slice *s, char c, struct cnc_slice *part)
{
    if (!s->p)
        return false;
    const char *end = s->n ? memchr(s->p, c, s->n) : NULL;
    *part = (struct cnc_slice){ s->p, end ? (size_t)(end - s->p) : s->n };
    *s = end ? (struct cnc_slice){ end + 1, s->n - part->n - 1 } : (struct cnc_slice){ NULL, 0 };
    return true;
}

static bool is_made_of(struct cnc_slice s, const char *others)
{
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        bool is_letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        if (!c || (!is_letter && !strchr(others, c)))
            return false;
    }
    return s.n > 0;
}

static bool read_methods(struct plain *p, struct cnc_slice s)
{
    struct cnc_slice one;
    while (cut(&s, ',', &one)) {
        if (!is_made_of(one, "!#$%&'*+-.^_`|~") || p->method_count == CNC_ROUTE_METHODS_MAX)
            return false;
        for (unsigned i = 0; i < p->method_count; i++)
            if (cnc_slice_equal(p->methods[i], one))
                return false;
        p->methods[p->method_count++] = one;
    }
    return true;
}

static bool read_segment(struct plain *p, struct cnc_slice s, bool is_last)
{
    struct segment seg = { LITERAL, s };
    if (s.n >= 2 && s.p[0] == '{' && s.p[s.n - 1] == '}')
        seg = (struct segment){ PARAM, { s.p + 1, s.n - 2 } };
    else if (s.n && s.p[0] == '*')
        seg = (struct segment){ REST, { s.p + 1, s.n - 1 } };
    for (size_t i = 0; seg.kind == LITERAL && i < s.n; i++)
        if (strchr("{}*?#\x7f", s.p[i]) || (unsigned char)s.p[i] <= 0x20)
            return false;
    if (seg.kind == REST && !is_last)
        return false;
    if (seg.kind != LITERAL) {
        if (!is_made_of(seg.text, "-_") || p->param_count++ == CNC_ROUTE_PARAMS_MAX)
            return false;
        for (unsigned i = 0; i < p->segment_count; i++)
            if (p->segments[i].kind != LITERAL && cnc_slice_equal(p->segments[i].text, seg.text))
                return false;
    }
    p->segments[p->segment_count++] = seg;
    return true;
}

static bool read_pattern(struct plain *p, const char *pattern)
{
    struct cnc_slice path = { pattern, strlen(pattern) }, seg;
    const char *space = strchr(pattern, ' ');
    *p = (struct plain){ .pattern = pattern };
    if (space) {
        if (!read_methods(p, (struct cnc_slice){ pattern, (size_t)(space - pattern) }))
            return false;
        path = (struct cnc_slice){ space + 1, strlen(space + 1) };
    }
    if (path.n == 0 || path.p[0] != '/')
        return false;
    path = (struct cnc_slice){ path.p + 1, path.n - 1 };
    while (cut(&path, '/', &seg))
        if (!read_segment(p, seg, path.p == NULL))
            return false;
    return true;
}

/* ---- finding ---- */

static bool takes_path(const struct plain *p, struct cnc_slice path, struct cnc_slice *params)
{
    struct cnc_slice rest = { path.p + 1, path.n - 1 }, seg;
    unsigned n = 0;
    for (unsigned i = 0; i < p->segment_count; i++) {
        struct cnc_slice all = rest;
        if (!cut(&rest, '/', &seg))
            return false;
        if (p->segments[i].kind == REST) {
            params[n] = all;
            return true;
        }
        if (p->segments[i].kind == PARAM && seg.n == 0)
            return false;
        if (p->segments[i].kind == LITERAL && !cnc_slice_equal(p->segments[i].text, seg))
            return false;
        if (p->segments[i].kind == PARAM)
            params[n++] = seg;
    }
    return rest.p == NULL;
}

static bool takes_method(const struct plain *p, struct cnc_slice method)
{
    for (unsigned i = 0; i < p->method_count; i++) {
        bool heads = cnc_slice_equal(method, CNC_SLICE("HEAD")) && cnc_slice_equal(p->methods[i], CNC_SLICE("GET"));
        if (heads || cnc_slice_equal(p->methods[i], method))
            return true;
    }
    return p->method_count == 0;
}

/* The more literal one from the left; among equals the one added first. Both take the same path. */
static bool goes_before(const struct plain *a, const struct plain *b)
{
    for (unsigned i = 0; i < a->segment_count && i < b->segment_count; i++)
        if (a->segments[i].kind != b->segments[i].kind)
            return a->segments[i].kind < b->segments[i].kind;
    return a < b;
}

/* Those that take the path, in order. */
static unsigned all_for(struct cnc_slice path, const struct plain **out)
{
    struct cnc_slice unused[CNC_ROUTE_PARAMS_MAX];
    unsigned n = 0;
    for (unsigned i = 0; path.n && path.p[0] == '/' && i < plain_count; i++) {
        if (!takes_path(&plains[i], path, unused))
            continue;
        unsigned at = n++;
        for (; at > 0 && goes_before(&plains[i], out[at - 1]); at--)
            out[at] = out[at - 1];
        out[at] = &plains[i];
    }
    return n;
}

static void expect_match(const struct plain *p, struct cnc_slice path, const struct cnc_match *m)
{
    struct cnc_slice params[CNC_ROUTE_PARAMS_MAX];
    FUZZ_ENSURE(strcmp(m->route->pattern, p->pattern) == 0 && m->route->arg == p);
    FUZZ_ENSURE(m->param_count == p->param_count && m->route->param_count == p->param_count);
    FUZZ_ENSURE(takes_path(p, path, params));
    for (unsigned i = 0, n = 0; i < p->segment_count; i++) {
        if (p->segments[i].kind == LITERAL)
            continue;
        const char *name = m->route->params[n];
        FUZZ_ENSURE(cnc_slice_equal(p->segments[i].text, (struct cnc_slice){ name, strlen(name) }));
        FUZZ_ENSURE(m->params[n].p == params[n].p && m->params[n].n == params[n].n);
        n++;
    }
}

static void add_allowed(char *out, struct cnc_slice method)
{
    struct cnc_slice all = { out, strlen(out) }, one;
    while (cut(&all, ',', &one)) {
        size_t blank = one.n && one.p[0] == ' ';
        if (cnc_slice_equal((struct cnc_slice){ one.p + blank, one.n - blank }, method))
            return;
    }
    char *end = out + strlen(out);
    FUZZ_ENSURE((size_t)(end - out) + method.n + 3 < ALLOW_MAX);
    if (*out)
        end = stpcpy(end, ", ");
    memcpy(end, method.p, method.n);
    end[method.n] = '\0';
}

/* found: the routes that take the path, in order; for a path of length 0 all there are. */
static void expect_allow(const struct cnc_router *r, struct cnc_slice path, const struct plain *const *found, unsigned n,
                         size_t room)
{
    static const char *const any[] = { "GET", "HEAD", "POST", "PUT", "DELETE", "PATCH" };
    static char expected[ALLOW_MAX], got[ALLOW_MAX];
    expected[0] = '\0';
    for (unsigned i = 0; i < n; i++) {
        for (unsigned k = 0; k < found[i]->method_count; k++) {
            add_allowed(expected, found[i]->methods[k]);
            if (cnc_slice_equal(found[i]->methods[k], CNC_SLICE("GET")))
                add_allowed(expected, CNC_SLICE("HEAD"));
        }
        for (size_t k = 0; found[i]->method_count == 0 && k < CNC_COUNT(any); k++)
            add_allowed(expected, (struct cnc_slice){ any[k], strlen(any[k]) });
    }
    if (n)
        add_allowed(expected, CNC_SLICE("OPTIONS"));
    size_t len = cnc_router_allow(r, path, got, sizeof got);
    FUZZ_ENSURE(len == strlen(expected) && strcmp(got, expected) == 0);
    char *tight = malloc(room); /* what does not fit is left out, method by method */
    FUZZ_ENSURE(tight);
    len = cnc_router_allow(r, path, tight, room);
    FUZZ_ENSURE(len < room && strlen(tight) == len);
    free(tight);
}

static void look_up(const struct cnc_router *r, struct cnc_slice line)
{
    const struct plain *found[ROUTES_MAX], *taken = NULL;
    unsigned skip = 0, left;
    for (; line.n && cnc_is_digit(line.p[0]) && skip < 100; line = (struct cnc_slice){ line.p + 1, line.n - 1 })
        skip = skip * 10 + (unsigned)(line.p[0] - '0');
    struct cnc_slice method, path = line;
    if (!cut(&path, ' ', &method) || !path.p)
        return;
    char *raw = fuzz_copy(path.p, path.n);
    path.p = raw;
    unsigned n = all_for(path, found);
    left = skip;
    for (unsigned i = 0; i < n && !taken; i++)
        if (takes_method(found[i], method) && left-- == 0)
            taken = found[i];
    struct cnc_match m;
    int rc = cnc_router_find(r, cnc_http_method_parse(method.p, method.n), method, path, skip, &m);
    FUZZ_ENSURE(rc == (taken ? CNC_ROUTE_FOUND : n ? CNC_ROUTE_BAD_METHOD : CNC_ROUTE_NOT_FOUND));
    if (taken)
        expect_match(taken, path, &m);
    if (path.n)
        expect_allow(r, path, found, n, 1 + skip % 64);
    bool is_known = false;
    for (unsigned i = 0; i < plain_count; i++)
        for (unsigned k = 0; k < plains[i].method_count; k++)
            is_known = is_known || cnc_slice_equal(plains[i].methods[k], method);
    FUZZ_ENSURE(cnc_router_knows(r, method) == is_known);
    free(raw);
}

static void add(struct cnc_router *r, struct cnc_slice line)
{
    unsigned slashes = 0;
    for (size_t i = 0; i < line.n; i++)
        slashes += line.p[i] == '/';
    if (plain_count == ROUTES_MAX || slashes > SEGMENTS_MAX)
        return;
    char *pattern = fuzz_text(line);
    struct plain *p = &plains[plain_count];
    bool is_good = read_pattern(p, pattern);
    int rc = cnc_router_add(r, pattern, 0, handler, p);
    FUZZ_ENSURE(rc == (is_good ? CONCUR_OK : CONCUR_E_INVAL));
    if (is_good)
        plain_count++;
    else
        free(pattern);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_input in = { data, size };
    struct cnc_router router;
    cnc_router_init(&router);
    plain_count = 0;
    while (in.n) {
        struct cnc_slice line = fuzz_line(&in);
        if (line.n && line.p[0] == '?')
            look_up(&router, (struct cnc_slice){ line.p + 1, line.n - 1 });
        else
            add(&router, line);
    }
    FUZZ_ENSURE(router.count == plain_count);
    const struct plain *all[ROUTES_MAX];
    for (unsigned i = 0; i < plain_count; i++)
        all[i] = &plains[i];
    expect_allow(&router, (struct cnc_slice){ "", 0 }, all, plain_count, 16);
    cnc_router_deinit(&router);
    for (unsigned i = 0; i < plain_count; i++)
        free((char *)(uintptr_t)plains[i].pattern);
    return 0;
}
