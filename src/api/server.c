/* SPDX-License-Identifier: MIT
 *
 * The server's set-up. Each function checks its arguments and calls the module that does the work.
 */
#include <stdarg.h>
#include <stdio.h>
#include <sys/random.h>

#include "api/api.h"
#include "base/error.h"
#include "base/sys.h"
#include "tree/tree.h"

static uint64_t random_base(void)
{
    uint64_t v = 0;
    if (getrandom(&v, sizeof v, GRND_NONBLOCK) != sizeof v)
        v = (uint64_t)cnc_clock_now(&cnc_clock_system) * 0x9e3779b97f4a7c15u;
    return v;
}

static int init(concur_server *s)
{
    pthread_condattr_t attr;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_mutex_init(&s->mu, NULL);
    cnc_depot_init(&s->depot);
    pthread_cond_init(&s->changed, &attr);
    pthread_condattr_destroy(&attr);
    cnc_router_init(&s->routes);
    cnc_link_init(&s->hooks);
    s->clock = &cnc_clock_system;
    s->id_base = random_base();
    s->stop_fd = s->stop_copy = -1;
    s->topics.fd = -1;
    s->place = (struct cnc_place){ .link = -1, .lend = -1, .up = -1, .lines = -1, .wake = -1, .master_fd = -1 };
    s->host_fd = -1;
    atomic_init(&s->state, CNC_SERVER_SETUP);
    atomic_init(&s->stop_at, INT64_MAX);
    atomic_init(&s->short_at, INT64_MIN / 2);
    s->options = cnc_options_create();
    return s->options ? CONCUR_OK : CONCUR_E_NOMEM;
}

/* After a change of options or routes: drops the set-up, which was made without the change, and remembers the first error. If
 * an option was wrong, the options keep the sentence about it. */
static int stick(concur_server *s, int rc)
{
    cnc_setup_unref(&s->setup);
    if (rc < 0 && !s->first_error)
        s->first_error = rc;
    return rc;
}

concur_server *concur_server_new(int engine, const char *config)
{
    concur_server *s = cnc_calloc(1, sizeof *s);
    if (!s)
        return NULL;
    if (init(s) < 0) {
        cnc_api_destroy(s);
        return NULL;
    }
    cnc_files_watch_forks();
    const char *name = cnc_engine_name(engine);
    if (!name)
        (void)cnc_server_note(s, CONCUR_E_INVAL, "engine %d: no such engine", engine);
    else if (engine != CONCUR_ENGINE_DEFAULT)
        (void)stick(s, cnc_options_set(s->options, CNC_LAYER_CODE, NULL, "engine", name, NULL));
    if (config) {
        s->config_path = cnc_strdup(config); /* for a reload */
        (void)stick(s, s->config_path ? cnc_options_load_file(s->options, config) : CONCUR_E_NOMEM);
    }
    return s;
}

int concur_server_route(concur_server *s, const char *pattern, unsigned flags, concur_handler_fn handler, void *arg)
{
    if (!s)
        return CONCUR_E_INVAL;
    if (!cnc_api_is_set_up(s))
        return CONCUR_E_STATE;
    if (!pattern)
        return cnc_server_note(s, CONCUR_E_INVAL, "route: no pattern");
    if (!handler)
        return cnc_server_note(s, CONCUR_E_INVAL, "route \"%s\": no handler", pattern);
    if (flags & ~(unsigned)(CONCUR_ROUTE_BLOCKING | CONCUR_ROUTE_STREAM | CONCUR_ROUTE_IN_MEMORY))
        return cnc_server_note(s, CONCUR_E_INVAL, "route \"%s\": unknown flags 0x%x", pattern, flags);
    if ((flags & CONCUR_ROUTE_STREAM) && (flags & CONCUR_ROUTE_IN_MEMORY))
        return cnc_server_note(s, CONCUR_E_INVAL, "route \"%s\": a body comes in pieces or in memory, not both", pattern);
    int rc = cnc_router_add(&s->routes, pattern, flags, handler, arg);
    if (rc == CONCUR_E_INVAL)
        return cnc_server_note(s, rc, "%s", cnc_error_text());
    return stick(s, rc);
}

static int set(concur_server *s, enum cnc_layer layer, const char *section, const char *name, const char *value)
{
    if (!s)
        return CONCUR_E_INVAL;
    if (!cnc_api_is_set_up(s))
        return CONCUR_E_STATE;
    if (!name || !value)
        return cnc_server_note(s, CONCUR_E_INVAL, "option %s: no %s", name ? name : "", name ? "value" : "name");
    return stick(s, cnc_options_set(s->options, layer, section, name, value, NULL));
}

int concur_server_set(concur_server *s, const char *section, const char *name, const char *value)
{
    return set(s, CNC_LAYER_CODE, section, name, value);
}

int concur_server_override(concur_server *s, const char *section, const char *name, const char *value)
{
    return set(s, CNC_LAYER_OVERRIDE, section, name, value);
}

int concur_server_listen(concur_server *s, const char *address)
{
    return set(s, CNC_LAYER_CODE, NULL, "listen", address);
}

int concur_server_log(concur_server *s, concur_log_fn log, void *arg)
{
    if (!s)
        return CONCUR_E_INVAL;
    if (!cnc_api_is_set_up(s))
        return CONCUR_E_STATE;
    s->log.fn = log;
    s->log.arg = arg;
    return CONCUR_OK;
}

int cnc_api_fail(concur_server *s, int code, const char *fmt, ...)
{
    char line[512];
    va_list args;
    va_start(args, fmt);
    int n = vsnprintf(line, sizeof line - 1, fmt, args);
    va_end(args);
    size_t len = n < 0 ? 0 : (size_t)n < sizeof line - 2 ? (size_t)n : sizeof line - 2;
    char *kept = cnc_realloc(s->run_error, len + 2);
    if (kept) {
        memcpy(kept, line, len);
        memcpy(kept + len, "\n", 2);
        s->run_error = kept;
    }
    return cnc_error_set(code, "%s", line);
}

int cnc_api_resolve(concur_server *s)
{
    struct cnc_setup *setup;
    int rc = cnc_configure(s, &setup);
    if (setup)
        cnc_server_adopt(s, setup);
    return rc;
}

int concur_server_check(concur_server *s)
{
    if (!s)
        return CONCUR_E_INVAL;
    if (!cnc_api_is_set_up(s))
        return CONCUR_E_STATE;
    int rc = cnc_api_resolve(s);
    if (s->first_error)
        return s->first_error;
    if (rc < 0)
        return rc;
    rc = cnc_configure_check(s, s->setup);
    return rc < 0 ? cnc_api_fail(s, rc, "%s", cnc_error_text()) : CONCUR_OK;
}

const char *concur_server_error(const concur_server *s)
{
    if (!s)
        return "no server\n";
    concur_server *own = (concur_server *)(uintptr_t)s;
    const char *first = s->errors ? s->errors : "", *second = cnc_options_errors(s->setup ? s->setup->options : s->options);
    const char *third = s->run_error ? s->run_error : "";
    size_t a = strlen(first), b = strlen(second), c = strlen(third);
    char *all = cnc_realloc(own->all_errors, a + b + c + 1);
    if (!all)
        return "out of memory\n";
    memcpy(all, first, a);
    memcpy(all + a, second, b);
    memcpy(all + a + b, third, c + 1);
    own->all_errors = all;
    return all;
}

void cnc_api_destroy(concur_server *s)
{
    cnc_router_deinit(&s->routes);
    cnc_route_hooks_deinit(&s->route_hooks);
    cnc_pages_deinit(&s->pages);
    cnc_setup_unref(&s->setup);
    cnc_shares_deinit(&s->shares);
    cnc_locals_deinit(&s->locals);
    cnc_topics_deinit(&s->topics);
    cnc_server_free_hooks(s);
    cnc_options_destroy(&s->options);
    cnc_server_close_stop(s);
    cnc_tree_close(s);
    cnc_sys_close(&s->host_fd);
    cnc_server_disclaim(s);
    pthread_mutex_destroy(&s->mu);
    cnc_depot_deinit(&s->depot);
    pthread_cond_destroy(&s->changed);
    cnc_free(s->config_path);
    cnc_free(s->errors);
    cnc_free(s->run_error);
    cnc_free(s->all_errors);
    cnc_free(s);
}

const char *concur_engine_name(int engine)
{
    return cnc_engine_name(engine);
}

int concur_engine_parse(const char *name)
{
    return cnc_engine_parse(name);
}
