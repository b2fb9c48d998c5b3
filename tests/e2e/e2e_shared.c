/* SPDX-License-Identifier: MIT
 *
 * What handlers share means the same on every engine, whichever threads and processes run them.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "e2e/client.h"
#include "e2e/harness.h"

enum { AT_ONCE = 8 };

static struct demo demo;

#define START(i, ...) demo_start(&demo, variant_engine(i), "--pool", variant_pool(i), ##__VA_ARGS__, NULL)

static void stop(void)
{
    expect_balanced(demo.port, WAIT_MS);
    demo_stop(&demo, WAIT_MS);
}

/* The same request from AT_ONCE connections at once; the caller frees the replies. */
static void ask_at_once(const char *target, struct reply replies[AT_ONCE])
{
    struct client clients[AT_ONCE];
    char request[128];
    snprintf(request, sizeof request, "GET %s HTTP/1.1\r\nHost: e2e\r\nConnection: close\r\n\r\n", target);
    for (int i = 0; i < AT_ONCE; i++) {
        client_open(&clients[i], demo.port);
        ck_assert_msg(client_text(&clients[i], request), "%s: not taken%s", target, demo_end());
    }
    for (int i = 0; i < AT_ONCE; i++) {
        client_read(&clients[i], &replies[i], false, WAIT_MS);
        ck_assert_msg(replies[i].kind == REPLY_OK && replies[i].status == 200, "%s: %s %d%s", target,
                      reply_kind_name(&replies[i]), replies[i].status, demo_end());
        client_close(&clients[i]);
    }
}

/* Every number comes exactly once. */
START_TEST(a_counter_counts_each_request_once)
{
    enum { ROUNDS = 50, ALL = ROUNDS * AT_ONCE };
    static bool seen[ALL + 1];
    struct reply replies[AT_ONCE];
    char next[32];
    START(_i);
    for (int round = 0; round < ROUNDS; round++) {
        ask_at_once("/counter", replies);
        for (int i = 0; i < AT_ONCE; i++) {
            long n = strtol(replies[i].body, NULL, 10);
            ck_assert_msg(n >= 1 && n <= ALL && !seen[n], "%s", replies[i].body);
            seen[n] = true;
            reply_free(&replies[i]);
        }
    }
    snprintf(next, sizeof next, "%d\n", ALL + 1);
    expect_get(demo.port, "/counter", 200, next);
    stop();
}
END_TEST

START_TEST(the_lock_excludes_all_handlers)
{
    enum { ROUNDS = 5 };
    struct reply replies[AT_ONCE];
    char sum[32];
    START(_i);
    for (int round = 0; round < ROUNDS; round++) {
        ask_at_once("/test/lock/2000", replies);
        for (int i = 0; i < AT_ONCE; i++)
            reply_free(&replies[i]);
    }
    snprintf(sum, sizeof sum, "%d 0\n", ROUNDS * AT_ONCE * 2000);
    expect_get(demo.port, "/test/lock/0", 200, sum);
    stop();
}
END_TEST

/* The worker dies with the lock. Whoever comes next is told, and the memory is as it was left. An engine of one
 * process has a master here, whose mappings the next process inherits. */
START_TEST(a_worker_that_dies_with_the_lock)
{
    struct client c;
    struct reply r;
    START(_i, "--unsafe", "--set", "master=on");
    expect_get(demo.port, "/test/lock/10", 200, "10 0\n");
    for (int i = 1; i <= 2; i++) {
        char text[32];
        client_open(&c, demo.port);
        ck_assert(client_text(&c, "GET /test/lock-crash HTTP/1.1\r\nHost: e2e\r\n\r\n"));
        client_read(&c, &r, false, WAIT_MS);
        ck_assert_msg(r.kind == REPLY_NONE || r.kind == REPLY_RESET || r.status == 502, "%s %d", reply_kind_name(&r),
                      r.status);
        reply_free(&r);
        client_close(&c);
        snprintf(text, sizeof text, "%d %d\n", 10 + 2 * i - 1, i);
        expect_get(demo.port, "/test/lock/0", 200, text);
        snprintf(text, sizeof text, "%d %d\n", 10 + 2 * i, i);
        expect_get(demo.port, "/test/lock/1", 200, text);
    }
    stop();
}
END_TEST

/* ---- one for each thread ---- */

struct own {
    long value, pid, tid;
};

static struct own owns[4096];
static int own_count;

/* A thread has always the same one, and no other thread has it. */
static void note_own(const char *json)
{
    long made, freed;
    struct own own;
    int n = sscanf(json, "{\"made\":%ld,\"freed\":%ld,\"value\":%ld,\"pid\":%ld,\"tid\":%ld}", &made, &freed,
                   &own.value, &own.pid, &own.tid);
    ck_assert_msg(n == 5 && own.value >= 1 && own.value <= made && freed == 0, "%s", json);
    for (int i = 0; i < own_count; i++) {
        bool same_thread = owns[i].pid == own.pid && owns[i].tid == own.tid;
        ck_assert_msg(same_thread == (owns[i].value == own.value), "%ld: %ld/%ld and %s", owns[i].value, owns[i].pid,
                      owns[i].tid, json);
        if (same_thread)
            return;
    }
    ck_assert_int_lt(own_count, (int)COUNT(owns));
    owns[own_count++] = own;
}

START_TEST(each_thread_has_one)
{
    static const char *const targets[] = { "/test/local", "/test/local/blocking", "/test/local/offload" };
    struct reply replies[AT_ONCE];
    START(_i, "--threads", "4", "--workers", "2");
    own_count = 0;
    for (int round = 0; round < 10; round++) {
        for (size_t t = 0; t < COUNT(targets); t++) {
            ask_at_once(targets[t], replies);
            for (int i = 0; i < AT_ONCE; i++) {
                note_own(replies[i].body);
                reply_free(&replies[i]);
            }
        }
    }
    ck_assert_int_eq(counter(demo.port, "locals_made"), own_count);
    ck_assert_int_le(own_count, 2 * (4 + 4));
    stop();
}
END_TEST

/* Waits until threads have freed at least n. */
static void wait_for_freed(long long n)
{
    const int64_t deadline = now_ms() + slow(WAIT_MS);
    while (counter(demo.port, "locals_freed") < n) {
        ck_assert_msg(now_ms() < deadline, "%s: not one freed", demo.engine);
        nap_ms(100); /* a look is a request, which keeps a thread awake */
    }
}

/* Threads that idle end, and so do workers that have had their requests; what they had goes with them. */
START_TEST(what_a_thread_has_ends_with_it)
{
    START(_i, "--set", "thread_idle=10ms", "--set", "requests_per_worker=10");
    bool has_pool = strcmp(variant_pool(_i), "0") != 0;
    bool is_prefork = strcmp(demo.engine, "prefork") == 0;
    bool has_threads = strcmp(demo.engine, "thread") == 0 || strcmp(demo.engine, "process-thread") == 0;
    for (int i = 0; i < 30; i++) {
        expect_get(demo.port, "/test/local/blocking", 200, NULL);
        expect_get(demo.port, "/test/local/offload", 200, NULL);
    }
    wait_for_freed(is_prefork || has_threads || has_pool ? 1 : 0);
    ck_assert_int_eq(counter(demo.port, "misuse"), 0);
    stop();
}
END_TEST

static void add(Suite *s)
{
    TCase *t = e2e_case(s, "shared", 60);
    const int n = variant_count();
    tcase_add_loop_test(t, a_counter_counts_each_request_once, 0, n);
    tcase_add_loop_test(t, the_lock_excludes_all_handlers, 0, n);
    tcase_add_loop_test(t, a_worker_that_dies_with_the_lock, 0, n);
    tcase_add_loop_test(t, each_thread_has_one, 0, n);
    tcase_add_loop_test(t, what_a_thread_has_ends_with_it, 0, n);
}

int main(int argc, char **argv)
{
    return e2e_main_apart("shared", add, argc, argv);
}
