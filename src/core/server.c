/* SPDX-License-Identifier: MIT */
#include "core/server.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/error.h"
#include "base/sys.h"

static _Thread_local concur_server *inside; /* whose callbacks this thread runs */

concur_server *cnc_server_enter(concur_server *server)
{
    concur_server *before = inside;
    inside = server;
    return before;
}

void cnc_server_leave(concur_server *before)
{
    inside = before;
}

bool cnc_server_is_inside(const concur_server *server)
{
    return inside == server;
}

bool cnc_server_is_late(const concur_server *server)
{
    int64_t stop_at = atomic_load_explicit(&server->stop_at, memory_order_relaxed);
    return CNC_UNLIKELY(stop_at != INT64_MAX) && cnc_clock_now(server->clock) >= stop_at;
}

int cnc_server_note(concur_server *server, int code, const char *fmt, ...)
{
    char line[512];
    va_list args;
    va_start(args, fmt);
    vsnprintf(line, sizeof line, fmt, args);
    va_end(args);
    size_t old = server->errors ? strlen(server->errors) : 0, n = strlen(line);
    char *grown = cnc_realloc(server->errors, old + n + 2);
    if (grown) {
        memcpy(grown + old, line, n);
        memcpy(grown + old + n, "\n", 2);
        server->errors = grown;
    }
    if (!server->first_error)
        server->first_error = code;
    return cnc_error_set(code, "%s", line);
}

static uint32_t bounded(int64_t v)
{
    return v > UINT32_MAX / 2 ? UINT32_MAX / 2 : (uint32_t)v;
}

static void fill_limits(struct cnc_conn_limits *l, const struct cnc_config *cfg)
{
    *l = (struct cnc_conn_limits){
        .http = { .line_max = bounded(cfg->line_max), .head_max = bounded(cfg->head_max),
                  .fields_max = bounded(cfg->fields_max), .chunk_ext_max = bounded(cfg->chunk_ext_max),
                  .trailer_max = bounded(cfg->trailer_max) },
        .body_rate_min = cfg->body_rate_min,
        .output_high = (size_t)cfg->output_high,
        .output_low = (size_t)(cfg->output_low < cfg->output_high ? cfg->output_low : cfg->output_high),
        .pipeline_max = (size_t)cfg->pipeline_max,
        .linger_max = bounded(cfg->linger_max),
        .requests_max = bounded(cfg->keepalive_requests),
        .retry_after_s = bounded((cfg->retry_after + 999) / 1000),
        .half_close = cfg->half_close == CNC_HALF_CLOSE_ALLOW,
    };
    l->class_ms[CNC_CLASS_FRESH] = cfg->header_timeout;
    l->class_ms[CNC_CLASS_HEAD] = cfg->header_timeout;
    l->class_ms[CNC_CLASS_KEEPALIVE] = cfg->keepalive_timeout;
    l->class_ms[CNC_CLASS_BODY] = cfg->body_timeout;
    l->class_ms[CNC_CLASS_WRITE] = cfg->write_timeout;
    l->class_ms[CNC_CLASS_LINGER] = cfg->linger_timeout;
    l->class_ms[CNC_CLASS_DRAIN] = cfg->drain_idle;
}

static int fill_route(concur_server *server, struct cnc_route *route)
{
    int rc = cnc_options_resolve_route(server->options, route->pattern, &route->cfg);
    if (route->cfg.blocking == CNC_BLOCKING_AUTO)
        route->blocking = (route->flags & CONCUR_ROUTE_BLOCKING) != 0;
    else
        route->blocking = route->cfg.blocking == CNC_BLOCKING_ON;
    return rc;
}

/* Where large bodies go: the option, else TMPDIR, which a setuid program must not believe. */
static const char *spool_dir(const struct cnc_config *cfg)
{
    const char *tmp = secure_getenv("TMPDIR");
    return *cfg->body_dir ? cfg->body_dir : tmp && *tmp ? tmp : "/tmp";
}

int cnc_server_configure(concur_server *server)
{
    int rc = cnc_options_resolve(server->options, &server->cfg);
    if (rc == CONCUR_E_NOMEM)
        return rc; /* cfg is not filled then */
    for (struct cnc_route *r = server->router.first; r; r = r->next) {
        int route_rc = fill_route(server, r);
        if (rc == CONCUR_OK)
            rc = route_rc;
    }
    fill_limits(&server->limits, &server->cfg);
    server->spool_dir = spool_dir(&server->cfg);
    return rc;
}

void cnc_server_ready(concur_server *server)
{
    pthread_mutex_lock(&server->mu);
    server->ready = true;
    pthread_cond_broadcast(&server->changed);
    pthread_mutex_unlock(&server->mu);
    if (server->announces)
        (void)cnc_server_hooks(server, CONCUR_HOOK_EVENT, "ready");
}
