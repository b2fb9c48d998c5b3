/* SPDX-License-Identifier: MIT */
#include "load/plan.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { STAGGER_NS = 100000 };

static bool has_field(const char *headers, const char *name)
{
    for (const char *p = headers; *p; p = strchr(p, '\n') + 1)
        if (strncasecmp(p, name, strlen(name)) == 0)
            return true;
    return false;
}

static int prepare(struct prepared *p, const struct workload_request *r, bool close, const char *host)
{
    char length[48] = "";
    bool has_host = has_field(r->headers, "Host:");
    if (r->body)
        snprintf(length, sizeof length, "Content-Length: %zu\r\n", r->body_len);
    int n = asprintf(&p->bytes, "%s %s HTTP/1.1\r\n%s%s%s%s%s%s\r\n", r->method, r->target, has_host ? "" : "Host: ",
                     has_host ? "" : host, has_host ? "" : "\r\n", r->headers, close ? "Connection: close\r\n" : "", length);
    if (n < 0) {
        p->bytes = NULL;
        return -ENOMEM;
    }
    p->len = (size_t)n + r->body_len;
    char *whole = realloc(p->bytes, p->len + 1);
    if (!whole)
        return -ENOMEM;
    p->bytes = whole;
    if (r->body)
        memcpy(whole + n, r->body, r->body_len);
    p->is_head = strcmp(r->method, "HEAD") == 0;
    p->status = r->status;
    expected_init(&p->expected, r->expect);
    return 0;
}

int plan_init(struct plan *p, const struct workload *w, const struct workload_group *g, const char *host)
{
    int64_t spread = (int64_t)w->warmup_ms * 500000 / g->connections;
    *p = (struct plan){
        .group = g,
        .interval_ns = g->rate > 0 ? 1e9 * g->connections / g->rate : 0,
        .timeout_ns = (int64_t)w->timeout_ms * 1000000,
        .slow_ns = (int64_t)g->slow_ms * 1000000,
        .stagger_ns = spread < STAGGER_NS ? spread : STAGGER_NS,
        .requests = calloc(g->request_count + 1, sizeof *p->requests),
    };
    for (size_t i = 0; p->requests && i < g->request_count; i++) {
        int rc = prepare(&p->requests[i], &g->requests[i], g->kind == WORKLOAD_CLOSE, host);
        if (rc < 0)
            return rc;
        p->weights += g->requests[i].weight;
        p->requests[i].weight_to = p->weights;
    }
    return p->requests ? 0 : -ENOMEM;
}

void plan_deinit(struct plan *p)
{
    for (size_t i = 0; p->requests && i < p->group->request_count; i++)
        free(p->requests[i].bytes);
    free(p->requests);
    p->requests = NULL;
}

const struct prepared *plan_pick(const struct plan *p, uint32_t chance)
{
    const struct prepared *r = p->requests;
    for (uint32_t at = chance % p->weights; r->weight_to <= at;)
        r++;
    return r;
}
