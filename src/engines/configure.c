/* SPDX-License-Identifier: MIT */
#include "engines/configure.h"

#include "base/error.h"
#include "base/sys.h"

/* How long a read of an accepted socket may block; 0: it does not. */
static int64_t receive_wait(const struct cnc_engine_ops *ops, const struct cnc_config *cfg)
{
    return ops->blocking_sockets && !ops->sets_own_wait ? cfg->park_after : 0;
}

static unsigned share_of_connections(const struct cnc_engine_ops *ops, const struct cnc_config *cfg)
{
    int64_t n = ops->divides_connections ? cfg->workers : 1;
    return (unsigned)((cfg->connections_max + n - 1) / n);
}

static void fit_engine(struct cnc_setup *setup)
{
    setup->ops = cnc_engine_find(setup->cfg.engine);
    if (!setup->ops)
        return;
    setup->receive_wait_ms = receive_wait(setup->ops, &setup->cfg);
    setup->connections_max = share_of_connections(setup->ops, &setup->cfg);
}

/* Builds a set-up from options, which it owns from then on, and the environment. Returns as cnc_configure(). */
static int build(concur_server *server, struct cnc_options *options, struct cnc_setup **out)
{
    int env = cnc_options_load_env(options);
    if (env == CONCUR_E_NOMEM) {
        cnc_options_destroy(&options);
        return env;
    }
    int rc = cnc_setup_create(out, options, &server->routes);
    if (*out)
        fit_engine(*out);
    for (size_t i = 0; *out && i < CNC_LISTEN_MAX; i++)
        (*out)->factories[i] = server->factory;
    return rc < 0 ? rc : env;
}

int cnc_configure(concur_server *server, struct cnc_setup **out)
{
    struct cnc_options *options = cnc_options_copy(server->options, CNC_LAYERS_SAID);
    *out = NULL;
    return options ? build(server, options, out) : CONCUR_E_NOMEM;
}

int cnc_configure_check(const concur_server *server, const struct cnc_setup *setup)
{
    const struct cnc_engine_ops *ops = setup->ops;
    if (!ops)
        return cnc_error_set(CONCUR_E_UNSUPPORTED, "engine %s is not in this build", cnc_engine_name(setup->cfg.engine));
    if (setup->cfg.listen.count == 0)
        return cnc_error_set(CONCUR_E_LISTEN, "no address to listen on: call concur_server_listen() or set the option listen");
    if (ops->plan && (server->needs & CONCUR_NEED_SHARED_MEMORY))
        return cnc_error_set(CONCUR_E_UNSUPPORTED,
                             "engine %s has several processes, but the program's handlers must share memory "
                             "(concur_server_require())", ops->name);
    return cnc_setup_check(setup);
}

/* ---- reload ---- */

static bool same_addresses(const struct cnc_config_list *now, const struct cnc_config_list *before)
{
    bool same = now->count == before->count;
    for (size_t i = 0; i < now->count && same; i++)
        same = strcmp(now->items[i], before->items[i]) == 0;
    return same;
}

/* Logs all mistakes. The first one becomes the thread's last error. */
static int configure_refuse(concur_server *server, const struct cnc_options *options, int rc)
{
    const char *lines = cnc_options_errors(options);
    size_t n = strcspn(lines, "\n");
    if (n == 0)
        return rc;
    cnc_log_lines(&server->log, CONCUR_LOG_ERROR, lines);
    return cnc_error_set(rc, "%.*s", (int)n, lines);
}

int cnc_configure_again(concur_server *server, struct cnc_setup **out)
{
    struct cnc_options *options = cnc_options_copy(server->options, CNC_LAYERS_OWN);
    int file = CONCUR_OK;
    *out = NULL;
    if (!options)
        return cnc_error_set(CONCUR_E_NOMEM, "out of memory");
    if (server->config_path)
        file = cnc_options_load_file(options, server->config_path);
    if (file < 0) {
        file = configure_refuse(server, options, file);
        cnc_options_destroy(&options);
        return file;
    }
    int rc = build(server, options, out);
    if (rc == CONCUR_E_NOMEM)
        return cnc_error_set(rc, "out of memory");
    if (rc == CONCUR_OK)
        rc = cnc_configure_check(server, *out);
    else
        rc = configure_refuse(server, (*out)->options, rc);
    if (rc == CONCUR_OK && !same_addresses(&(*out)->cfg.listen, &server->setup->cfg.listen))
        rc = cnc_error_set(CONCUR_E_OPTION, "listen: cannot change while the server runs");
    if (rc < 0)
        cnc_setup_unref(out);
    return rc;
}
