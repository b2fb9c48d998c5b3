/* SPDX-License-Identifier: MIT */
#include "serve/bodies.h"

#include "base/sys.h"
#include "server/route_hooks.h"

#define CHUNKS_EXTRA 1024 /* bytes that chunk sizes and trailers may add to a small body; they may double a large one */

/* Does a function of the program run first? It may refuse the request without its body. */
static bool is_asked_first(const struct cnc_route_hooks *hooks, struct cnc_slice path)
{
    for (unsigned i = 0; i < hooks->count; i++)
        if (hooks->items[i].before && cnc_route_hook_covers(&hooks->items[i], path))
            return true;
    return false;
}

/* NULL: no route, or a function of the program runs first. path: room for the decoded path. */
static const struct cnc_route *bodies_route(const struct cnc_router *router, const struct cnc_http_head *head,
                                            const char *bytes, char *path)
{
    struct cnc_match match;
    struct cnc_slice method = { bytes + head->method_text.at, head->method_text.len };
    long n = cnc_http_path_of(path, head, bytes);
    struct cnc_slice decoded = { path, n > 0 ? (size_t)n : 0 };
    if (n < 0 || cnc_router_find(router, head->method, method, decoded, 0, &match) != CNC_ROUTE_FOUND)
        return NULL;
    return match.route->hooked && is_asked_first(router->hooks, decoded) ? NULL : match.route;
}

bool cnc_bodies_want(concur_server *server, const struct cnc_http_head *head, const char *bytes, size_t bytes_max,
                     struct cnc_early_terms *out)
{
    size_t sum_max = (size_t)server->setup->cfg.early_body_max;
    char *path = sum_max ? cnc_malloc(head->path.len + 2) : NULL;
    const struct cnc_route *route = path ? bodies_route(&server->setup->router, head, bytes, path) : NULL;
    cnc_free(path);
    if (!route || (route->flags & CONCUR_ROUTE_STREAM))
        return false;
    int64_t most = route->cfg.body_memory < route->cfg.body_max ? route->cfg.body_memory : route->cfg.body_max;
    size_t chunked_max = head->len + 2 * (size_t)most + CHUNKS_EXTRA;
    *out = (struct cnc_early_terms){ .body_max = most, .timeout_ms = route->cfg.request_timeout, .sum = &server->early_bytes,
                                     .sum_max = sum_max, .bytes_max = bytes_max < chunked_max ? bytes_max : chunked_max };
    return head->content_length <= most && (head->content_length < 0 || head->len + (size_t)head->content_length <= bytes_max);
}
