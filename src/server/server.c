/* SPDX-License-Identifier: MIT */
#include "server/server.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/error.h"
#include "base/sys.h"

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

int cnc_server_claim(concur_server *server)
{
    if (!server->here && !(server->here = cnc_sys_map_own(sizeof *server->here)))
        return cnc_error_set(CONCUR_E_NOMEM, "out of memory: no page for the server");
    atomic_store(server->here, 1);
    atomic_store(&server->owner, (long)getpid());
    return CONCUR_OK;
}

void cnc_server_disclaim(concur_server *server)
{
    if (server->here)
        cnc_sys_unmap(server->here, sizeof *server->here);
    server->here = NULL;
}

bool cnc_server_is_copy(const concur_server *server)
{
    long owner = atomic_load(&server->owner);
    return owner && owner != (long)getpid();
}

int cnc_server_open_stop(concur_server *server)
{
    char why[128];
    server->stop_fd = cnc_sys_eventfd();
    server->stop_copy = server->stop_fd < 0 ? -1 : cnc_sys_copy(server->stop_fd);
    if (server->stop_copy >= 0)
        return CONCUR_OK;
    int rc = cnc_error_set(CONCUR_E_SYS, "eventfd: %s", cnc_files_why(why, sizeof why, errno, CNC_FILES_PROCESS));
    cnc_server_close_stop(server);
    return rc;
}

void cnc_server_close_stop(concur_server *server)
{
    cnc_sys_close(&server->stop_fd);
    cnc_sys_close(&server->stop_copy);
}

void cnc_server_raise(concur_server *server)
{
    if (server->stop_fd >= 0 && !cnc_sys_eventfd_raise(server->stop_fd))
        (void)cnc_sys_eventfd_raise(server->stop_copy);
}

void cnc_server_runs_short(concur_server *server, const char *cost)
{
    int64_t now = cnc_clock_now(server->clock);
    long long before = atomic_load(&server->short_at);
    if (now - before < 1000 || !atomic_compare_exchange_strong(&server->short_at, &before, now)) {
        atomic_fetch_add(&server->shorts, 1);
        return;
    }
    unsigned more = atomic_exchange(&server->shorts, 0);
    if (more)
        cnc_log(&server->log, CONCUR_LOG_WARN, "%s: %s (%u more since the last such line)", cost, cnc_error_text(), more);
    else
        cnc_log(&server->log, CONCUR_LOG_WARN, "%s: %s", cost, cnc_error_text());
}

/* stop_timeout is a copy outside the set-up, since a signal handler may need it at any time. */
void cnc_server_adopt(concur_server *server, struct cnc_setup *setup)
{
    struct cnc_setup *before = server->setup;
    atomic_store(&server->stop_timeout, setup->cfg.stop_timeout);
    server->setup = setup;
    cnc_setup_unref(&before);
}

void cnc_server_log_notes(concur_server *server, const struct cnc_setup *setup)
{
    cnc_log_lines(&server->log, CONCUR_LOG_WARN, cnc_options_notes(setup->options, CNC_NOTES_WARNINGS));
    cnc_log_lines(&server->log, CONCUR_LOG_INFO, cnc_options_notes(setup->options, CNC_NOTES_REST));
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
