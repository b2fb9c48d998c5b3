/* SPDX-License-Identifier: MIT
 *
 * The server's life: run, start, stop, wait, free.
 */
#include <stdio.h>

#include "api/api.h"
#include "base/error.h"
#include "base/sys.h"
#include "serve/serving.h"
#include "serve/sockets.h"
#include "server/place.h"
#include "server/route_notes.h"
#include "server/signals.h"
#include "tree/tree.h"

#define PATIENCE_MS 1000

static void log_note(void *arg, int level, const char *line)
{
    cnc_log(&((concur_server *)arg)->log, level, "%s", line);
}

/* All that run and start do before requests are served: checks, and opens the stop's eventfd, the sockets and, without a
 * master, the engine. */
static int life_prepare(concur_server *s)
{
    if (cnc_server_is_inside(s))
        return CONCUR_E_HOME;
    int rc = concur_server_check(s);
    if (rc < 0)
        return rc;
    cnc_server_log_notes(s, s->setup);
    cnc_route_notes(&s->routes, log_note, s);
    if (cnc_server_open_stop(s) < 0)
        return cnc_api_fail(s, CONCUR_E_SYS, "%s", cnc_error_text());
    rc = cnc_server_claim(s);
    if (rc == CONCUR_OK)
        rc = cnc_sockets_open(s, !cnc_tree_is_due(s));
    if (rc == CONCUR_OK && !cnc_tree_is_due(s)) {
        rc = s->setup->ops->worker.open(s);
        if (rc < 0)
            cnc_sockets_close(s);
    }
    if (rc < 0) {
        cnc_server_close_stop(s);
        return rc == CONCUR_E_NOMEM ? rc : cnc_api_fail(s, rc, "%s", cnc_error_text());
    }
    atomic_store(&s->state, CNC_SERVER_RUNNING);
    return CONCUR_OK;
}

static void close_engine(concur_server *s)
{
    if (!cnc_tree_is_due(s))
        s->setup->ops->worker.close(s);
    cnc_sockets_close(s);
}

/* Without a master: this process serves, on the calling thread, until the server has stopped. WORKER_EXIT hooks follow in
 * finish(). */
static int life_serve_here(concur_server *s, bool may_give_up)
{
    int rc = cnc_server_hooks(s, CONCUR_HOOK_WORKER_START, "");
    if (rc < 0)
        return cnc_api_fail(s, rc, "%s", cnc_error_text());
    s->hooked = true;
    return s->setup->ops->worker.run(s, may_give_up);
}

/* The server has stopped with rc. Closes under the lock: other threads read engine and sockets for status and addresses. After
 * CONCUR_E_BUSY code of the program still runs, so nothing is closed. */
static void finish(concur_server *s, int rc)
{
    pthread_mutex_lock(&s->mu);
    if (rc == CONCUR_E_BUSY)
        s->leaked = true;
    else
        close_engine(s);
    atomic_store(&s->state, CNC_SERVER_STOPPED);
    pthread_mutex_unlock(&s->mu);
    if (s->hooked && !s->leaked)
        (void)cnc_server_hooks(s, CONCUR_HOOK_WORKER_EXIT, "");
    pthread_mutex_lock(&s->mu);
    s->ready = true;
    s->finished = true;
    s->result = rc;
    if (s->host_fd >= 0)
        (void)cnc_sys_eventfd_raise(s->host_fd); /* the library never reads it, so it stays readable */
    pthread_cond_broadcast(&s->changed);
    pthread_mutex_unlock(&s->mu);
}

/* ---- run ---- */

int concur_server_run(concur_server *s)
{
    if (!s)
        return CONCUR_E_INVAL;
    if (cnc_server_is_copy(s))
        return CONCUR_E_FORKED;
    if (cnc_server_is_inside(s))
        return CONCUR_E_HOME;
    if (!cnc_signals_claim())
        return cnc_error_set(CONCUR_E_STATE, "another run of this process is under way");
    s->log.to_stderr = cnc_sys_is_open(STDERR_FILENO); /* if it is closed, the number will become another file's */
    int rc = life_prepare(s);
    if (rc == CONCUR_OK) {
        concur_server *before = cnc_server_enter(s);
        cnc_signals_take(s);
        s->announces = !cnc_tree_is_due(s);
        rc = cnc_tree_is_due(s) ? cnc_tree_run(s) : life_serve_here(s, true);
        cnc_signals_give_back();
        cnc_server_leave(before);
        if (rc < 0 && rc != CONCUR_E_BUSY)
            (void)cnc_api_fail(s, rc, "%s", cnc_error_text());
        finish(s, rc);
    }
    if (rc < 0 && rc != CONCUR_E_BUSY)
        cnc_log_lines(&s->log, CONCUR_LOG_ERROR, concur_server_error(s));
    s->log.to_stderr = false;
    cnc_signals_release();
    return rc;
}

/* ---- start ---- */

static void *life_serve(void *arg)
{
    concur_server *s = arg;
    (void)cnc_server_enter(s);
    int rc = life_serve_here(s, false);
    pthread_mutex_lock(&s->mu);
    if (rc < 0)
        (void)snprintf(s->end_error, sizeof s->end_error, "%s", cnc_error_text());
    pthread_mutex_unlock(&s->mu);
    finish(s, rc);
    return NULL;
}

/* The thread starts with all signals blocked, so that the host's threads get the host's signals. */
static int start_thread(concur_server *s)
{
    sigset_t old;
    pthread_attr_t attr;
    s->host_fd = cnc_sys_eventfd();
    int err = s->host_fd < 0 ? errno : 0;
    pthread_attr_init(&attr);
    pthread_attr_setstacksize(&attr, (size_t)s->setup->cfg.thread_stack);
    cnc_sys_block_signals(&old);
    if (!err)
        err = cnc_sys_thread(&s->thread, &attr, life_serve, s);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    pthread_attr_destroy(&attr);
    if (!err)
        return CONCUR_OK;
    close_engine(s);
    atomic_store(&s->state, CNC_SERVER_STOPPED);
    char why[128];
    return cnc_api_fail(s, CONCUR_E_SYS, "%s: %s", s->host_fd < 0 ? "eventfd" : "cannot start a thread",
                        cnc_sys_why_no_process(why, sizeof why, err));
}

/* Starts the master, which does the rest with its children. */
static int start_tree(concur_server *s)
{
    int rc = cnc_tree_start(s);
    s->has_tree = rc == CONCUR_OK;
    if (rc == CONCUR_OK)
        return rc;
    rc = cnc_api_fail(s, rc, "%s", cnc_error_text());
    cnc_sockets_close(s);
    atomic_store(&s->state, CNC_SERVER_STOPPED);
    return rc;
}

static void join(concur_server *s)
{
    if (s->has_thread)
        pthread_join(s->thread, NULL);
    s->has_thread = false;
}

int concur_server_start(concur_server *s)
{
    if (!s)
        return CONCUR_E_INVAL;
    if (cnc_server_is_copy(s))
        return CONCUR_E_FORKED;
    int rc = life_prepare(s);
    if (rc == CONCUR_OK && cnc_tree_is_due(s))
        return start_tree(s);
    if (rc == CONCUR_OK)
        rc = start_thread(s);
    if (rc < 0)
        return rc;
    s->has_thread = true;
    pthread_mutex_lock(&s->mu);
    while (!s->ready)
        pthread_cond_wait(&s->changed, &s->mu);
    bool failed = s->finished && s->result < 0;
    rc = failed ? s->result : CONCUR_OK;
    pthread_mutex_unlock(&s->mu);
    if (failed)
        join(s);
    else
        (void)cnc_server_hooks(s, CONCUR_HOOK_EVENT, "ready");
    return rc;
}

/* ---- stop, wait, free ---- */

/* Async-signal-safe, as is concur_server_reload(): uses atomics, getpid(), a clock and writes to an eventfd, and restores
 * errno. */
int concur_server_stop(concur_server *s, unsigned deadline_ms)
{
    int saved = errno;
    if (!s)
        return CONCUR_E_INVAL;
    if (cnc_server_is_copy(s))
        return CONCUR_E_FORKED;
    if (atomic_load(&s->state) == CNC_SERVER_SETUP)
        return CONCUR_E_STATE;
    if (s->place.is_child) /* the whole server stops, not this process */
        cnc_place_stop_all(s, deadline_ms);
    else
        cnc_place_stop(s, deadline_ms);
    errno = saved;
    return CONCUR_OK;
}

int concur_server_reload(concur_server *s)
{
    if (!s)
        return CONCUR_E_INVAL;
    if (cnc_server_is_copy(s))
        return CONCUR_E_FORKED;
    if (atomic_load(&s->state) != CNC_SERVER_RUNNING || !s->place.board)
        return CONCUR_E_STATE;
    int saved = errno;
    cnc_place_reload(s);
    errno = saved;
    return CONCUR_OK;
}

int concur_server_fd(concur_server *s)
{
    if (!s)
        return CONCUR_E_INVAL;
    if (cnc_server_is_copy(s))
        return CONCUR_E_FORKED;
    if (!s->has_tree && !s->has_thread)
        return CONCUR_E_STATE;
    if (s->has_tree)
        return s->place.link;
    return s->host_fd;
}

int concur_server_dispatch(concur_server *s)
{
    if (!s)
        return CONCUR_E_INVAL;
    if (cnc_server_is_copy(s))
        return CONCUR_E_FORKED;
    if (!s->has_tree && !s->has_thread)
        return CONCUR_E_STATE;
    if (s->has_tree)
        return cnc_tree_dispatch(s);
    pthread_mutex_lock(&s->mu);
    bool over = s->finished;
    pthread_mutex_unlock(&s->mu);
    return over ? CONCUR_E_GONE : CONCUR_OK;
}

static int wait_tree(concur_server *s)
{
    s->result = cnc_tree_wait(s, -1);
    s->has_tree = false;
    pthread_mutex_lock(&s->mu);
    atomic_store(&s->state, CNC_SERVER_STOPPED);
    cnc_sockets_close(s); /* this process has closed its copies already: frees what it knew of them, such as addresses */
    pthread_mutex_unlock(&s->mu);
    return s->result;
}

/* mu held. Waits until the server has finished. Once a stop was asked for, waits at most until PATIENCE_MS after its deadline,
 * or after the beginning of this call if that is later. So a second call waits again for code of the program that still
 * runs. */
static void wait_locked(concur_server *s)
{
    int64_t began = cnc_clock_now(s->clock);
    while (!s->finished) {
        int64_t stop_at = atomic_load(&s->stop_at);
        int64_t from = stop_at > began ? stop_at : began, now = cnc_clock_now(s->clock);
        int64_t left = stop_at == INT64_MAX ? PATIENCE_MS : from + PATIENCE_MS - now;
        if (left <= 0)
            return;
        struct timespec until = cnc_sys_in_ms(left);
        (void)pthread_cond_timedwait(&s->changed, &s->mu, &until);
    }
}

int concur_server_wait(concur_server *s)
{
    if (!s)
        return CONCUR_E_INVAL;
    if (cnc_server_is_copy(s))
        return CONCUR_E_FORKED;
    if (cnc_server_is_inside(s))
        return CONCUR_E_HOME;
    if (s->has_tree)
        return wait_tree(s);
    if (!s->has_thread)
        return atomic_load(&s->state) == CNC_SERVER_STOPPED ? s->result : CONCUR_E_STATE;
    pthread_mutex_lock(&s->mu);
    wait_locked(s);
    bool over = s->finished;
    int rc = over ? s->result : CONCUR_E_BUSY;
    pthread_mutex_unlock(&s->mu);
    if (over)
        join(s);
    return over && *s->end_error ? cnc_api_fail(s, rc, "%s", s->end_error) : rc;
}

void concur_server_free(concur_server *s)
{
    if (!s || cnc_server_is_copy(s)) /* in a forked process its locks may be held by threads that do not exist there */
        return;
    if (cnc_server_is_inside(s)) {
        cnc_log(&s->log, CONCUR_LOG_ERROR, "concur_server_free() was called in a callback of the server, and does nothing");
        return;
    }
    if (s->has_thread) {
        (void)concur_server_stop(s, 0);
        if (concur_server_wait(s) == CONCUR_E_BUSY)
            return; /* code of the program still runs and uses the server */
    }
    if (s->has_tree) {
        (void)concur_server_stop(s, 0);
        (void)concur_server_wait(s);
    }
    if (!s->leaked)
        cnc_api_destroy(s);
}
