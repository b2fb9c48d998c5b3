/* SPDX-License-Identifier: MIT
 *
 * The load client against a small server in this process: that it counts what came, keeps the rate, and shows a stall of
 * known length in the percentiles as arithmetic says.
 */
#include "load/load.h"

#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "server.h"

static struct server server;
static struct workload *w;
static struct load_target target;
static char error[512];

static void set_up(void)
{
    char url[64];
    server_start(&server);
    snprintf(url, sizeof url, "http://127.0.0.1:%u/", server.port);
    ck_assert_int_eq(load_target_parse(url, &target, error, sizeof error), 0);
}

static void tear_down(void)
{
    workload_free(&w);
    server_stop(&server);
}

/* A group that asks for the path; more can be set before it runs. */
static struct workload_group *ask(const char *path, enum workload_kind kind, unsigned connections)
{
    workload_free(&w);
    ck_assert_int_eq(workload_from_path(path, &w, error, sizeof error), 0);
    w->warmup_ms = 50;
    w->duration_ms = 200;
    w->timeout_ms = 20000; /* a hang is what it is to find */
    struct workload_group *g = &w->groups[0];
    g->kind = kind;
    g->connections = connections;
    g->depth = kind == WORKLOAD_PIPELINE ? 8 : 1;
    g->requests[0].expect = strdup("hello");
    return g;
}

static struct load_result *run(unsigned threads, int (*on_tick)(double part, void *arg))
{
    struct load_options o = { .workload = w, .target = &target, .threads = threads, .on_tick = on_tick, .arg = &server };
    struct load_result *r = NULL;
    ck_assert_msg(load_run(&o, &r, error, sizeof error) == 0, "%s", error);
    ck_assert_ptr_nonnull(r);
    return r;
}

static uint64_t outcomes(const struct load_counts *c)
{
    return c->of[LOAD_GOOD] + load_failures(c);
}

/* Every request has one outcome, and each that counts is of that kind. */
static void check_only(const struct load_result *r, enum load_outcome outcome)
{
    const struct load_counts *c = &r->total.counts;
    for (int i = 0; i < LOAD_OUTCOMES; i++)
        ck_assert_msg(i == (int)outcome ? c->of[i] > 0 : c->of[i] == 0, "%llu %s", (unsigned long long)c->of[i],
                      load_outcome_name((enum load_outcome)i));
    if (outcome != LOAD_CONNECT_FAILED)
        ck_assert_uint_eq(outcomes(c), c->sent);
    ck_assert_uint_eq(c->unfinished, 0);
    ck_assert_uint_eq(r->total.latency.count, c->of[LOAD_GOOD]);
}

static const struct {
    const char *path;
    enum load_outcome outcome;
    const char *method;
    int status;
} kinds[] = {
    { "/good", LOAD_GOOD, "GET", 200 },
    { "/chunked", LOAD_GOOD, "GET", 200 },
    { "/until-close", LOAD_GOOD, "GET", 200 },
    { "/close", LOAD_GOOD, "GET", 200 },
    { "/head", LOAD_GOOD, "HEAD", 200 },
    { "/204", LOAD_GOOD, "GET", 204 },
    { "/404", LOAD_GOOD, "GET", 404 },
    { "/wrong", LOAD_WRONG, "GET", 200 },
    { "/204", LOAD_OTHER_2XX, "GET", 200 },
    { "/301", LOAD_OTHER_3XX, "GET", 200 },
    { "/404", LOAD_OTHER_4XX, "GET", 200 },
    { "/500", LOAD_OTHER_5XX, "GET", 200 },
    { "/502", LOAD_BAD_GATEWAY, "GET", 200 },
    { "/503", LOAD_UNAVAILABLE, "GET", 200 },
    { "/503-bare", LOAD_UNAVAILABLE, "GET", 200 },
    { "/garbled", LOAD_GARBLED, "GET", 200 },
    { "/early", LOAD_CLOSED_EARLY, "GET", 200 },
    { "/nothing", LOAD_CLOSED_EARLY, "GET", 200 },
    { "/reset", LOAD_RESET, "GET", 200 },
};

enum { KINDS = sizeof kinds / sizeof *kinds };

/* Each on connections that stay and on one for each request, with one thread and with three. */
START_TEST(answers_are_counted_by_kind)
{
    bool closes = _i >= KINDS;
    int row = _i % KINDS;
    struct workload_group *g = ask(kinds[row].path, closes ? WORKLOAD_CLOSE : WORKLOAD_KEEPALIVE, 7);
    struct workload_request *request = &g->requests[0];
    free(request->method);
    request->method = strdup(kinds[row].method);
    request->status = kinds[row].status;
    if (strcmp(request->method, "HEAD") == 0 || request->status != 200) {
        free(request->expect);
        request->expect = NULL;
    }
    struct load_result *r = run(closes ? 3 : 1, NULL);
    for (int i = 0; i < 10 && outcomes(&r->total.counts) == 0; i++) { /* the machine stood still */
        load_result_free(&r);
        r = run(closes ? 3 : 1, NULL);
    }
    const struct load_counts *c = &r->total.counts;
    check_only(r, kinds[row].outcome);
    bool is_bare = strcmp(kinds[row].path, "/503-bare") == 0;
    ck_assert_uint_eq(c->without_retry_after, is_bare ? c->of[LOAD_UNAVAILABLE] : 0);
    ck_assert_uint_eq(r->threads, closes ? 3 : 1);
    ck_assert_uint_ge(atomic_load(&server.requests), c->sent);
    if (closes)
        ck_assert_uint_ge(c->connects, c->sent);
    else if (kinds[row].outcome == LOAD_GOOD && strstr(kinds[row].path, "close") == NULL)
        ck_assert_uint_eq(c->connects, 7);
    load_result_free(&r);
    ck_assert_ptr_null(r);
}
END_TEST

START_TEST(an_answer_that_does_not_come_is_a_timeout)
{
    ask("/silent", WORKLOAD_KEEPALIVE, 5);
    w->timeout_ms = 60;
    struct load_result *r = run(1, NULL);
    check_only(r, LOAD_TIMEOUT);
    ck_assert_uint_ge(r->total.counts.of[LOAD_TIMEOUT], 5);
    load_result_free(&r);
}
END_TEST

START_TEST(nobody_listens)
{
    enum workload_kind kind = _i ? WORKLOAD_CLOSE : WORKLOAD_KEEPALIVE;
    struct load_target nobody;
    char url[64];
    struct server other;
    server_start(&other);
    snprintf(url, sizeof url, "http://127.0.0.1:%u/", other.port);
    server_stop(&other);
    ck_assert_int_eq(load_target_parse(url, &nobody, error, sizeof error), 0);
    ask("/good", kind, 3);
    target = nobody;
    struct load_result *r = run(1, NULL);
    check_only(r, LOAD_CONNECT_FAILED);
    ck_assert_uint_le(r->total.counts.of[LOAD_CONNECT_FAILED], 3 * 40); /* with pauses */
    load_result_free(&r);
}
END_TEST

START_TEST(pipelined_requests_are_answered_in_order)
{
    ask(_i ? "/third" : "/good", WORKLOAD_PIPELINE, 4);
    struct load_result *r = run(2, NULL);
    check_only(r, LOAD_GOOD); /* those behind a last answer are sent again, and count once */
    ck_assert_int_eq(r->total.counts.connects > 4, _i);
    load_result_free(&r);
}
END_TEST

START_TEST(slow_clients_get_their_answers)
{
    struct workload_group *g = ask(_i ? "/big" : "/good", _i ? WORKLOAD_SLOW_READ : WORKLOAD_SLOW_SEND, 10);
    w->duration_ms = 600;
    g->slow_ms = 4;
    g->slow_bytes = _i ? 2000 : 2;
    struct load_result *r = run(1, NULL);
    ck_assert_uint_gt(r->total.counts.of[LOAD_GOOD], 0);
    ck_assert_uint_eq(load_failures(&r->total.counts), 0);
    /* A head of more than 40 bytes takes 20 steps of 4 ms, a body of 64 KiB more than 32. */
    ck_assert_uint_le(r->total.counts.of[LOAD_GOOD], 10 * 600 / (20 * 4) + 10);
    ck_assert_uint_eq(r->total.open, 10);
    load_result_free(&r);
}
END_TEST

static int close_idle(double part, void *arg)
{
    struct server *s = arg;
    if (part < 0.5 || atomic_load(&s->accepted) != 40)
        return 0;
    atomic_store(&s->close_idle, true);
    server_poke(s);
    return 0;
}

START_TEST(idle_connections_stay_and_come_back)
{
    struct workload_group *g = ask("/good", WORKLOAD_IDLE, 40);
    g->request_count = (size_t)_i; /* with a first request, and without */
    w->duration_ms = 800;
    struct load_result *r = run(2, close_idle);
    g->request_count = 1;
    ck_assert_uint_eq(load_failures(&r->total.counts), 0);
    ck_assert_uint_eq(r->total.open, 40);
    ck_assert_uint_eq(r->total.counts.idle_closed, 40);
    ck_assert_uint_eq(r->total.counts.connects, 80);
    ck_assert_uint_eq(atomic_load(&server.requests), _i ? 80 : 0);
    load_result_free(&r);
}
END_TEST

START_TEST(requests_are_mixed_by_weight)
{
    struct workload_group *g = ask("/good", WORKLOAD_KEEPALIVE, 8);
    struct workload_request *both = calloc(2, sizeof *both);
    both[0] = g->requests[0];
    both[0].weight = 9;
    both[1] = (struct workload_request){
        .method = strdup("GET"), .target = strdup("/rare"), .headers = strdup(""), .status = 200, .weight = 1
    };
    free(g->requests);
    g->requests = both;
    g->request_count = 2;
    g->rate = 4000;
    w->duration_ms = 1000;
    struct load_result *r = run(2, NULL);
    check_only(r, LOAD_GOOD);
    double all = atomic_load(&server.requests), rare = atomic_load(&server.hits[1]);
    ck_assert_double_ge(all, 300); /* a busy machine sends no more */
    ck_assert_double_le(fabs(rare / all - 0.1), 5 * sqrt(0.1 * 0.9 / all)); /* standard deviations */
    load_result_free(&r);
}
END_TEST

/* The pace is arithmetic: what was due is due, whoever is late. A busy machine sends less of it, but not three times. */
START_TEST(a_constant_rate_is_kept)
{
    static const enum workload_kind paced[] = { WORKLOAD_KEEPALIVE, WORKLOAD_CLOSE, WORKLOAD_PIPELINE };
    uint64_t sent = 0, in_slices = 0;
    for (int i = 0; i < 3 && (sent < 600 || in_slices <= 500); i++) {
        struct workload_group *g = ask("/good", paced[_i], 12);
        g->rate = 600;
        w->duration_ms = 1500;
        struct load_result *r = run(3, NULL);
        const struct load_counts *c = &r->total.counts;
        check_only(r, LOAD_GOOD);
        sent = c->sent;
        ck_assert_double_le(fabs((double)(sent + c->unsent) - 900), 12);
        ck_assert_uint_gt(r->lateness.count, 0);
        ck_assert_uint_eq(r->slice_count, 15);
        in_slices = 0;
        for (size_t k = 0; k < r->slice_count; k++)
            in_slices += r->good_by_slice[k];
        ck_assert_uint_le(in_slices, sent + 12 * 8);
        ck_assert_uint_eq(in_slices, c->came);
        load_result_free(&r);
    }
    ck_assert_uint_ge(sent, 600);
    ck_assert_uint_gt(in_slices, 500);
}
END_TEST

static bool is_stalled;

static int stall(double part, void *arg)
{
    struct server *s = arg;
    if (is_stalled || part < 0.3)
        return 0;
    is_stalled = true;
    atomic_store(&s->stall_ms, 1000);
    server_poke(s);
    return 0;
}

/* A server that stands still for S of T seconds makes (S - x) / T of all wait longer than x, and with p % of the time beyond, the
 * percentile 100 - p is S - p * T. Never less than that; returns by which part of T it was more. */
static double excess_of_stall(const struct load_result *r, double S, double T)
{
    double all = (double)r->total.latency.count, most = 0;
    for (double x = 0.1; x < 0.95; x += 0.1) {
        double excess = (double)histogram_over(&r->total.latency, (int64_t)(x * 1e9)) / all - (S - x) / T;
        ck_assert_double_ge(excess, -0.015);
        most = fmax(most, excess);
    }
    double excess = (double)histogram_percentile(&r->total.latency, 95) / 1e9 - (S - 0.05 * T);
    ck_assert_double_ge(excess, -0.08);
    return fmax(most, excess / T);
}

/* At a constant rate. A machine that stands still adds to it: no more than 160 ms once in three times is enough. */
START_TEST(a_stall_shows_for_as_long_as_it_was)
{
    enum { CONNECTIONS = 20 };
    const double most = 0.04;
    double excess = 1;
    for (int i = 0; i < 3 && excess > most; i++) {
        struct workload_group *g = ask("/good", _i ? WORKLOAD_CLOSE : WORKLOAD_KEEPALIVE, _i ? 600 : CONNECTIONS);
        g->rate = 400;
        w->duration_ms = 4000;
        is_stalled = false;
        struct load_result *r = run(2, stall);
        check_only(r, LOAD_GOOD);
        double S = (double)atomic_load(&server.stalled) / 1e9;
        ck_assert_double_ge(S, 1.0);
        excess = excess_of_stall(r, S, 4);
        load_result_free(&r);
    }
    ck_assert_double_le(excess, most);
}
END_TEST

/* What a client sees that waits for its answer before it counts on: one late answer for each connection. */
START_TEST(a_closed_loop_hides_a_stall)
{
    ask("/good", WORKLOAD_KEEPALIVE, 20);
    w->duration_ms = 3000;
    struct load_result *r = run(1, stall);
    ck_assert_uint_le(histogram_over(&r->total.latency, 500000000), 20);
    size_t quiet = 0;
    for (size_t i = 0; i < r->slice_count; i++)
        quiet += r->good_by_slice[i] == 0;
    ck_assert_uint_ge(quiet, 8); /* of ten slices; the time line shows it all the same */
    load_result_free(&r);
}
END_TEST

START_TEST(what_is_due_but_not_sent_is_counted)
{
    struct workload_group *g = ask("/silent", WORKLOAD_KEEPALIVE, 2);
    g->rate = 1000;
    w->duration_ms = 1000;
    w->warmup_ms = 0;
    w->timeout_ms = 300;
    struct load_result *r = run(1, NULL);
    const struct load_counts *c = &r->total.counts;
    check_only(r, LOAD_TIMEOUT);
    ck_assert_double_le(fabs((double)(c->sent + c->unsent) - 1000), 4);
    ck_assert_uint_le(c->sent, 2 * 5);
    load_result_free(&r);
}
END_TEST

static volatile sig_atomic_t stop_flag;

static int set_stop(double part, void *arg)
{
    (void)arg;
    stop_flag = part > 0.2;
    return 0;
}

static int say_stop(double part, void *arg)
{
    (void)arg;
    return part > 0.2;
}

START_TEST(a_run_can_be_stopped)
{
    ask(_i & 1 ? "/silent" : "/good", WORKLOAD_KEEPALIVE, 4);
    w->duration_ms = 5000;
    w->warmup_ms = 0;
    struct load_options o = { .workload = w, .target = &target, .stop = &stop_flag,
                              .on_tick = _i & 2 ? set_stop : say_stop, .arg = NULL };
    struct load_result *r = NULL;
    stop_flag = 0;
    ck_assert_int_eq(load_run(&o, &r, error, sizeof error), 0);
    ck_assert(r->stopped);
    ck_assert_double_ge(r->seconds, 1);
    ck_assert_double_lt(r->seconds, 5);
    ck_assert_uint_eq(r->total.counts.unfinished, r->total.counts.sent - outcomes(&r->total.counts));
    if (_i & 1)
        ck_assert_uint_eq(r->total.counts.unfinished, 4);
    load_result_free(&r);
}
END_TEST

static int at_once(double part, void *arg)
{
    (void)part, (void)arg;
    return 1;
}

START_TEST(a_stop_in_the_warm_up_measures_nothing)
{
    ask("/good", WORKLOAD_KEEPALIVE, 4);
    w->warmup_ms = 60000;
    struct load_result *r = run(1, at_once);
    ck_assert(r->stopped);
    ck_assert_double_eq(r->seconds, 0);
    ck_assert_uint_eq(r->total.counts.sent + outcomes(&r->total.counts), 0);
    ck_assert_uint_eq(r->slice_count, 0);
    load_result_free(&r);
}
END_TEST

START_TEST(groups_are_counted_apart)
{
    struct workload_group *g = ask("/good", WORKLOAD_KEEPALIVE, 3);
    struct workload_group *both = calloc(2, sizeof *both);
    both[0] = *g;
    free(w->groups);
    w->groups = both;
    struct workload *other = NULL;
    ck_assert_int_eq(workload_from_path("/404", &other, error, sizeof error), 0);
    both[1] = other->groups[0];
    other->group_count = 0;
    workload_free(&other);
    w->group_count = 2;
    both[1].connections = 2;
    struct load_result *r = run(5, NULL);
    ck_assert_uint_eq(r->group_count, 2);
    ck_assert_str_eq(r->groups[1].name, "clients");
    ck_assert_uint_eq(load_failures(&r->groups[0].counts), 0);
    ck_assert_uint_eq(r->groups[1].counts.of[LOAD_GOOD], 0);
    ck_assert_uint_gt(r->groups[0].counts.of[LOAD_GOOD], 0);
    ck_assert_uint_gt(r->groups[1].counts.of[LOAD_OTHER_4XX], 0);
    ck_assert_uint_eq(r->total.counts.sent, r->groups[0].counts.sent + r->groups[1].counts.sent);
    ck_assert_uint_eq(r->groups[0].open, 3);
    ck_assert_uint_eq(r->groups[1].open, 2);
    ck_assert_uint_gt(r->total.counts.bytes_in, 0);
    ck_assert_uint_gt(r->total.counts.bytes_out, 0);
    load_result_free(&r);
}
END_TEST

START_TEST(too_few_descriptors_are_an_error_with_words)
{
    struct rlimit limit;
    ask("/good", WORKLOAD_KEEPALIVE, 500);
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = 400;
    setrlimit(RLIMIT_NOFILE, &limit);
    struct load_options o = { .workload = w, .target = &target };
    struct load_result *r = NULL;
    ck_assert_int_lt(load_run(&o, &r, error, sizeof error), 0);
    ck_assert_ptr_null(r);
    ck_assert_ptr_nonnull(strstr(error, "500 connections need 534 open files, but the limit is 400"));
}
END_TEST

int main(void)
{
    Suite *s = suite_create("load");
    TCase *t = tcase_create("load");
    suite_add_tcase(s, t);
    tcase_set_timeout(t, 60);
    tcase_add_checked_fixture(t, set_up, tear_down);
    tcase_add_loop_test(t, answers_are_counted_by_kind, 0, 2 * KINDS);
    tcase_add_test(t, an_answer_that_does_not_come_is_a_timeout);
    tcase_add_loop_test(t, nobody_listens, 0, 2);
    tcase_add_loop_test(t, pipelined_requests_are_answered_in_order, 0, 2);
    tcase_add_loop_test(t, slow_clients_get_their_answers, 0, 2);
    tcase_add_loop_test(t, idle_connections_stay_and_come_back, 0, 2);
    tcase_add_test(t, requests_are_mixed_by_weight);
    tcase_add_loop_test(t, a_constant_rate_is_kept, 0, 3);
    tcase_add_loop_test(t, a_stall_shows_for_as_long_as_it_was, 0, 2);
    tcase_add_test(t, a_closed_loop_hides_a_stall);
    tcase_add_test(t, what_is_due_but_not_sent_is_counted);
    tcase_add_loop_test(t, a_run_can_be_stopped, 0, 4);
    tcase_add_test(t, a_stop_in_the_warm_up_measures_nothing);
    tcase_add_test(t, groups_are_counted_apart);
    tcase_add_test(t, too_few_descriptors_are_an_error_with_words);
    SRunner *runner = srunner_create(s);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
