/* SPDX-License-Identifier: MIT
 *
 * The planted truths in the demo's place: each fault is there, of the size that tests/truths/README.md says, on the
 * engines that it says, and the control has none of it.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "e2e/client.h"
#include "e2e/harness.h"
#include "load/load.h"

enum { CONNECTIONS = 8, CARELESS_MS = 20, CPU_MS = 5, LEAK_BYTES = 1024, CRASH_EVERY = 1000 };

static struct demo demo;

#define START(i, ...) demo_start(&demo, engine_name(i), ##__VA_ARGS__, NULL)

static void stop(void)
{
    demo_stop(&demo, WAIT_MS);
}

/* Again where a busy machine let it send nothing in its time. */
static struct load_result *load(const char *path, const char *expect, unsigned ms)
{
    char url[64], error[512];
    struct load_target target;
    struct workload *w;
    struct load_result *r = NULL;
    snprintf(url, sizeof url, "http://127.0.0.1:%u%s", demo.port, path);
    ck_assert_int_eq(load_target_parse(url, &target, error, sizeof error), 0);
    ck_assert_int_eq(workload_from_path(path, &w, error, sizeof error), 0);
    w->groups[0].connections = CONNECTIONS;
    w->groups[0].requests[0].expect = strdup(expect);
    w->warmup_ms = 0;
    w->duration_ms = ms;
    w->timeout_ms = slow(WAIT_MS);
    const struct load_options o = { .workload = w, .target = &target };
    do {
        load_result_free(&r);
        ck_assert_msg(load_run(&o, &r, error, sizeof error) == 0, "%s", error);
    } while (r->total.counts.sent == 0);
    workload_free(&w);
    return r;
}

static struct load_result *load_well(const char *path, const char *expect, unsigned ms)
{
    struct load_result *r = load(path, expect, ms);
    ck_assert_msg(load_failures(&r->total.counts) == 0, "%s, %s: %llu not good%s", demo.engine, path,
                  (unsigned long long)load_failures(&r->total.counts), demo_end());
    ck_assert_uint_gt(r->total.counts.of[LOAD_GOOD], 0);
    return r;
}

START_TEST(without_a_flag_there_is_no_fault)
{
    START(_i);
    expect_get(demo.port, "/x", 200, "right\n");
    expect_get(demo.port, "/plain", 200, "plain\n");
    stop();
}
END_TEST

/* Calls on a loop come one after the other; those that hold a thread each go on side by side. */
START_TEST(a_careless_handler_stops_its_loop)
{
    enum { MS = 500 };
    const int64_t each = CARELESS_MS * INT64_C(1000000);
    START(_i, "--careless");
    const int at_once = has_loop(demo.engine) ? workers_usually(demo.engine) : CONNECTIONS;
    struct load_result *r = load_well("/x", "right\n", MS);
    ck_assert_int_ge(r->total.service.min, each);
    ck_assert_uint_le(r->total.counts.came, (uint64_t)at_once * (MS / CARELESS_MS + 1));
    do { /* the control has nothing that waits: one answer at least is faster, on a busy machine a later one */
        load_result_free(&r);
        r = load_well("/plain", "plain\n", MS);
    } while (r->total.service.min >= each);
    load_result_free(&r);
    stop();
}
END_TEST

/* Requests of half a second and as many more as make 200. */
static uint64_t load_some(const char *path, const char *expect)
{
    uint64_t n = 0;
    while (n < 200) {
        struct load_result *r = load_well(path, expect, 500);
        n += r->total.counts.of[LOAD_GOOD];
        load_result_free(&r);
    }
    return n;
}

/* The kernel tells user and system time of each process in ticks, so some of it is not seen. */
START_TEST(a_handler_burns_processor_time)
{
    pid_t pids[64];
    START(_i, "--cpu");
    const double unseen = 20.0 * demo_pids(&demo, pids, COUNT(pids));
    const double begun = (double)demo_cpu_ms(&demo), n = (double)load_some("/x", "right\n");
    const double burnt = (double)demo_cpu_ms(&demo) - begun, controls = (double)load_some("/plain", "plain\n");
    const double control = (double)demo_cpu_ms(&demo) - begun - burnt;
    ck_assert_double_ge(burnt, CPU_MS * n - unseen);
    ck_assert_double_le(control, CPU_MS * controls / 2 + unseen);
    stop();
}
END_TEST

/* By how many bytes a request makes the server grow: of at least 4,000. */
static double growth(const char *path, const char *expect)
{
    const long before = demo_memory_kib(&demo);
    uint64_t n = 0;
    while (n < 4000) {
        struct load_result *r = load_well(path, expect, 250);
        n += r->total.counts.of[LOAD_GOOD];
        load_result_free(&r);
    }
    return 1024 * (double)(demo_memory_kib(&demo) - before) / (double)n;
}

START_TEST(a_handler_leaks)
{
    START(_i, "--leak");
    growth("/plain", "plain\n"); /* it makes its threads and buffers */
    const double control = growth("/plain", "plain\n"), leaked = growth("/x", "right\n");
    ck_assert_double_ge(leaked, LEAK_BYTES * 0.9); /* free memory of the beginning is used up first */
    if (!is_sanitized()) { /* they keep a book of every byte */
        ck_assert_double_le(leaked, LEAK_BYTES * 1.3);
        ck_assert_double_le(control, LEAK_BYTES * 0.2);
    }
    stop();
}
END_TEST

/* On a connection that stays where the server lets it. false: no answer, or a front's word that there is none. */
static bool is_answered(struct client *c, bool *is_open)
{
    struct reply r;
    if (!*is_open)
        client_open(c, demo.port);
    client_text(c, "GET /x HTTP/1.1\r\nHost: e2e\r\n\r\n");
    client_read(c, &r, false, WAIT_MS);
    const bool is_good = r.kind == REPLY_OK && r.status == 200;
    ck_assert_msg(is_good || r.kind == REPLY_NONE || r.kind == REPLY_RESET || r.status == 502, "%s: %s %d", demo.engine,
                  reply_kind_name(&r), r.status);
    *is_open = is_good && !r.says_close;
    if (!*is_open)
        client_close(c);
    reply_free(&r);
    return is_good;
}

START_TEST(a_handler_crashes_once_in_a_thousand)
{
    struct client c;
    bool is_open = false;
    START(_i, "--crash", "--master", "on");
    for (int n = 1; n <= 2 * CRASH_EVERY + 1; n++)
        ck_assert_msg(is_answered(&c, &is_open) == (n % CRASH_EVERY != 0), "%s: request %d", demo.engine, n);
    client_close(&c);
    stop();
}
END_TEST

/* Each crash takes one request along at least, and what is not answered was taken along. */
START_TEST(the_load_client_sees_the_crashes)
{
    uint64_t good = 0, lost = 0;
    START(_i, "--crash", "--master", "on");
    while (good < CRASH_EVERY) {
        struct load_result *r = load("/x", "right\n", 250);
        const struct load_counts *n = &r->total.counts;
        good += n->of[LOAD_GOOD];
        lost += n->of[LOAD_RESET] + n->of[LOAD_CLOSED_EARLY] + n->of[LOAD_BAD_GATEWAY];
        ck_assert_uint_eq(n->of[LOAD_WRONG] + n->of[LOAD_GARBLED] + n->of[LOAD_OTHER_5XX] + n->of[LOAD_TIMEOUT], 0);
        load_result_free(&r);
    }
    ck_assert_uint_ge(lost, good / CRASH_EVERY);
    stop();
}
END_TEST

START_TEST(a_crash_without_a_master_ends_it)
{
    struct client c;
    bool is_open = false;
    if (has_workers(engine_name(_i)))
        return;
    START(_i, "--crash");
    for (int n = 1; n < CRASH_EVERY; n++)
        ck_assert_msg(is_answered(&c, &is_open), "%s: request %d", demo.engine, n);
    ck_assert(!is_answered(&c, &is_open));
    ck_assert_int_eq(demo_wait(&demo, WAIT_MS), 128 + SIGABRT);
}
END_TEST

/* The engine that is named, and no other one. */
START_TEST(one_engine_answers_wrongly)
{
    const bool is_named = _i % 2;
    const char *engine = engine_name(_i / 2);
    const char *other = strcmp(engine, "thread") == 0 ? "event" : "thread";
    demo_start(&demo, engine, "--wrong", is_named ? engine : other, NULL);
    struct load_result *r = load_well("/plain", "plain\n", 100);
    load_result_free(&r);
    r = load("/x", "right\n", 100);
    const struct load_counts *n = &r->total.counts;
    ck_assert_uint_gt(n->of[is_named ? LOAD_WRONG : LOAD_GOOD], 0);
    ck_assert_uint_eq(n->of[is_named ? LOAD_GOOD : LOAD_WRONG], 0);
    ck_assert_uint_eq(load_failures(n), n->of[LOAD_WRONG]);
    load_result_free(&r);
    stop();
}
END_TEST

/* Answers of CONNECTIONS requests that are under way at once; how many have come before. */
static int count_again(bool seen[], int max)
{
    struct client clients[CONNECTIONS];
    struct reply r;
    int again = 0;
    for (int i = 0; i < CONNECTIONS; i++) {
        client_open(&clients[i], demo.port);
        ck_assert(client_text(&clients[i], "GET /x HTTP/1.1\r\nHost: e2e\r\n\r\n"));
    }
    for (int i = 0; i < CONNECTIONS; i++) {
        client_read(&clients[i], &r, false, WAIT_MS);
        const long n = r.kind == REPLY_OK ? strtol(r.body, NULL, 10) : 0;
        ck_assert_msg(n >= 1 && n <= max, "%s: %s", reply_kind_name(&r), r.body ? r.body : "");
        again += seen[n];
        seen[n] = true;
        reply_free(&r);
    }
    for (int i = 0; i < CONNECTIONS; i++)
        client_close(&clients[i]);
    return again;
}

/* One process counts 1, 2, 3; of several each does. Which of them is asked is the kernel's matter, so that may take a
 * while. */
START_TEST(a_static_variable_counts_for_its_process)
{
    enum { ROUNDS = 200, MAX = ROUNDS * CONNECTIONS };
    static bool seen[MAX + 1];
    int again = 0;
    START(_i, "--static");
    const int rounds = has_workers(demo.engine) ? ROUNDS : 5;
    for (int round = 0; round < rounds && again == 0; round++)
        again = count_again(seen, MAX);
    ck_assert_int_eq(again > 0, has_workers(demo.engine));
    if (!has_workers(demo.engine))
        ck_assert(seen[rounds * CONNECTIONS] && !seen[rounds * CONNECTIONS + 1]);
    stop();
}
END_TEST

static void add(Suite *s)
{
    TCase *t = e2e_case(s, "truths", 60);
    const int n = engine_count();
    tcase_add_loop_test(t, without_a_flag_there_is_no_fault, 0, n);
    tcase_add_loop_test(t, a_careless_handler_stops_its_loop, 0, n);
    tcase_add_loop_test(t, a_handler_burns_processor_time, 0, n);
    tcase_add_loop_test(t, a_handler_leaks, 0, n);
    tcase_add_loop_test(t, a_handler_crashes_once_in_a_thousand, 0, n);
    tcase_add_loop_test(t, the_load_client_sees_the_crashes, 0, n);
    tcase_add_loop_test(t, a_crash_without_a_master_ends_it, 0, n);
    tcase_add_loop_test(t, one_engine_answers_wrongly, 0, 2 * n);
    tcase_add_loop_test(t, a_static_variable_counts_for_its_process, 0, n);
}

int main(int argc, char **argv)
{
    setenv("CONCUR_DEMO", TRUTHS, 1);
    return e2e_main_apart("truths", add, argc, argv);
}
