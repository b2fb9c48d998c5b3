/* SPDX-License-Identifier: MIT
 *
 * What must end does, though memory has run out: from the nth allocation on every one fails in the process that serves, and
 * stops and deadlines still come, on every engine.
 */
#include <poll.h>

#include "base/fault.h"
#include "live.h"

#ifdef CNC_FAULTS

enum { ENGINES = 6, HELD = 3, EACH_UP_TO = 3, BEYOND = 3, FAR = 60 };

static uint64_t seed;

/* In the process that serves, whichever that is. */
static int arm(concur_request *r, void *arg)
{
    const char *nth = concur_request_get(r, CONCUR_IN_QUERY, "nth");
    unsigned n = nth ? (unsigned)strtoul(nth, NULL, 10) : 0;
    (void)arg;
    int rc = concur_reply_text(r, 200, "armed");
    cnc_fault_arm(CNC_FAULT_ALLOC, n, n != 0);
    return rc;
}

static int hello(concur_request *r, void *arg)
{
    (void)arg;
    return concur_reply_text(r, 200, "hello");
}

static int later(concur_request *r, void *arg)
{
    (void)arg;
    return concur_request_after(r, 600000, hello, NULL);
}

static int fill(concur_request *r, void *out, size_t *n, void *arg)
{
    (void)r, (void)arg;
    memset(out, 'x', *n);
    return CONCUR_OK;
}

static int endless(concur_request *r, void *arg)
{
    return concur_reply_pull(r, 200, NULL, -1, fill, arg);
}

static struct live make(int engine, const char *workers)
{
    struct live l = live_new(engine);
    live_set(&l, "workers", workers);
    live_set(&l, "pool_threads", "4");
    live_set(&l, "fork_with_threads", "on");
    live_route(&l, "GET /arm", 0, arm, NULL);
    live_route(&l, "GET /hello", 0, hello, NULL);
    live_route(&l, "GET /later", 0, later, NULL);
    live_route(&l, "GET /block-later", CONCUR_ROUTE_BLOCKING, later, NULL);
    live_route(&l, "GET /endless", 0, endless, NULL);
    return l;
}

static bool is_prefork(const struct live *l)
{
    return strcmp(l->name, "prefork") == 0;
}

/* Requests that only the stop can end, and a connection between two requests. Returns how many there are. */
static unsigned hold(const struct live *l, struct live_peer held[HELD + 1])
{
    static const char *const requests[] = { "GET /later HTTP/1.1\r\nHost: t\r\n\r\n",
                                            "GET /block-later HTTP/1.1\r\nHost: t\r\n\r\n",
                                            "GET /endless HTTP/1.1\r\nHost: t\r\n\r\n" };
    struct live_answer a;
    for (unsigned i = 0; i < HELD; i++) {
        held[i] = live_connect(l);
        ck_assert(live_send(&held[i], requests[i]));
    }
    ck_assert(live_more(&held[HELD - 1]));
    held[HELD] = live_connect(l);
    ck_assert(live_send(&held[HELD], "GET /hello HTTP/1.1\r\nHost: t\r\n\r\n"));
    ck_assert(live_receive(&held[HELD], &a, false));
    return HELD + 1;
}

/* The connection is kept: on prefork its worker is the one whose memory runs out. */
static struct live_peer arm_one(const struct live *l, unsigned nth)
{
    struct live_peer p = live_connect(l);
    struct live_answer a;
    char text[128];
    snprintf(text, sizeof text, "GET /arm?nth=%u HTTP/1.1\r\nHost: t\r\n\r\n", nth);
    ck_assert(live_send(&p, text) && live_receive(&p, &a, false) && a.status == 200);
    return p;
}

static void stop_without_memory(int engine, unsigned nth)
{
    struct live l = make(engine, engine == CONCUR_ENGINE_PREFORK ? "6" : "1");
    struct live_peer held[HELD + 1];
    live_set(&l, "drain_idle", "20ms");
    live_start(&l);
    unsigned n = is_prefork(&l) ? 0 : hold(&l, held); /* each of its workers has one connection at most */
    struct live_peer armed = arm_one(&l, nth);
    ck_assert_int_eq(concur_server_stop(l.server, 30), CONCUR_OK);
    int rc = concur_server_wait(l.server);
    cnc_fault_arm(CNC_FAULT_ALLOC, 0, false);
    ck_assert_msg(rc == CONCUR_OK, "%s, nth %u: %s", l.name, nth, concur_strerror(rc));
    concur_server_free(l.server);
    for (unsigned i = 0; i < n; i++) {
        ck_assert_msg(live_at_end(&held[i]), "%s, nth %u: connection %u did not end", l.name, nth, i);
        live_close(&held[i]);
    }
    live_close(&armed);
}

START_TEST(a_stop_ends)
{
    struct live_random random = live_random_of(seed, (uint64_t)_i);
    for (unsigned nth = 1; nth <= EACH_UP_TO; nth++)
        stop_without_memory(_i + 1, nth);
    for (unsigned i = 0; i < BEYOND; i++)
        stop_without_memory(_i + 1, EACH_UP_TO + 1 + live_below(&random, FAR));
}
END_TEST

/* Until the connection ends, or something comes. */
static void expect_end(const struct live *l, struct live_peer *p, unsigned nth, const char *what)
{
    struct pollfd wait = { .fd = p->fd, .events = POLLIN };
    ck_assert_msg(poll(&wait, 1, LIVE_PATIENCE_S * 1000) == 1, "%s, nth %u: %s never ends", l->name, nth, what);
}

/* A head that does not go on, an idle connection, a request over its time: each goes when its deadline says so. */
static void deadlines_without_memory(int engine, unsigned nth)
{
    struct live l = make(engine, engine == CONCUR_ENGINE_PREFORK ? "6" : "1");
    struct live_answer a;
    live_set(&l, "header_timeout", "120ms");
    live_set(&l, "keepalive_timeout", "80ms");
    live_set(&l, "request_timeout", "100ms");
    live_start(&l);
    struct live_peer slow = live_connect(&l), idle = live_connect(&l), late = live_connect(&l);
    ck_assert(live_send(&idle, "GET /hello HTTP/1.1\r\nHost: t\r\n\r\n") && live_receive(&idle, &a, false));
    struct live_peer armed = arm_one(&l, nth);
    ck_assert(live_send(&slow, "GET /hel"));
    ck_assert(live_send(&late, "GET /later HTTP/1.1\r\nHost: t\r\n\r\n"));
    expect_end(&l, &slow, nth, "a slow head");
    expect_end(&l, &idle, nth, "an idle connection");
    expect_end(&l, &late, nth, "a late request");
    expect_end(&l, &armed, nth, "an idle connection of the process without memory");
    live_close(&slow);
    live_close(&idle);
    live_close(&late);
    live_close(&armed);
    ck_assert_int_eq(concur_server_stop(l.server, 0), CONCUR_OK);
    int rc = concur_server_wait(l.server);
    cnc_fault_arm(CNC_FAULT_ALLOC, 0, false);
    ck_assert_msg(rc == CONCUR_OK, "%s, nth %u: %s", l.name, nth, concur_strerror(rc));
    concur_server_free(l.server);
}

START_TEST(deadlines_come)
{
    struct live_random random = live_random_of(seed, 100 + (uint64_t)_i);
    for (unsigned nth = 1; nth <= EACH_UP_TO; nth++)
        deadlines_without_memory(_i + 1, nth);
    for (unsigned i = 0; i < BEYOND; i++)
        deadlines_without_memory(_i + 1, EACH_UP_TO + 1 + live_below(&random, FAR));
}
END_TEST

int main(void)
{
    seed = live_seed();
    Suite *suite = suite_create("api_ends");
    TCase *all = tcase_create("all");
    tcase_set_timeout(all, 100);
    tcase_add_loop_test(all, a_stop_ends, 0, ENGINES);
    tcase_add_loop_test(all, deadlines_come, 0, ENGINES);
    suite_add_tcase(suite, all);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

#else
int main(void)
{
    return EXIT_SUCCESS;
}
#endif
