/* SPDX-License-Identifier: MIT */
#include "server/route_notes.h"

#include <stdio.h>

#define LINE_MAX_LEN 600
#define METHOD_MAX_LEN 16

struct notes {
    void (*say)(void *arg, int level, const char *line);
    void *arg;
};

static struct cnc_slice route_notes_path_of(const struct cnc_route *route)
{
    const char *space = strchr(route->pattern, ' ');
    const char *path = space ? space + 1 : route->pattern;
    return (struct cnc_slice){ path, strlen(path) };
}

static struct cnc_slice route_notes_next_segment(struct cnc_slice *path)
{
    const char *p = path->p + 1, *end = path->p + path->n, *stop = memchr(p, '/', (size_t)(end - p));
    stop = stop ? stop : end;
    *path = (struct cnc_slice){ stop, (size_t)(end - stop) };
    return (struct cnc_slice){ p, (size_t)(stop - p) };
}

static bool route_notes_is_name(struct cnc_slice s)
{
    for (size_t i = 0; i < s.n; i++)
        if (!cnc_is_alpha(s.p[i]) && !cnc_is_digit(s.p[i]) && s.p[i] != '_' && s.p[i] != '-')
            return false;
    return s.n > 0;
}

/* Notes parameters that are written as in other libraries: here they are literal text. */
static void note_segment(const struct notes *n, const struct cnc_route *route, struct cnc_slice s)
{
    char line[LINE_MAX_LEN];
    struct cnc_slice colon = { s.p + 1, s.n ? s.n - 1 : 0 }, angles = { s.p + 1, s.n > 1 ? s.n - 2 : 0 };
    bool has_angles = s.n > 2 && s.p[0] == '<' && s.p[s.n - 1] == '>' && route_notes_is_name(angles);
    if (!has_angles && !(s.n > 1 && s.p[0] == ':' && route_notes_is_name(colon)))
        return;
    struct cnc_slice name = has_angles ? angles : colon;
    (void)snprintf(line, sizeof line, "route \"%.200s\": %.*s is literal text; a parameter is written {%.*s}",
                   route->pattern, (int)(s.n < 60 ? s.n : 60), s.p, (int)(name.n < 60 ? name.n : 60), name.p);
    n->say(n->arg, CONCUR_LOG_WARN, line);
}

/* Notes methods that are not upper case. Methods are case-sensitive (RFC 9110 §9.1), and no client sends "get". */
static void note_method(const struct notes *n, const struct cnc_route *route, struct cnc_slice method)
{
    char line[LINE_MAX_LEN], upper[METHOD_MAX_LEN];
    if (method.n >= sizeof upper || cnc_http_method_parse(method.p, method.n) != CNC_HTTP_OTHER)
        return;
    for (size_t i = 0; i < method.n; i++)
        upper[i] = (char)(method.p[i] >= 'a' && method.p[i] <= 'z' ? method.p[i] - 0x20 : method.p[i]);
    if (cnc_http_method_parse(upper, method.n) == CNC_HTTP_OTHER)
        return;
    (void)snprintf(line, sizeof line, "route \"%.200s\": methods are case-sensitive; did you mean %.*s?",
                   route->pattern, (int)method.n, upper);
    n->say(n->arg, CONCUR_LOG_WARN, line);
}

static bool is_parameter(struct cnc_slice s)
{
    return s.n > 2 && s.p[0] == '{' && s.p[s.n - 1] == '}';
}

/* Do both segments match the same text? The names of parameters do not matter. */
static bool same_path(struct cnc_slice a, struct cnc_slice b)
{
    while (a.n && b.n) {
        struct cnc_slice x = route_notes_next_segment(&a), y = route_notes_next_segment(&b);
        bool rest = x.n && y.n && x.p[0] == '*' && y.p[0] == '*';
        if (!rest && !(is_parameter(x) && is_parameter(y)) && !cnc_slice_equal(x, y))
            return false;
    }
    return a.n == b.n;
}

static bool has_method(const struct cnc_route *route, struct cnc_slice method)
{
    int id = cnc_http_method_parse(method.p, method.n);
    if (id != CNC_HTTP_OTHER && route->method_bits >> id & 1) /* HEAD with GET */
        return true;
    for (unsigned i = 0; i < route->method_count; i++)
        if (cnc_slice_equal(route->methods[i], method))
            return true;
    return route->method_count == 0;
}

/* Does before take every request that later could take? */
static bool covers(const struct cnc_route *before, const struct cnc_route *later)
{
    if (later->method_count == 0 && before->method_count)
        return false;
    for (unsigned i = 0; i < later->method_count; i++)
        if (!has_method(before, later->methods[i]))
            return false;
    return same_path(route_notes_path_of(before), route_notes_path_of(later));
}

static void note_cover(const struct notes *n, const struct cnc_route *before, const struct cnc_route *route)
{
    char line[LINE_MAX_LEN];
    bool same = before->handler == route->handler && before->arg == route->arg;
    (void)snprintf(line, sizeof line, "route \"%.200s\": \"%.200s\" was added before and takes the same requests; %s",
                   route->pattern, before->pattern,
                   same ? "this one does nothing" : "this one gets those that it declines");
    n->say(n->arg, same ? CONCUR_LOG_WARN : CONCUR_LOG_INFO, line);
}

void cnc_route_notes(const struct cnc_router *r, void (*say)(void *arg, int level, const char *line), void *arg)
{
    struct notes n = { say, arg };
    for (const struct cnc_route *route = r->first; route; route = route->next) {
        const struct cnc_route *before = r->first;
        struct cnc_slice rest = route_notes_path_of(route);
        for (unsigned i = 0; i < route->method_count; i++)
            note_method(&n, route, route->methods[i]);
        while (rest.n)
            note_segment(&n, route, route_notes_next_segment(&rest));
        while (before != route && !covers(before, route))
            before = before->next;
        if (before != route)
            note_cover(&n, before, route);
    }
}
