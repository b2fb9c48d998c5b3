/* SPDX-License-Identifier: MIT */
#include "server/setup.h"

#include "base/error.h"
#include "base/sys.h"
#include "server/route_hooks.h"

#define IN_MEMORY_MAX (64 * 1024 * 1024) /* as the option body_memory */

static uint32_t bounded(int64_t v)
{
    return v > UINT32_MAX / 2 ? UINT32_MAX / 2 : (uint32_t)v;
}

static uint32_t requests_max(const struct cnc_config *cfg)
{
    if (cfg->keepalive_timeout == 0)
        return 1;
    return cfg->keepalive_requests ? bounded(cfg->keepalive_requests) : UINT32_MAX;
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
        .output_max = (size_t)(cfg->output_max > cfg->output_high ? cfg->output_max : cfg->output_high),
        .pipeline_max = (size_t)cfg->pipeline_max,
        .linger_max = bounded(cfg->linger_max),
        .requests_max = requests_max(cfg),
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
    l->class_ms[CNC_CLASS_UPGRADED] = cfg->keepalive_timeout ? cfg->keepalive_timeout : cfg->write_timeout;
}

/* The directory for large bodies: body_dir, else TMPDIR, which is ignored in a setuid program, else /tmp. */
static char *find_spool_dir(const struct cnc_config *cfg)
{
    const char *tmp = secure_getenv("TMPDIR");
    return cnc_strdup(*cfg->body_dir ? cfg->body_dir : tmp && *tmp ? tmp : "/tmp");
}

/* No body of this route is written to a file: those that are too large for memory are refused. */
static void keep_in_memory(struct cnc_route_config *cfg)
{
    if (cfg->body_max > IN_MEMORY_MAX)
        cfg->body_max = IN_MEMORY_MAX;
    if (cfg->body_memory < cfg->body_max)
        cfg->body_memory = cfg->body_max;
}

static int add_route(struct cnc_setup *setup, const struct cnc_route *given)
{
    int rc = cnc_router_add(&setup->router, given->pattern, given->flags, given->handler, given->arg);
    if (rc < 0)
        return rc;
    struct cnc_route *route = CNC_CONTAINER(setup->router.tail, struct cnc_route, next);
    const struct cnc_route_hooks *hooks = setup->router.hooks;
    route->hooked = hooks && cnc_route_hooks_may_cover(hooks, route->pattern);
    rc = cnc_options_resolve_route(setup->options, route->pattern, &route->cfg);
    if (route->flags & CONCUR_ROUTE_IN_MEMORY)
        keep_in_memory(&route->cfg);
    if (route->cfg.blocking == CNC_BLOCKING_AUTO)
        route->blocking = (route->flags & CONCUR_ROUTE_BLOCKING) != 0;
    else
        route->blocking = route->cfg.blocking == CNC_BLOCKING_ON;
    return rc;
}

/* Goes on after an error in the options, so that all of them are reported. Returns the first. */
static int setup_fill(struct cnc_setup *setup, const struct cnc_router *routes)
{
    int rc = cnc_options_resolve(setup->options, &setup->cfg);
    if (rc == CONCUR_E_NOMEM)
        return rc; /* cfg was not filled */
    setup->router.hooks = routes->hooks;
    for (const struct cnc_route *r = routes->first; r; r = r->next) {
        int one = add_route(setup, r);
        if (one == CONCUR_E_NOMEM)
            return one;
        rc = rc == CONCUR_OK ? one : rc;
    }
    fill_limits(&setup->limits, &setup->cfg);
    setup->spool_dir = find_spool_dir(&setup->cfg);
    return setup->spool_dir ? rc : CONCUR_E_NOMEM;
}

int cnc_setup_create(struct cnc_setup **out, struct cnc_options *options, const struct cnc_router *routes)
{
    struct cnc_setup *setup = cnc_calloc(1, sizeof *setup);
    *out = NULL;
    if (!setup) {
        cnc_options_destroy(&options);
        return CONCUR_E_NOMEM;
    }
    setup->refs = 1;
    setup->options = options;
    cnc_router_init(&setup->router);
    int rc = setup_fill(setup, routes);
    if (rc == CONCUR_E_NOMEM)
        cnc_setup_unref(&setup);
    *out = setup;
    return rc;
}

void cnc_setup_ref(struct cnc_setup *setup)
{
    setup->refs++;
}

void cnc_setup_unref(struct cnc_setup **setup_)
{
    struct cnc_setup *setup = *setup_;
    *setup_ = NULL;
    if (!setup || --setup->refs)
        return;
    cnc_ledger_close(&setup->ledger);
    cnc_router_deinit(&setup->router);
    cnc_options_destroy(&setup->options);
    cnc_free(setup->spool_dir);
    cnc_free(setup);
}

/* The default directory is not checked, since many programs get no large bodies. */
int cnc_setup_check(const struct cnc_setup *setup)
{
    const char *dir = setup->cfg.body_dir;
    if (!*dir || cnc_sys_can_create_in(dir))
        return CONCUR_OK;
    return cnc_error_set(CONCUR_E_OPTION, "body_dir=%s: cannot create files there: %s", dir, strerror(errno));
}
