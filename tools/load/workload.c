/* SPDX-License-Identifier: MIT */
#include "load/workload_internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const kind_names[WORKLOAD_KINDS] = {
    [WORKLOAD_KEEPALIVE] = "keepalive", [WORKLOAD_CLOSE] = "close",         [WORKLOAD_PIPELINE] = "pipeline",
    [WORKLOAD_IDLE] = "idle",           [WORKLOAD_SLOW_SEND] = "slow_send", [WORKLOAD_SLOW_READ] = "slow_read",
};

const char *workload_kind_name(enum workload_kind kind)
{
    return kind_names[kind];
}

int workload_kind_parse(const char *name)
{
    for (int kind = 0; kind < WORKLOAD_KINDS; kind++)
        if (strcmp(kind_names[kind], name) == 0)
            return kind;
    return -EINVAL;
}

bool workload_kind_is_active(enum workload_kind kind)
{
    return kind == WORKLOAD_KEEPALIVE || kind == WORKLOAD_CLOSE || kind == WORKLOAD_PIPELINE;
}

static unsigned active_connections(const struct workload *w)
{
    unsigned sum = 0;
    for (size_t i = 0; i < w->group_count; i++)
        if (workload_kind_is_active(w->groups[i].kind))
            sum += w->groups[i].connections;
    return sum;
}

void workload_set_rate(struct workload *w, double per_second)
{
    unsigned all = active_connections(w);
    for (size_t i = 0; i < w->group_count; i++) {
        struct workload_group *g = &w->groups[i];
        if (workload_kind_is_active(g->kind))
            g->rate = per_second * g->connections / all;
    }
}

double workload_theory(const struct workload *w, const char *engine)
{
    for (size_t i = 0; i < w->at_once_count; i++)
        if (w->wait_ms > 0 && strcmp(w->at_once[i].engine, engine) == 0)
            return w->at_once[i].count * 1000 / w->wait_ms;
    return 0;
}

static void free_request(struct workload_request *r)
{
    free(r->method);
    free(r->target);
    free(r->headers);
    free(r->body);
    free(r->expect);
}

static void free_group(struct workload_group *g)
{
    for (size_t i = 0; i < g->request_count; i++)
        free_request(&g->requests[i]);
    free(g->requests);
    free(g->name);
}

void workload_free(struct workload **wp)
{
    struct workload *w = *wp;
    *wp = NULL;
    if (!w)
        return;
    for (size_t i = 0; i < w->group_count; i++)
        free_group(&w->groups[i]);
    for (size_t i = 0; i < w->setting_count; i++) {
        free(w->settings[i].engine);
        free(w->settings[i].option);
        free(w->settings[i].value);
    }
    for (size_t i = 0; i < w->at_once_count; i++)
        free(w->at_once[i].engine);
    free(w->groups);
    free(w->settings);
    free(w->at_once);
    free(w->name);
    free(w->title);
    free(w->source);
    free(w);
}

static bool is_target(const char *path)
{
    for (const char *p = path; *p; p++)
        if (*p <= ' ' || *p == 0x7f || *p == '#')
            return false;
    return *path == '/';
}

static bool fill_group(struct workload_group *g, const char *path)
{
    g->kind = WORKLOAD_KEEPALIVE;
    g->connections = 64;
    g->depth = 1;
    g->name = strdup("clients");
    g->requests = calloc(1, sizeof *g->requests);
    if (!g->name || !g->requests)
        return false;
    g->request_count = 1;
    g->requests[0] = (struct workload_request){
        .method = strdup("GET"), .target = strdup(path), .headers = strdup(""), .status = 200, .weight = 1
    };
    return g->requests[0].method && g->requests[0].target && g->requests[0].headers;
}

static struct workload *make(const char *path)
{
    struct workload *w = calloc(1, sizeof *w);
    if (!w)
        return NULL;
    w->duration_ms = WORKLOAD_DURATION_MS;
    w->warmup_ms = WORKLOAD_WARMUP_MS;
    w->timeout_ms = WORKLOAD_TIMEOUT_MS;
    w->name = strdup(path);
    w->title = strdup(path);
    w->groups = calloc(1, sizeof *w->groups);
    w->group_count = w->groups ? 1 : 0;
    if (!w->name || !w->title || !w->groups || !fill_group(w->groups, path))
        workload_free(&w);
    return w;
}

int workload_from_path(const char *path, struct workload **out, char *error, size_t error_len)
{
    if (!is_target(path)) {
        snprintf(error, error_len, "%.200s: a path begins with / and has no blank and no #", path);
        return -EINVAL;
    }
    *out = make(path);
    if (!*out)
        snprintf(error, error_len, "out of memory");
    return *out ? 0 : -ENOMEM;
}
