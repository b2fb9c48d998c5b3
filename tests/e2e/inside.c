/* SPDX-License-Identifier: MIT */
#include "e2e/inside.h"

#include <dirent.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "server/server.h"
#include "e2e/client.h"
#include "e2e/crowd.h"
#include "engines/engine.h"
#include "proc/board.h"

/* ---- routes ---- */

static int hello(concur_request *r, void *arg)
{
    (void)arg;
    return concur_reply_text(r, 200, "Hello, World!");
}

static int whoami(concur_request *r, void *arg)
{
    (void)arg;
    return concur_reply_printf(r, 200, "application/json", "{\"pid\":%ld}\n", (long)getpid());
}

static int block(concur_request *r, void *arg)
{
    const char *ms = concur_request_get(r, CONCUR_IN_PARAM, "ms");
    (void)arg;
    nap_ms((unsigned)strtoul(ms, NULL, 10));
    return concur_reply_text(r, 200, "blocked\n");
}

static void close_loops(void)
{
    DIR *dir = opendir("/proc/self/fd");
    char path[300], to[64];
    int fds[64], n = 0;
    for (struct dirent *e; dir && (e = readdir(dir)) != NULL && n < 64;) {
        snprintf(path, sizeof path, "/proc/self/fd/%s", e->d_name);
        const ssize_t len = readlink(path, to, sizeof to - 1);
        to[len > 0 ? len : 0] = 0;
        if (strcmp(to, "anon_inode:[eventpoll]") == 0)
            fds[n++] = atoi(e->d_name);
    }
    if (dir)
        closedir(dir);
    while (n > 0)
        (void)syscall(SYS_close, fds[--n]); /* ThreadSanitizer is not to judge it */
}

static void limit(enum __rlimit_resource what, rlim_t n)
{
    struct rlimit l;
    getrlimit(what, &l);
    l.rlim_cur = n;
    setrlimit(what, &l);
}

static long pages_of_memory(void)
{
    long pages = 0;
    FILE *f = fopen("/proc/self/statm", "re");
    if (f && fscanf(f, "%ld", &pages) != 1)
        pages = 0;
    if (f)
        fclose(f);
    return pages;
}

static int sick(concur_request *r, void *arg)
{
    const char *how = concur_request_get(r, CONCUR_IN_PARAM, "how"), *pid = concur_request_get(r, CONCUR_IN_QUERY, "pid");
    char *end;
    const long fd = strtol(how, &end, 10);
    (void)arg;
    if (pid && strtol(pid, NULL, 10) != (long)getpid())
        return 409;
    if (!*end)
        (void)syscall(SYS_close, (int)fd);
    else if (strcmp(how, "memory") == 0)
        limit(RLIMIT_AS, 1 << 20);
    else if (strcmp(how, "link") == 0)
        close(concur_request_server(r)->place.lend);
    else if (strcmp(how, "epoll") == 0)
        close_loops();
    else if (strcmp(how, "files") == 0)
        limit(RLIMIT_NOFILE, 3);
    else if (strcmp(how, "threads") == 0)
        limit(RLIMIT_AS, (rlim_t)(pages_of_memory() * sysconf(_SC_PAGESIZE)) + (32 << 20));
    else
        return 404;
    return concur_reply_printf(r, 200, "application/json", "{\"pid\":%ld}\n", (long)getpid());
}

/* ---- life ---- */

static pthread_mutex_t mu = PTHREAD_MUTEX_INITIALIZER; /* lines come on the server's threads as well */

static void on_line(int level, const char *line, void *arg)
{
    struct inside *in = arg;
    const size_t n = strlen(line);
    pthread_mutex_lock(&mu);
    char *grown = realloc(in->log, in->log_len + n + 2);
    (void)level;
    ck_assert_ptr_nonnull(grown);
    memcpy(grown + in->log_len, line, n);
    memcpy(grown + in->log_len + n, "\n", 2);
    in->log = grown;
    in->log_len += n + 1;
    pthread_mutex_unlock(&mu);
}

static int engine_of(const char *name)
{
    int e = 1;
    while (concur_engine_name(e) && strcmp(concur_engine_name(e), name) != 0)
        e++;
    ck_assert_msg(concur_engine_name(e) != NULL, "%s", name);
    return e;
}

void inside_start(struct inside *in, const char *engine, ...)
{
    char address[64];
    va_list list;
    *in = (struct inside){ .engine = engine, .server = concur_server_new(engine_of(engine), NULL) };
    concur_server *s = in->server;
    ck_assert_ptr_nonnull(s);
    ck_assert_int_eq(concur_server_set(s, NULL, "environment", "off"), CONCUR_OK);
    ck_assert_int_eq(concur_server_listen(s, "127.0.0.1:0"), CONCUR_OK);
    va_start(list, engine);
    for (const char *name; (name = va_arg(list, const char *)) != NULL;)
        ck_assert_int_eq(concur_server_set(s, NULL, name, va_arg(list, const char *)), CONCUR_OK);
    va_end(list);
    concur_server_route(s, "GET /", 0, hello, NULL);
    concur_server_route(s, "GET /whoami", 0, whoami, NULL);
    concur_server_route(s, "GET /block/{ms}", CONCUR_ROUTE_BLOCKING, block, NULL);
    concur_server_route(s, "GET /sick/{how}", 0, sick, NULL);
    concur_server_log(s, on_line, in);
    const int rc = concur_server_start(s);
    ck_assert_msg(rc == CONCUR_OK, "%s: %s", concur_strerror(rc), concur_server_error(s));
    ck_assert_int_eq(concur_server_address(s, 0, address, sizeof address), CONCUR_OK);
    in->port = (unsigned)strtoul(strrchr(address, ':') + 1, NULL, 10);
    in->demo = (struct demo){ .engine = engine, .pid = s->place.master ? (pid_t)s->place.master : getpid(), .port = in->port };
}

void inside_stop(struct inside *in)
{
    ck_assert_int_eq(concur_server_stop(in->server, 5000), CONCUR_OK);
    ck_assert_int_eq(concur_server_wait(in->server), CONCUR_OK);
    concur_server_free(in->server);
    free(in->log);
}

void inside_hear(struct inside *in)
{
    if (in->server->place.board)
        (void)concur_server_dispatch(in->server);
}

bool inside_said(struct inside *in, const char *text, unsigned ms)
{
    for (const int64_t deadline = now_ms() + slow(ms);; nap_ms(5)) {
        inside_hear(in);
        pthread_mutex_lock(&mu);
        const bool is_there = in->log && strstr(in->log, text);
        pthread_mutex_unlock(&mu);
        if (is_there)
            return true;
        if (now_ms() >= deadline)
            return false;
    }
}

long inside_status(struct inside *in, const char *name)
{
    char json[131072];
    size_t len = sizeof json;
    ck_assert_int_eq(concur_server_status(in->server, json, &len), CONCUR_OK);
    return json_number(json, name);
}

/* ---- the board ---- */

struct rows {
    struct inside_process *out;
    int count, max;
};

static void take_row(const struct cnc_board_row *row, void *arg)
{
    struct rows *rows = arg;
    if (rows->count == rows->max)
        return;
    rows->out[rows->count++] = (struct inside_process){
        .pid = atomic_load(&row->pid),
        .role = atomic_load(&row->role),
        .state = atomic_load(&row->state),
        .number = atomic_load(&row->number),
        .free = atomic_load(&row->free),
        .lendable = atomic_load(&row->lendable),
        .threads = atomic_load(&row->threads),
        .threads_idle = atomic_load(&row->threads_idle),
        .queued = atomic_load(&row->queued),
    };
}

int inside_look(const struct inside *in, struct inside_process *out, int max)
{
    struct rows rows = { out, 0, max };
    cnc_board_each(in->server->place.board, take_row, &rows);
    return rows.count;
}

struct inside_process inside_worker(const struct inside *in, unsigned number)
{
    static struct inside_process all[INSIDE_PROCESSES_MAX];
    const int n = inside_look(in, all, INSIDE_PROCESSES_MAX);
    for (int i = 0; i < n; i++)
        if (all[i].role == CNC_ROLE_WORKER && all[i].number == number)
            return all[i];
    ck_abort_msg("no worker %u", number);
}

pid_t inside_front(const struct inside *in)
{
    static struct inside_process all[INSIDE_PROCESSES_MAX];
    const int n = inside_look(in, all, INSIDE_PROCESSES_MAX);
    for (int i = 0; i < n; i++)
        if (all[i].role == CNC_ROLE_FRONT)
            return all[i].pid;
    return 0;
}

void inside_heal(pid_t pid)
{
    static const enum __rlimit_resource what[] = { RLIMIT_NOFILE, RLIMIT_AS };
    for (size_t i = 0; i < COUNT(what); i++) {
        struct rlimit l;
        if (prlimit(pid, what[i], NULL, &l) < 0)
            return; /* it has died meanwhile */
        l.rlim_cur = what[i] == RLIMIT_NOFILE && l.rlim_max > 1000 ? 1000 : l.rlim_max;
        (void)prlimit(pid, what[i], &l, NULL);
    }
}
