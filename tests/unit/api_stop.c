/* SPDX-License-Identifier: MIT
 *
 * Stops on every engine: at any moment under load, from everywhere, and against code of the program that holds on.
 */
#include <signal.h>

#include "live_routes.h"

static int engines[8];
static uint64_t seed;

/* ---- at any moment ---- */

struct load {
    const struct live *l;
    struct live_random random;
    atomic_uint *answers;
    pthread_t thread;
};

/* Asks until the server is gone. */
static void *ask_on(void *arg)
{
    static const char *const heads[] = {
        "GET /hello HTTP/1.1\r\nHost: t\r\n\r\n", "GET /block HTTP/1.1\r\nHost: t\r\n\r\n",
        "GET /later HTTP/1.1\r\nHost: t\r\n\r\n", "GET /offload HTTP/1.1\r\nHost: t\r\n\r\n",
        "POST /echo HTTP/1.1\r\nHost: t\r\nContent-Length: 5\r\n\r\nhello",
        "POST /echo HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
        "GET /endless HTTP/1.1\r\nHost: t\r\n\r\n",
        "GET /hello HTTP/1.1\r\nHost: t\r\n\r\nGET /block HTTP/1.1\r\nHost: t\r\n\r\nGET /hel",
    };
    struct load *load = arg;
    for (;;) {
        struct live_peer p = { .fd = live_try_connect(load->l) };
        struct live_answer a;
        if (p.fd < 0)
            return NULL;
        for (unsigned n = 1 + live_below(&load->random, 6); n > 0; n--) {
            unsigned which = live_below(&load->random, 8);
            if (!live_send(&p, heads[which]))
                break;
            if (which == 6) {
                (void)live_more(&p);
                atomic_fetch_add(load->answers, 1);
                break;
            }
            if (!live_receive(&p, &a, false))
                break;
            ck_assert_msg(a.status == 200 || a.status == 503, "%s: %s: %d", load->l->name, heads[which], a.status);
            ck_assert(!a.complete || a.status == 503 || (a.n == 5 && memcmp(a.body, "hello", 5) == 0));
            atomic_fetch_add(load->answers, 1);
            if (which == 7)
                break;
        }
        if (live_below(&load->random, 4))
            live_close(&p);
        else
            live_reset(&p);
    }
}

START_TEST(stops_at_any_moment_under_load)
{
    unsigned rounds = LIVE_SANITIZED ? 20 : 100;
    for (unsigned i = 0; i < rounds; i++) {
        struct live_random random = live_random_of(seed, (uint64_t)_i * 1000 + i);
        atomic_uint answers = 0;
        struct load loads[3];
        struct live l = live_new(engines[_i]);
        some_routes(&l);
        live_set(&l, "drain_idle", live_below(&random, 2) ? "5ms" : "0");
        live_set(&l, "threads_max", live_below(&random, 2) ? "1" : "4");
        live_start(&l);
        for (unsigned k = 0; k < 3; k++) {
            loads[k] =
                (struct load){ .l = &l, .answers = &answers, .random = live_random_of(seed, i * 3 + k + 1000000) };
            ck_assert_int_eq(pthread_create(&loads[k].thread, NULL, ask_on, &loads[k]), 0);
        }
        unsigned wanted = live_below(&random, 40);
        while (atomic_load(&answers) < wanted)
            sched_yield();
        live_end(&l, live_below(&random, 3) ? live_below(&random, 30) : 0);
        for (unsigned k = 0; k < 3; k++)
            pthread_join(loads[k].thread, NULL);
    }
    ck_assert_uint_eq(live_other_threads(), 0);
}
END_TEST

static int stop_here(concur_request *r, void *arg)
{
    (void)arg;
    int rc = concur_server_stop(concur_request_server(r), 5000);
    return concur_reply_text(r, rc == CONCUR_OK ? 200 : 500, "hello");
}

START_TEST(stop_in_a_handler)
{
    struct live l = live_new(engines[_i]);
    live_route(&l, "/stop", 0, stop_here, NULL);
    live_route(&l, "/blocking-stop", CONCUR_ROUTE_BLOCKING, stop_here, NULL);
    live_start(&l);
    must_answer(&l, _i % 2 ? "/stop" : "/blocking-stop");
    ck_assert_int_eq(concur_server_wait(l.server), CONCUR_OK);
    ck_assert_int_eq(concur_server_wait(l.server), CONCUR_OK);
    concur_server_free(l.server);
}
END_TEST

static void *stop_there(void *arg)
{
    int *rc = malloc(sizeof *rc);
    *rc = concur_server_stop(arg, 1000);
    return rc;
}

START_TEST(stop_on_another_thread)
{
    struct live l = live_new(engines[_i]);
    pthread_t thread;
    void *rc;
    some_routes(&l);
    live_start(&l);
    must_answer(&l, "/hello");
    ck_assert_int_eq(pthread_create(&thread, NULL, stop_there, l.server), 0);
    ck_assert_int_eq(concur_server_wait(l.server), CONCUR_OK); /* perhaps before the stop, perhaps after it */
    pthread_join(thread, &rc);
    ck_assert_int_eq(*(int *)rc, CONCUR_OK);
    free(rc);
    concur_server_free(l.server);
}
END_TEST

static concur_server *to_stop;
static pthread_t host;
static volatile sig_atomic_t stop_rc = 1, on_host, kept_errno;

static void on_signal(int sig)
{
    (void)sig;
    errno = 77;
    stop_rc = concur_server_stop(to_stop, 1000);
    kept_errno = errno == 77;
    on_host = pthread_equal(pthread_self(), host);
}

START_TEST(stop_in_a_signal_handler)
{
    struct sigaction sa = { .sa_handler = on_signal };
    struct live l = live_new(engines[_i]);
    some_routes(&l);
    live_start(&l);
    must_answer(&l, "/block");
    host = pthread_self();
    to_stop = l.server;
    ck_assert_int_eq(sigaction(SIGUSR1, &sa, NULL), 0);
    ck_assert_int_eq(kill(getpid(), SIGUSR1), 0); /* the library's threads take no signals of the host */
    ck_assert_int_eq(stop_rc, CONCUR_OK);
    ck_assert(on_host && kept_errno);
    ck_assert_int_eq(concur_server_wait(l.server), CONCUR_OK);
    concur_server_free(l.server);
}
END_TEST

/* ---- what holds on ---- */

static _Atomic(concur_ticket *) held;

static int hold(concur_request *r, void *arg)
{
    concur_ticket *t = concur_request_defer(r);
    if (!t)
        return CONCUR_E_NOMEM;
    atomic_store(&held, t);
    live_latch_add(arg);
    return CONCUR_OK;
}

/* What held on has let go; each call has a second's patience. */
static void wait_again(struct live *l)
{
    int rc = CONCUR_E_BUSY;
    for (int i = 0; i < LIVE_PATIENCE_S && rc == CONCUR_E_BUSY; i++)
        rc = concur_server_wait(l->server);
    ck_assert_int_eq(rc, CONCUR_OK);
}

START_TEST(a_ticket_holds_the_stop)
{
    struct live_latch latch = LIVE_LATCH;
    struct live l = live_new(engines[_i]);
    struct live_answer a;
    live_route(&l, "/hold", 0, hold, &latch);
    live_start(&l);
    struct live_peer p = live_connect(&l);
    ck_assert(live_send(&p, "GET /hold HTTP/1.1\r\nHost: t\r\n\r\n"));
    ck_assert(live_latch_wait(&latch, 1));
    concur_ticket *t = atomic_load(&held);
    ck_assert_int_eq(concur_ticket_cancelled(t), 0);
    ck_assert_int_eq(concur_server_stop(l.server, 0), CONCUR_OK);
    ck_assert_int_eq(concur_server_wait(l.server), CONCUR_E_BUSY);
    ck_assert_int_eq(concur_ticket_cancelled(t), CONCUR_E_STOPPING);
    ck_assert(live_receive(&p, &a, false)); /* the client did not have to wait for it */
    ck_assert_int_eq(a.status, 503);
    concur_ticket_release(t);
    wait_again(&l);
    concur_server_free(l.server);
    live_close(&p);
    ck_assert_uint_eq(live_other_threads(), 0);
}
END_TEST

static struct live_latch inside = LIVE_LATCH, outside = LIVE_LATCH;

static int stuck(concur_request *r, void *arg)
{
    (void)arg;
    live_latch_add(&inside);
    bool released = live_latch_wait(&outside, 1);
    return concur_reply_text(r, released ? 200 : 500, "hello");
}

START_TEST(a_handler_holds_the_stop)
{
    struct live l = live_new(engines[_i]);
    live_route(&l, "/stuck", CONCUR_ROUTE_BLOCKING, stuck, NULL);
    live_start(&l);
    struct live_peer p = live_connect(&l);
    ck_assert(live_send(&p, "GET /stuck HTTP/1.1\r\nHost: t\r\n\r\n"));
    ck_assert(live_latch_wait(&inside, 1));
    ck_assert_int_eq(concur_server_stop(l.server, 60000), CONCUR_OK);
    ck_assert_int_eq(concur_server_stop(l.server, 0), CONCUR_OK);     /* forward */
    ck_assert_int_eq(concur_server_stop(l.server, 60000), CONCUR_OK); /* and not back */
    ck_assert_int_eq(concur_server_wait(l.server), CONCUR_E_BUSY);
    live_latch_add(&outside);
    wait_again(&l);
    concur_server_free(l.server);
    live_close(&p);
    ck_assert_uint_eq(live_other_threads(), 0);
}
END_TEST

START_TEST(requests_in_flight_may_finish)
{
    struct live l = live_new(engines[_i]);
    struct live_answer a;
    live_route(&l, "/stuck", CONCUR_ROUTE_BLOCKING, stuck, NULL);
    live_start(&l);
    struct live_peer p = live_connect(&l);
    ck_assert(live_send(&p, "GET /stuck HTTP/1.1\r\nHost: t\r\n\r\n"));
    ck_assert(live_latch_wait(&inside, 1));
    ck_assert_int_eq(concur_server_stop(l.server, 60000), CONCUR_OK);
    live_latch_add(&outside);
    ck_assert(live_receive(&p, &a, false));
    ck_assert_int_eq(a.status, 200);
    ck_assert(a.complete);
    ck_assert(live_at_end(&p));
    live_close(&p);
    ck_assert_int_eq(concur_server_wait(l.server), CONCUR_OK);
    concur_server_free(l.server);
}
END_TEST

int main(void)
{
    seed = live_seed();
    int n = (int)live_engines(engines);
    if (n == 0)
        return EXIT_FAILURE;
    Suite *s = suite_create("api_stop");
    TCase *t = tcase_create("stop");
    tcase_add_checked_fixture(t, live_count_own_threads, NULL);
    tcase_set_timeout(t, 100);
    tcase_add_loop_test(t, stops_at_any_moment_under_load, 0, n);
    tcase_add_loop_test(t, stop_in_a_handler, 0, n);
    tcase_add_loop_test(t, stop_on_another_thread, 0, n);
    tcase_add_loop_test(t, stop_in_a_signal_handler, 0, n);
    tcase_add_loop_test(t, a_ticket_holds_the_stop, 0, n);
    tcase_add_loop_test(t, a_handler_holds_the_stop, 0, n);
    tcase_add_loop_test(t, requests_in_flight_may_finish, 0, n);
    suite_add_tcase(s, t);
    SRunner *runner = srunner_create(s);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
