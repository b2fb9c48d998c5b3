/* SPDX-License-Identifier: MIT
 *
 * A server whose nth allocation, read, write, descriptor or thread fails, for every n that a clean run reaches (in
 * steps, so that it does not take long; where the steps begin changes with the seed). Requests may fail then; but
 * nothing crashes, nobody waits for ever, every request ends, and once the system is well again so is the server.
 */
#include <sys/eventfd.h>

#include "base/fault.h"
#include "live.h"

#ifdef CNC_FAULTS

#define BUDGET_MS 1200 /* for one engine and one kind of fault */

static int engines[8];
static uint64_t seed;

/* What was promised and what came. */
static atomic_uint begun, ended, extra;

static int on_end(concur_request *r, int rc, void *arg)
{
    (void)r, (void)rc, (void)arg;
    atomic_fetch_add(&ended, 1);
    return 0;
}

static int on_any(concur_request *r, void *arg)
{
    if (arg)
        atomic_fetch_sub(&extra, 1);
    return concur_reply_text(r, 200, "hello");
}

static int on_done(concur_request *r, int rc, void *arg)
{
    atomic_fetch_sub(&extra, 1);
    (void)arg;
    return rc < 0 ? rc : concur_reply_text(r, 200, "hello");
}

/* Every handler begins with this. */
static int watch(concur_request *r)
{
    int rc = concur_request_on_end(r, on_end, NULL);
    if (rc == CONCUR_OK)
        atomic_fetch_add(&begun, 1);
    return rc;
}

static int promised(int rc)
{
    if (rc < 0)
        atomic_fetch_sub(&extra, 1);
    return rc;
}

static int plain(concur_request *r, void *arg)
{
    (void)arg;
    int rc = watch(r);
    (void)concur_request_get(r, CONCUR_IN_QUERY, "a");
    (void)concur_request_get(r, CONCUR_IN_COOKIE, "a");
    (void)concur_request_peer(r);
    (void)concur_request_id(r);
    (void)concur_reply_header(r, "X-Large", arg);
    return rc < 0 ? rc : concur_reply_text(r, 200, "hello");
}

static int whole(concur_request *r, void *arg)
{
    size_t n;
    (void)arg;
    int rc = watch(r);
    const void *body = concur_request_body(r, &n);
    (void)concur_request_get(r, CONCUR_IN_FORM, "a");
    (void)concur_request_body_fd(r);
    return rc < 0 ? rc : concur_reply_printf(r, 200, NULL, "%zu %d %01500d", n, body != NULL, 0);
}

static int on_data(concur_request *r, const void *data, size_t n, void *arg)
{
    (void)r, (void)data, (void)n, (void)arg;
    return CONCUR_OK;
}

static int stream(concur_request *r, void *arg)
{
    int rc = watch(r);
    (void)arg;
    if (rc < 0)
        return rc;
    atomic_fetch_add(&extra, 1);
    return promised(concur_request_on_body(r, on_data, on_done, NULL));
}

static int on_pull(concur_request *r, void *out, size_t *n, void *arg)
{
    unsigned *left = arg;
    (void)r;
    memset(out, 'x', *n);
    if (*left == 0)
        *n = 0;
    else
        (*left)--;
    return CONCUR_OK;
}

static int pull(concur_request *r, void *arg)
{
    (void)arg;
    int rc = watch(r);
    unsigned *left = concur_request_alloc(r, sizeof *left);
    if (rc < 0 || !left)
        return CONCUR_E_NOMEM;
    *left = 4;
    return concur_reply_pull(r, 200, NULL, -1, on_pull, left);
}

static int push_more(concur_request *r, void *arg)
{
    static const char bytes[30000];
    unsigned *left = arg;
    while (*left > 0) {
        (*left)--;
        int rc = concur_reply_write(r, bytes, sizeof bytes);
        if (rc == CONCUR_AGAIN)
            return concur_reply_on_drain(r, push_more, left);
        if (rc < 0)
            return rc;
    }
    return concur_reply_end(r);
}

static int push(concur_request *r, void *arg)
{
    (void)arg;
    int rc = watch(r);
    unsigned *left = concur_request_alloc(r, sizeof *left);
    if (rc < 0 || !left)
        return CONCUR_E_NOMEM;
    *left = 8;
    rc = concur_reply_begin(r, 200, NULL);
    return rc < 0 ? rc : push_more(r, left);
}

static int work(void *arg)
{
    (void)arg;
    return 0;
}

static int offload(concur_request *r, void *arg)
{
    int rc = watch(r);
    if (rc < 0)
        return rc;
    atomic_fetch_add(&extra, 1);
    return promised(concur_request_offload(r, work, on_done, arg));
}

static int after(concur_request *r, void *arg)
{
    int rc = watch(r);
    if (rc < 0)
        return rc;
    atomic_fetch_add(&extra, 1);
    return promised(concur_request_after(r, 1, on_any, arg));
}

static int await(concur_request *r, void *arg)
{
    int rc = watch(r);
    if (rc < 0)
        return rc;
    atomic_fetch_add(&extra, 1);
    return promised(concur_request_await(r, *(int *)arg, CONCUR_READ, 1000, on_done, NULL));
}

static int ticket(concur_request *r, void *arg)
{
    int rc = watch(r);
    concur_ticket *t = rc < 0 ? NULL : concur_request_defer(r);
    if (!t)
        return CONCUR_E_NOMEM;
    atomic_fetch_add(&extra, 1);
    rc = promised(concur_ticket_post(t, on_any, arg));
    concur_ticket_release(t);
    return rc;
}

/* ---- the server and its script ---- */

static int ready_fd;

static void set_up(concur_server *s)
{
    static const char *const options[][2] = {
        { "environment", "off" }, { "pool_threads", "2" }, { "threads_max", "4" }, { "body_memory", "600" },
        { "output_high", "32k" }, { "output_low", "8k" }, { "body_timeout", "2s" }, { "write_timeout", "2s" },
        { "request_timeout", "3s" }, { "linger_timeout", "50ms" }, { "drain_idle", "0" },
    };
    static char large[3000];
    memset(large, 'x', sizeof large - 1);
    for (size_t i = 0; i < sizeof options / sizeof options[0]; i++)
        (void)concur_server_set(s, NULL, options[i][0], options[i][1]);
    (void)concur_server_listen(s, "127.0.0.1:0");
    (void)concur_server_route(s, "GET /hello", 0, plain, large);
    (void)concur_server_route(s, "GET /block", CONCUR_ROUTE_BLOCKING, plain, large);
    (void)concur_server_route(s, "POST /whole", 0, whole, NULL);
    (void)concur_server_route(s, "POST /block-whole", CONCUR_ROUTE_BLOCKING, whole, NULL);
    (void)concur_server_route(s, "POST /stream", CONCUR_ROUTE_STREAM, stream, NULL);
    (void)concur_server_route(s, "POST /block-stream", CONCUR_ROUTE_STREAM | CONCUR_ROUTE_BLOCKING, stream, NULL);
    (void)concur_server_route(s, "GET /pull", 0, pull, NULL);
    (void)concur_server_route(s, "GET /block-pull", CONCUR_ROUTE_BLOCKING, pull, NULL);
    (void)concur_server_route(s, "GET /push", 0, push, NULL);
    (void)concur_server_route(s, "GET /block-push", CONCUR_ROUTE_BLOCKING, push, NULL);
    (void)concur_server_route(s, "GET /offload", 0, offload, &ready_fd);
    (void)concur_server_route(s, "GET /after", 0, after, &ready_fd);
    (void)concur_server_route(s, "GET /block-after", CONCUR_ROUTE_BLOCKING, after, &ready_fd);
    (void)concur_server_route(s, "GET /await", 0, await, &ready_fd);
    (void)concur_server_route(s, "GET /ticket", 0, ticket, &ready_fd);
    (void)concur_server_route(s, "GET /block-ticket", CONCUR_ROUTE_BLOCKING, ticket, &ready_fd);
}

/* Whatever comes back: an answer or the end of the connection, but something. */
static void ask(const struct live *l, const char *method, const char *path, size_t body, bool chunked)
{
    struct live_peer p = { .fd = live_try_connect(l) };
    struct live_answer a;
    char text[8192];
    ck_assert_msg(p.fd >= 0, "%s: connect: %s", l->name, strerror(errno));
    int n = snprintf(text, sizeof text, "%s %s?a=1 HTTP/1.1\r\nHost: t\r\nCookie: a=1\r\n", method, path);
    if (body && chunked)
        n += snprintf(text + n, sizeof text - (size_t)n, "Transfer-Encoding: chunked\r\n\r\n%zx\r\n%0*d\r\n0\r\n\r\n",
                      body, (int)body, 0);
    else if (body)
        n += snprintf(text + n, sizeof text - (size_t)n,
                      "Content-Type: application/x-www-form-urlencoded\r\nContent-Length: %zu\r\n\r\n%0*d", body,
                      (int)body, 0);
    else
        n += snprintf(text + n, sizeof text - (size_t)n, "\r\n");
    errno = 0;
    (void)(live_send_n(&p, text, (size_t)n) && live_receive(&p, &a, false));
    ck_assert_msg(errno != EAGAIN && errno != EWOULDBLOCK, "%s: %s %s: no answer and no end", l->name, method, path);
    live_close(&p);
}

static void script(const struct live *l)
{
    ask(l, "GET", "/hello", 0, false);
    ask(l, "GET", "/block", 0, false);
    ask(l, "GET", "/none", 0, false);
    ask(l, "POST", "/whole", 300, false);
    ask(l, "POST", "/whole", 5000, true); /* to a file */
    ask(l, "POST", "/block-whole", 300, true);
    ask(l, "POST", "/stream", 4000, true);
    ask(l, "POST", "/block-stream", 4000, false);
    ask(l, "GET", "/pull", 0, false);
    ask(l, "GET", "/block-pull", 0, false);
    ask(l, "GET", "/push", 0, false);
    ask(l, "GET", "/block-push", 0, false);
    ask(l, "GET", "/offload", 0, false);
    ask(l, "GET", "/after", 0, false);
    ask(l, "GET", "/block-after", 0, false);
    ask(l, "GET", "/await", 0, false);
    ask(l, "GET", "/ticket", 0, false);
    ask(l, "GET", "/block-ticket", 0, false);
}

/* One life with a fault in it. Returns the uses of kind that it took. */
static unsigned one_life(int engine, enum cnc_fault_kind kind, unsigned nth, bool and_after)
{
    struct live l = { .name = concur_engine_name(engine) };
    unsigned fds = live_descriptors();
    atomic_store(&begun, 0);
    atomic_store(&ended, 0);
    atomic_store(&extra, 0);
    cnc_fault_arm(kind, nth, and_after);
    l.server = concur_server_new(engine, NULL);
    if (l.server)
        set_up(l.server);
    int rc = l.server ? concur_server_start(l.server) : CONCUR_E_NOMEM;
    if (rc == CONCUR_OK) {
        live_find(&l);
        if (kind != CNC_FAULT_OPEN || !and_after) /* nobody is accepted then, until it is over */
            script(&l);
    }
    unsigned count = cnc_fault_count(kind);
    cnc_fault_arm(kind, 0, false);
    if (rc == CONCUR_OK) {
        char body[64] = "";
        int status = live_get(&l, "/hello", body, sizeof body);
        ck_assert_msg(status == 200, "%s: kind %d, nth %u: %d afterwards", l.name, (int)kind, nth, status);
        ck_assert_str_eq(body, "hello");
        live_end(&l, 0);
    } else {
        ck_assert_msg(nth != 0, "%s: %d: %s", l.name, rc, concur_server_error(l.server));
        concur_server_free(l.server);
    }
    ck_assert_msg(atomic_load(&begun) == atomic_load(&ended), "%s: kind %d, nth %u: %u requests, %u ended", l.name,
                  (int)kind, nth, atomic_load(&begun), atomic_load(&ended));
    ck_assert_msg(atomic_load(&extra) == 0, "%s: kind %d, nth %u: %u callbacks missing", l.name, (int)kind, nth,
                  atomic_load(&extra));
    ck_assert_msg(live_other_threads() == 0, "%s: kind %d, nth %u: a thread is left", l.name, (int)kind, nth);
    ck_assert_msg(live_descriptors() == fds, "%s: kind %d, nth %u: descriptors are left", l.name, (int)kind, nth);
    return count;
}

static int64_t now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static void each_fault(enum cnc_fault_kind kind, int engine, bool and_after)
{
    ready_fd = eventfd(1, EFD_CLOEXEC);
    int64_t began = now_ms();
    unsigned count = one_life(engine, kind, 0, false);
    int64_t took = now_ms() - began + 5;
    ck_assert_uint_gt(count, 0);
    unsigned step = (unsigned)((int64_t)count * took / BUDGET_MS) + 1;
    step *= and_after ? 4 : 1; /* accepting pauses after each failure */
    struct live_random random = live_random_of(seed, (uint64_t)kind);
    for (unsigned nth = 1 + live_below(&random, step); nth <= count; nth += step)
        (void)one_life(engine, kind, nth, and_after);
    close(ready_fd);
}

#define KINDS 6
static const enum cnc_fault_kind kinds[KINDS] = { CNC_FAULT_ALLOC, CNC_FAULT_READ, CNC_FAULT_WRITE,
                                                  CNC_FAULT_OPEN,  CNC_FAULT_WAIT, CNC_FAULT_THREAD };

START_TEST(the_nth_fails)
{
    each_fault(kinds[_i % KINDS], engines[_i / KINDS], false);
}
END_TEST

START_TEST(all_fail_from_the_nth_on)
{
    each_fault(kinds[_i % KINDS], engines[_i / KINDS], true);
}
END_TEST

int main(void)
{
    seed = live_seed();
    int n = (int)live_engines(engines);
    if (n == 0)
        return EXIT_FAILURE;
    Suite *s = suite_create("api_faults");
    TCase *t = tcase_create("faults");
    tcase_add_checked_fixture(t, live_count_own_threads, NULL);
    tcase_set_timeout(t, 100);
    tcase_add_loop_test(t, the_nth_fails, 0, n * KINDS);
    tcase_add_loop_test(t, all_fail_from_the_nth_on, 0, n * KINDS);
    suite_add_tcase(s, t);
    SRunner *runner = srunner_create(s);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
#else
int main(void)
{
    return EXIT_SUCCESS; /* faults cannot be injected into this build */
}
#endif
