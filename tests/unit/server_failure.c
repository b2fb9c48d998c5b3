/* SPDX-License-Identifier: MIT
 *
 * Lines about requests that failed: how many are written, and that no 500 or 503 for want of memory goes without one.
 */
#include "base/fault.h"
#include "server/server.h"
#include "live.h"

static int64_t hand_ms;

static int64_t hand_now(void *arg)
{
    (void)arg;
    return hand_ms;
}

static const struct cnc_clock hand_clock = { hand_now, hand_now, NULL };

struct kept {
    unsigned lines;
    char last[CNC_LOG_LINE_MAX + 1];
};

static void keep(int level, const char *line, void *arg)
{
    struct kept *k = arg;
    ck_assert_int_eq(level, CONCUR_LOG_ERROR);
    k->lines++;
    snprintf(k->last, sizeof k->last, "%s", line);
}

START_TEST(ten_a_second)
{
    struct kept k = { 0 };
    static concur_server server;
    server.log = (struct cnc_log){ .fn = keep, .arg = &k };
    server.clock = &hand_clock;
    uint64_t seed = live_seed();
    struct live_random random = live_random_of(seed, 0);
    unsigned wanted = 0, accounted = 0;
    hand_ms = 12345;
    for (int burst = 0; burst < 200; burst++) {
        unsigned n = live_below(&random, 30), before = k.lines;
        for (unsigned i = 0; i < n; i++, wanted++) {
            unsigned lines = k.lines, left_out = 0;
            cnc_failure(&server, "number %u", wanted);
            if (k.lines == lines)
                continue;
            const char *more = strstr(k.last, "; left out before it: ");
            left_out = more ? (unsigned)strtoul(more + 22, NULL, 10) : 0;
            ck_assert(!more || left_out > 0);
            accounted += 1 + left_out;
            ck_assert_uint_eq(accounted, wanted + 1); /* a line that is written accounts for all before it */
            ck_assert_uint_eq((unsigned)strtoul(k.last + 7, NULL, 10), wanted);
        }
        ck_assert_uint_eq(k.lines - before, n < 10 ? n : 10);
        hand_ms += 1000 + (int64_t)live_below(&random, 3000);
    }
}
END_TEST

static void *fail_often(void *arg)
{
    for (int i = 0; i < 20000; i++)
        cnc_failure(arg, "again");
    return NULL;
}

static atomic_uint written;

static void count_line(int level, const char *line, void *arg)
{
    (void)level, (void)arg;
    const char *more = strstr(line, "; left out before it: ");
    atomic_fetch_add(&written, 1 + (more ? (unsigned)strtoul(more + 22, NULL, 10) : 0));
}

START_TEST(threads_lose_none)
{
    static concur_server server;
    pthread_t threads[4];
    server.log = (struct cnc_log){ .fn = count_line };
    server.clock = &cnc_clock_system;
    for (int i = 0; i < 4; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, fail_often, &server), 0);
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    ck_assert_uint_eq(atomic_load(&written) + atomic_load(&server.failures.left_out), 80000);
}
END_TEST

#ifdef CNC_FAULTS
static int engines[8];

static int whole(concur_request *r, void *arg)
{
    size_t n;
    (void)arg;
    (void)concur_request_body(r, &n);
    concur_reply_header(r, "X-Long", "0123456789012345678901234567890123456789");
    return concur_reply_printf(r, 200, NULL, "%02000zu", n);
}

static int reply_later(concur_request *r, void *arg)
{
    return concur_request_after(r, 1, whole, arg);
}

/* What was said, and what was left out: both say that something is wrong. */
static unsigned said(const struct live *l)
{
    return atomic_load(&written) + atomic_load(&l->server->failures.left_out);
}

static bool fail_once(struct live *l, const char *request, unsigned nth)
{
    unsigned before = said(l);
    cnc_fault_arm(CNC_FAULT_ALLOC, nth, false);
    int status = live_ask(l, request, NULL, 0);
    bool untouched = cnc_fault_count(CNC_FAULT_ALLOC) < nth;
    cnc_fault_arm(CNC_FAULT_ALLOC, 0, false);
    ck_assert_msg(status == 0 || status == 200 || status == 500 || status == 503, "%d", status);
    ck_assert_msg(status < 500 || said(l) > before, "%s: %d without a line: allocation %u of %.30s", l->name, status, nth,
                  request);
    return untouched;
}

START_TEST(memory_that_lacks_is_told)
{
    static char requests[5][8192];
    struct live l = live_new(engines[_i]);
    live_set(&l, "body_memory", "1k");
    live_set(&l, "request_timeout", "10s");
    live_set(&l, "threads_max", "1");
    if (strcmp(l.name, "event-pool") == 0)
        live_set(&l, "pool_threads", "1");
    ck_assert_int_eq(concur_server_log(l.server, count_line, NULL), CONCUR_OK);
    live_route(&l, "/whole", 0, whole, NULL);
    live_route(&l, "/block", CONCUR_ROUTE_BLOCKING, whole, NULL);
    live_route(&l, "/later", 0, reply_later, NULL);
    live_start(&l);
    static const char *const paths[] = { "/whole", "/block", "/later", "/whole", "/block" };
    for (size_t i = 0; i < CNC_COUNT(requests); i++)
        snprintf(requests[i], sizeof requests[i],
                 "POST %s HTTP/1.1\r\nHost: t\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%0*d", paths[i], i < 3 ? 500 : 5000,
                 i < 3 ? 500 : 5000, 0);
    for (size_t i = 0; i < CNC_COUNT(requests); i++) /* its thread is there: what it lacks is told elsewhere */
        ck_assert_int_eq(live_ask(&l, requests[i], NULL, 0), 200);
    unsigned before = said(&l);
    for (size_t i = 0; i < CNC_COUNT(requests); i++)
        for (unsigned nth = 1; !fail_once(&l, requests[i], nth);)
            ck_assert_uint_lt(++nth, 200);
    ck_assert_uint_gt(said(&l), before);
    live_end(&l, 1000);
}
END_TEST
#endif

int main(void)
{
    Suite *s = suite_create("core_failure");
    TCase *t = tcase_create("all");
    tcase_set_timeout(t, 60);
    tcase_add_test(t, ten_a_second);
    tcase_add_test(t, threads_lose_none);
#ifdef CNC_FAULTS
    tcase_add_loop_test(t, memory_that_lacks_is_told, 0, (int)live_engines(engines));
#endif
    suite_add_tcase(s, t);
    SRunner *runner = srunner_create(s);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
