/* SPDX-License-Identifier: MIT
 *
 * The routes of concur-demo, as programs would write them.
 */
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "demo.h"

/* helpers */

static int count_end(concur_request *r, int rc, void *arg)
{
    (void)r, (void)rc, (void)arg;
    DEMO_COUNT(ended);
    return CONCUR_OK;
}

static int count_cancel(concur_request *r, int rc, void *arg)
{
    (void)r, (void)rc, (void)arg;
    DEMO_COUNT(cancelled);
    return CONCUR_OK;
}

int demo_track(concur_request *r)
{
    int rc = concur_request_on_end(r, count_end, NULL);
    if (rc < 0)
        return rc;
    DEMO_COUNT(requests);
    return concur_request_on_cancel(r, count_cancel, NULL);
}

/* Accepts digits only; strtoull() would also accept signs and white space. */
static bool parse_number(const char *text, uint64_t max, uint64_t *out)
{
    uint64_t n = 0;
    if (!text || !*text)
        return false;
    for (; *text; text++) {
        unsigned digit = (unsigned)(unsigned char)*text - '0';
        if (digit > 9 || digit > max || n > (max - digit) / 10)
            return false;
        n = n * 10 + digit;
    }
    *out = n;
    return true;
}

bool demo_number(concur_request *r, const char *name, uint64_t max, uint64_t *out)
{
    if (parse_number(concur_request_get(r, CONCUR_IN_PARAM, name), max, out))
        return true;
    concur_reply_printf(r, 400, NULL, "%s must be a number from 0 to %" PRIu64 ".\n", name, max);
    return false;
}

int64_t demo_query_number(concur_request *r, const char *name, int64_t otherwise)
{
    uint64_t n;
    return parse_number(concur_request_get(r, CONCUR_IN_QUERY, name), INT64_MAX, &n) ? (int64_t)n : otherwise;
}

void demo_block(unsigned ms)
{
    struct timespec left = { (time_t)(ms / 1000), (long)(ms % 1000) * 1000000 };
    while (ms && nanosleep(&left, &left) < 0 && errno == EINTR)
        continue;
}

int demo_after(concur_request *r, unsigned ms, concur_handler_fn timer, void *arg)
{
    int rc = concur_request_after(r, ms, timer, arg);
    if (rc == CONCUR_OK)
        DEMO_COUNT(timers);
    return rc;
}

int demo_offload(concur_request *r, concur_work_fn work, concur_done_fn done, void *arg)
{
    int rc = concur_request_offload(r, work, done, arg);
    if (rc == CONCUR_OK)
        DEMO_COUNT(offloads);
    return rc;
}

int demo_on_body(concur_request *r, concur_data_fn data, concur_done_fn end, void *arg)
{
    int rc = concur_request_on_body(r, data, end, arg);
    if (rc == CONCUR_OK)
        DEMO_COUNT(bodies);
    return rc;
}

/* GET / and GET /hello/{name}: not counted, since load tools measure them */

static int hello_world(concur_request *r, void *arg)
{
    (void)arg;
    return concur_reply_text(r, 200, "Hello, World!");
}

static int hello_name(concur_request *r, void *arg)
{
    (void)arg;
    return concur_reply_printf(r, 200, NULL, "hello %s", concur_request_get(r, CONCUR_IN_PARAM, "name"));
}

/* any /echo: sends the body back. If a piece has made the output exceed output_high, no more is read until the client
 * has taken some of it. */

struct echo {
    bool written; /* the piece that will be given again was written already */
};

static int echo_drained(concur_request *r, void *arg)
{
    (void)arg;
    return concur_request_resume(r);
}

static int echo_data(concur_request *r, const void *data, size_t n, void *arg)
{
    struct echo *echo = arg;
    if (echo->written) {
        echo->written = false;
        return CONCUR_OK;
    }
    int rc = concur_reply_write(r, data, n);
    if (rc != CONCUR_AGAIN)
        return rc;
    echo->written = true;
    rc = concur_reply_on_drain(r, echo_drained, echo);
    return rc == CONCUR_OK ? CONCUR_AGAIN : rc;
}

static int echo_end(concur_request *r, int rc, void *arg)
{
    (void)arg;
    DEMO_COUNT(bodies_run);
    return rc < 0 ? rc : concur_reply_end(r);
}

static int echo(concur_request *r, void *arg)
{
    (void)arg;
    struct echo *echo = concur_request_alloc(r, sizeof *echo);
    int rc = echo ? demo_track(r) : CONCUR_E_NOMEM;
    if (rc < 0)
        return rc;
    echo->written = false;
    rc = demo_on_body(r, echo_data, echo_end, echo); /* before the reply, since a client may wait for 100 Continue */
    return rc < 0 ? rc : concur_reply_begin(r, 200, concur_request_get(r, CONCUR_IN_HEADER, "Content-Type"));
}

/* POST /submit: counts the body without keeping it */

static int submit_data(concur_request *r, const void *data, size_t n, void *arg)
{
    (void)r, (void)data;
    *(uint64_t *)arg += n;
    return CONCUR_OK;
}

static int submit_end(concur_request *r, int rc, void *arg)
{
    DEMO_COUNT(bodies_run);
    return rc < 0 ? rc : concur_reply_printf(r, 200, NULL, "%" PRIu64 " bytes", *(uint64_t *)arg);
}

static int submit(concur_request *r, void *arg)
{
    (void)arg;
    uint64_t *total = concur_request_alloc(r, sizeof *total);
    int rc = total ? demo_track(r) : CONCUR_E_NOMEM;
    if (rc < 0)
        return rc;
    *total = 0;
    return demo_on_body(r, submit_data, submit_end, total);
}

/* GET /bytes/{n}: pulled, so that ten billion bytes need no memory */

static int resume(concur_request *r, void *arg)
{
    (void)arg;
    DEMO_COUNT(timers_run);
    return concur_request_resume(r);
}

int demo_pattern_pull(concur_request *r, void *out, size_t *n, void *arg)
{
    static const char pattern[65] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz-\n";
    struct demo_pattern *p = arg;
    if (p->hesitate && (p->hesitated = !p->hesitated)) {
        int rc = demo_after(r, 1, resume, NULL);
        return rc < 0 ? rc : CONCUR_AGAIN;
    }
    char *to = out;
    size_t want = p->end - p->at < *n ? (size_t)(p->end - p->at) : *n;
    size_t done = 0;
    while (done < want) {
        size_t from = (size_t)((p->at + done) % 64);
        size_t some = 64 - from < want - done ? 64 - from : want - done;
        memcpy(to + done, pattern + from, some);
        done += some;
    }
    p->at += done;
    *n = done;
    return CONCUR_OK;
}

static int bytes(concur_request *r, void *arg)
{
    (void)arg;
    uint64_t n;
    if (!demo_number(r, "n", UINT64_C(10000000000), &n))
        return CONCUR_OK;
    struct demo_pattern *pattern = concur_request_alloc(r, sizeof *pattern);
    int rc = pattern ? demo_track(r) : CONCUR_E_NOMEM;
    if (rc < 0)
        return rc;
    *pattern = (struct demo_pattern){ .end = n };
    return concur_reply_pull(r, 200, "application/octet-stream", (int64_t)n, demo_pattern_pull, pattern);
}

/* GET /stream/{n}: pushed as fast as the client takes it */

struct stream {
    uint64_t next, count;
};

static int stream_on(concur_request *r, void *arg)
{
    struct stream *s = arg;
    while (s->next < s->count) {
        char chunk[40];
        int n = snprintf(chunk, sizeof chunk, "chunk %" PRIu64 "\n", s->next++);
        int rc = concur_reply_write(r, chunk, (size_t)n);
        if (rc == CONCUR_AGAIN)
            return concur_reply_on_drain(r, stream_on, s);
        if (rc < 0)
            return rc;
    }
    return concur_reply_end(r);
}

static int stream(concur_request *r, void *arg)
{
    (void)arg;
    uint64_t n;
    if (!demo_number(r, "n", 1000000000, &n))
        return CONCUR_OK;
    struct stream *s = concur_request_alloc(r, sizeof *s);
    int rc = s ? demo_track(r) : CONCUR_E_NOMEM;
    if (rc < 0)
        return rc;
    *s = (struct stream){ .count = n };
    rc = concur_reply_begin(r, 200, "text/plain");
    return rc < 0 ? rc : stream_on(r, s);
}

/* GET /sleep/{ms}, /block/{ms}, /stall/{ms}, /offload/{ms}: four ways to wait. /block/{ms}?begun=1 sends 102 before. */

static int slept(concur_request *r, void *arg)
{
    DEMO_COUNT(timers_run);
    return concur_reply_printf(r, 200, NULL, "slept %u ms\n", *(unsigned *)arg); /* E_GONE if run early */
}

static int blocked(concur_request *r, int rc, void *arg)
{
    DEMO_COUNT(offloads_run);
    return rc < 0 ? rc : concur_reply_printf(r, 200, NULL, "offloaded %u ms\n", *(unsigned *)arg);
}

static int block_work(void *arg)
{
    demo_block(*(unsigned *)arg);
    return CONCUR_OK;
}

/* The path's milliseconds, in memory of the request. NULL: the caller returns *rc. */
static unsigned *milliseconds(concur_request *r, int *rc)
{
    uint64_t n;
    *rc = CONCUR_OK;
    if (!demo_number(r, "ms", DEMO_MS_MAX, &n))
        return NULL;
    unsigned *ms = concur_request_alloc(r, sizeof *ms);
    *rc = ms ? demo_track(r) : CONCUR_E_NOMEM;
    if (*rc < 0)
        return NULL;
    *ms = (unsigned)n;
    return ms;
}

static int sleep_route(concur_request *r, void *arg)
{
    (void)arg;
    int rc;
    unsigned *ms = milliseconds(r, &rc);
    return ms ? demo_after(r, *ms, slept, ms) : rc;
}

static int block(concur_request *r, void *arg)
{
    (void)arg;
    int rc;
    unsigned *ms = milliseconds(r, &rc);
    if (!ms)
        return rc;
    if (demo_query_number(r, "begun", 0))
        (void)concur_reply_interim(r, 102, NULL, NULL, 0);
    demo_block(*ms);
    return concur_reply_printf(r, 200, NULL, "blocked %u ms\n", *ms);
}

static int offload(concur_request *r, void *arg)
{
    (void)arg;
    int rc;
    unsigned *ms = milliseconds(r, &rc);
    return ms ? demo_offload(r, block_work, blocked, ms) : rc;
}

/* GET /cpu/{n} */

static int cpu(concur_request *r, void *arg)
{
    (void)arg;
    uint64_t rounds, hash = UINT64_C(0x9e3779b97f4a7c15);
    if (!demo_number(r, "n", 1000000000, &rounds))
        return CONCUR_OK;
    for (uint64_t i = 0; i < rounds; i++) {
        hash = (hash ^ (hash >> 31)) * UINT64_C(0xff51afd7ed558ccd);
        hash ^= i;
    }
    return concur_reply_printf(r, 200, NULL, "%016" PRIx64 "\n", hash);
}

/* GET /whoami */

int demo_whoami(concur_request *r, void *arg)
{
    (void)arg;
    concur_server *server = concur_request_server(r);
    return concur_reply_printf(r, 200, "application/json",
                               "{\"engine\":\"%s\",\"pid\":%ld,\"tid\":%ld,\"worker\":%d,\"generation\":%d}\n",
                               concur_engine_name(concur_server_engine(server)), (long)getpid(), (long)gettid(),
                               concur_server_worker(server), concur_server_generation(server));
}

/* With --unsafe only */

static int crash(concur_request *r, void *arg)
{
    (void)r, (void)arg;
    abort();
}

static int hang(concur_request *r, void *arg)
{
    (void)r, (void)arg;
    while (pause() < 0)
        continue;
    return CONCUR_OK;
}

/* Forks a child that keeps all descriptors open until it is killed, or for a minute. */
static pid_t fork_child(void)
{
    pid_t pid = fork();
    if (pid != 0)
        return pid;
    signal(SIGALRM, SIG_DFL);
    alarm(60);
    while (pause() < 0)
        continue;
    _exit(0);
}

static int cut_short(concur_request *r, void *arg)
{
    (void)r, (void)arg;
    return CONCUR_E_UPSTREAM;
}

/* Replies with the child's pid; ?cut=1: and aborts the reply. */
static int fork_route(concur_request *r, void *arg)
{
    const int64_t cut = demo_query_number(r, "cut", 0);
    char pid[32];
    (void)arg;
    int n = snprintf(pid, sizeof pid, "%ld\n", (long)fork_child());
    if (!cut)
        return concur_reply_text(r, 200, pid);
    int rc = concur_reply_begin(r, 200, "text/plain");
    if (rc == CONCUR_OK)
        rc = concur_reply_write(r, pid, (size_t)n);
    return rc < 0 ? rc : demo_after(r, 300, cut_short, NULL);
}

static const struct demo_route routes[] = {
    { "GET /", 0, hello_world },
    { "GET /hello/{name}", 0, hello_name },
    { "/echo", CONCUR_ROUTE_STREAM, echo },
    { "POST /submit", CONCUR_ROUTE_STREAM, submit },
    { "POST /test/submit-away", CONCUR_ROUTE_STREAM | CONCUR_ROUTE_BLOCKING, submit },
    { "GET /bytes/{n}", 0, bytes },
    { "GET /stream/{n}", 0, stream },
    { "GET /sleep/{ms}", 0, sleep_route },
    { "GET /block/{ms}", CONCUR_ROUTE_BLOCKING, block },
    { "GET /stall/{ms}", 0, block },
    { "GET /offload/{ms}", 0, offload },
    { "GET /cpu/{n}", 0, cpu },
    { "GET /whoami", 0, demo_whoami },
};

/* Asks for a reload, as SIGHUP does. */
static int reload(concur_request *r, void *arg)
{
    (void)arg;
    int rc = concur_server_reload(concur_request_server(r));
    return concur_reply_printf(r, rc < 0 ? 409 : 202, NULL, "%s\n", concur_strerror(rc));
}

/* Leaks several blocks, since a pointer to the last one may still be in a register or on the stack. */
static int leak(concur_request *r, void *arg)
{
    (void)arg;
    for (int i = 0; i < 16; i++) {
        char *volatile p = malloc(100);
        p = NULL;
        (void)p;
    }
    return concur_reply_text(r, 200, "leaked\n");
}

static const struct demo_route unsafe_routes[] = {
    { "POST /test/reload", 0, reload },
    { "GET /crash", 0, crash },
    { "GET /hang", 0, hang },
    { "GET /test/fork", 0, fork_route },
    { "GET /test/leak", 0, leak },
};

void demo_routes_add(concur_server *server, bool is_unsafe)
{
    for (size_t i = 0; i < sizeof routes / sizeof *routes; i++)
        concur_server_route(server, routes[i].pattern, routes[i].flags, routes[i].handler, NULL);
    for (size_t i = 0; is_unsafe && i < sizeof unsafe_routes / sizeof *unsafe_routes; i++)
        concur_server_route(server, unsafe_routes[i].pattern, unsafe_routes[i].flags, unsafe_routes[i].handler, NULL);
}
