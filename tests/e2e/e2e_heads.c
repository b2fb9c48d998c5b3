/* SPDX-License-Identifier: MIT
 *
 * Heads that come slowly, or not at all: on no engine do they keep anybody else waiting, each that is complete in time is
 * answered, and a stop lets those finish that have begun.
 *
 * CONCUR_TEST_SEED: how the heads are cut. It is printed.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "e2e/client.h"
#include "e2e/harness.h"

enum { SLOW = 120, WORKERS = 4, BIG = 50000 };

static struct demo demo;

static uint64_t take_seed(void)
{
    const char *text = getenv("CONCUR_TEST_SEED");
    uint64_t seed = text && *text ? strtoull(text, NULL, 0) : (uint64_t)now_ms();
    printf("CONCUR_TEST_SEED=%llu\n", (unsigned long long)seed);
    return seed;
}

static int count_processes(void)
{
    pid_t pids[256];
    return demo_pids(&demo, pids, 256);
}

static void start(const char *engine)
{
    demo_start(&demo, engine, "--workers", "4", "--threads", "4", "--unsafe", "--set", "header_timeout=10m", "--set",
               "master=on", NULL);
}

/* Half of them say nothing, the others begin a head, each another part of it. */
static void open_slow(struct client *slow_ones, uint64_t *seed)
{
    static const char head[] = "GET / HTTP/1.1\r\nHost: e2e\r\nX-More: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
    for (int i = 0; i < SLOW; i++) {
        client_open(&slow_ones[i], demo.port);
        if (i % 2)
            ck_assert(client_send(&slow_ones[i], head, 1 + (size_t)(random_next(seed) % (sizeof head - 1))));
    }
}

/* Far more of them than there are workers or threads, and none of these is held by them. */
START_TEST(they_hold_nobody)
{
    static struct client slow_ones[SLOW];
    uint64_t seed = take_seed();
    start(engine_name(_i));
    open_slow(slow_ones, &seed);
    for (int i = 0; i < 4 * WORKERS; i++)
        expect_alive(demo.port, WAIT_MS);
    for (int i = 0; i < SLOW; i++) {
        ck_assert_int_eq(client_fate(&slow_ones[i], 0), CLIENT_OPEN);
        client_close(&slow_ones[i]);
    }
    demo_stop(&demo, WAIT_MS);
}
END_TEST

/* A pool that varies does not grow by them. */
START_TEST(the_pool_does_not_grow_by_them)
{
    static struct client slow_ones[SLOW];
    uint64_t seed = take_seed();
    if (!is_one_connection_a_worker(engine_name(_i)))
        return;
    demo_start(&demo, engine_name(_i), "--workers", "auto", "--set", "workers_start=3", "--set", "spare_min=1", "--set",
               "spare_max=4", "--set", "header_timeout=10m", NULL);
    open_slow(slow_ones, &seed);
    for (int64_t until = now_ms() + 2500; now_ms() < until;) { /* the pool is looked at once a second */
        expect_alive(demo.port, WAIT_MS);
        ck_assert_int_le(count_processes(), 2 + 4 + 1);
    }
    for (int i = 0; i < SLOW; i++)
        client_close(&slow_ones[i]);
    demo_stop(&demo, WAIT_MS);
}
END_TEST

/* ---- each is answered ---- */

struct slow {
    struct client c;
    char *text; /* owned: two requests, the second right behind the first */
    size_t n, at, first; /* first: bytes of the first one */
};

static void make_request(struct slow *s, int i, uint64_t *seed)
{
    const size_t filler = random_next(seed) % (i % 7 == 0 ? BIG : 200), body = i % 3 ? 0 : 1 + random_next(seed) % 3000;
    s->text = malloc(2 * (filler + body) + 1000);
    ck_assert_ptr_nonnull(s->text);
    s->n = 0;
    for (int k = 0; k < 2; k++) {
        s->n += (size_t)sprintf(s->text + s->n, "%s /echo HTTP/1.1\r\nHost: e2e\r\nX-I: %d\r\nContent-Length: %zu\r\n",
                                body ? "POST" : "GET", i, body);
        for (size_t left = filler; left > 0; left -= left < 20000 ? left : 20000) /* fields under the limit of a line */
            s->n += (size_t)sprintf(s->text + s->n, "X-Filler: %0*d\r\n", (int)(left < 20000 ? left : 20000), 0);
        s->n += (size_t)sprintf(s->text + s->n, "\r\n%0*d", (int)body, 0) - (body == 0);
        s->first = k == 0 ? s->n : s->first;
    }
    s->at = 0;
}

static bool send_piece(struct slow *s, uint64_t *seed)
{
    const size_t left = s->n - s->at, most = 1 + s->n / 6;
    const size_t n = 1 + random_next(seed) % most;
    if (!left)
        return false;
    const bool sent = client_send(&s->c, s->text + s->at, n < left ? n : left);
    ck_assert(sent || s->at >= s->first); /* else its worker was wanted, and has closed after the first reply */
    s->at = sent ? s->at + (n < left ? n : left) : s->n;
    return true;
}

/* Cut anywhere, with pauses of more and of less than a worker waits; two requests on each connection. */
START_TEST(each_is_answered)
{
    enum { COUNT_OF = 24 };
    static struct slow all[COUNT_OF];
    uint64_t seed = take_seed();
    start(engine_name(_i));
    for (int i = 0; i < COUNT_OF; i++) {
        make_request(&all[i], i, &seed);
        client_open(&all[i].c, demo.port);
    }
    for (bool any = true; any; nap_ms((unsigned)(random_next(&seed) % 16))) {
        any = false;
        for (int i = 0; i < COUNT_OF; i++)
            any = send_piece(&all[i], &seed) || any;
    }
    for (int i = 0; i < COUNT_OF; i++) {
        for (int k = 0; k < 2; k++) {
            struct reply r;
            client_read(&all[i].c, &r, false, WAIT_MS);
            ck_assert_msg(r.kind == REPLY_OK && r.status == 200, "%d: %s %d", i, reply_kind_name(&r), r.status);
            if (r.says_close) /* others wait for its worker: the second request is the client's to repeat */
                k = 2;
            reply_free(&r);
        }
        client_close(&all[i].c);
        free(all[i].text);
    }
    expect_balanced(demo.port, WAIT_MS);
    demo_stop(&demo, WAIT_MS);
}
END_TEST

/* ---- the end ---- */

/* A head that has begun when the stop does is let finish, and the stop waits for nothing else. */
START_TEST(a_stop_lets_one_finish)
{
    struct client c, silent;
    struct reply r;
    demo_start(&demo, engine_name(_i), "--set", "stop_timeout=60s", "--set", "drain_idle=50ms", "--set", "master=on", NULL);
    client_open(&silent, demo.port);
    client_open(&c, demo.port);
    ck_assert(client_text(&c, "GET / HTTP/1.1\r\nHost: e"));
    nap_ms(100); /* a head that is taken for slow, where that is done */
    demo_signal(&demo, SIGTERM);
    ck_assert_int_eq(client_fate(&silent, WAIT_MS), CLIENT_EOF);
    ck_assert(client_text(&c, "2e\r\n\r\n"));
    client_read(&c, &r, false, WAIT_MS);
    ck_assert_msg(r.kind == REPLY_OK && r.status == 200, "%s %d", reply_kind_name(&r), r.status);
    ck_assert(r.says_close);
    reply_free(&r);
    client_close(&c);
    client_close(&silent);
    ck_assert_int_eq(demo_wait(&demo, WAIT_MS), 0);
}
END_TEST

/* A worker that is busy when the stop comes may see that no heads come any more before it hears of the stop: what was passed
 * meanwhile woke it first. It waits for nothing then. */
START_TEST(a_busy_worker_waits_for_no_heads)
{
    struct client late, busy[2];
    struct reply r;
    if (!is_one_connection_a_worker(engine_name(_i)))
        return;
    demo_start(&demo, engine_name(_i), "--workers", "2", "--set", "stop_timeout=60s", NULL);
    client_open(&late, demo.port);
    ck_assert(client_text(&late, "GET / HTTP/1.1\r\nHost: e2e\r\nConnection: close\r\n"));
    nap_ms(200); /* it is taken for slow */
    for (int i = 0; i < 2; i++) {
        client_open(&busy[i], demo.port);
        ck_assert(client_text(&busy[i], i ? "GET /block/3000 HTTP/1.1\r\nHost: e2e\r\nConnection: close\r\n\r\n"
                                          : "GET /block/600 HTTP/1.1\r\nHost: e2e\r\nConnection: close\r\n\r\n"));
    }
    nap_ms(200); /* both workers are busy */
    ck_assert(client_text(&late, "\r\n"));
    client_read(&late, &r, false, WAIT_MS);
    ck_assert_msg(r.kind == REPLY_OK && r.status == 200, "%s %d", reply_kind_name(&r), r.status);
    reply_free(&r);
    demo_signal(&demo, SIGTERM);
    for (int i = 0; i < 2; i++) {
        client_read(&busy[i], &r, false, WAIT_MS);
        ck_assert_msg(r.kind == REPLY_OK && r.status == 200, "%s %d", reply_kind_name(&r), r.status);
        reply_free(&r);
        client_close(&busy[i]);
    }
    client_close(&late);
    ck_assert_int_eq(demo_wait(&demo, WAIT_MS), 0);
}
END_TEST

/* Who has most descriptors beyond those of any other: it has the slow ones. */
static pid_t wait_for_holder(int at_least)
{
    for (int64_t until = now_ms() + slow(WAIT_MS);; nap_ms(5)) {
        pid_t pids[64];
        ck_assert_int_lt(now_ms(), until);
        for (int i = demo_pids(&demo, pids, 64) - 1; i > 0; i--)
            if (process_count_files(pids[i]) >= at_least)
                return pids[i];
    }
}

/* The process that waits for heads may die like any other: what it held is lost, what it did not is answered. */
START_TEST(a_death_costs_what_was_held)
{
    static struct client slow_ones[SLOW];
    uint64_t seed = take_seed();
    if (!is_one_connection_a_worker(engine_name(_i)))
        return;
    start(engine_name(_i));
    for (int round = 0; round < 3; round++) {
        int lost = 0;
        open_slow(slow_ones, &seed);
        ck_assert_int_eq(kill(wait_for_holder(SLOW), SIGKILL), 0);
        for (int i = 0; i < SLOW; i++) {
            struct reply r;
            (void)client_text(&slow_ones[i], i % 2 ? "\r\nA: b\r\n\r\n" : "GET / HTTP/1.1\r\nHost: e2e\r\n\r\n");
            client_read(&slow_ones[i], &r, false, WAIT_MS);
            ck_assert_msg(r.kind == REPLY_OK || r.kind == REPLY_NONE || r.kind == REPLY_RESET, "%s", reply_kind_name(&r));
            lost += r.kind != REPLY_OK;
            reply_free(&r);
            client_close(&slow_ones[i]);
        }
        ck_assert_int_ge(lost, SLOW / 2);
        for (int64_t until = now_ms() + slow(WAIT_MS); count_processes() < 2 + WORKERS; nap_ms(5))
            ck_assert_int_lt(now_ms(), until);
    }
    demo_stop(&demo, WAIT_MS);
}
END_TEST

/* More of them than it may hold: it takes no more than that, the others stay where they are, and nobody waits for them. */
START_TEST(more_than_it_may_hold)
{
    enum { MOST = 20 };
    static struct client slow_ones[SLOW];
    pid_t pids[16];
    long before[16], most = 0;
    uint64_t seed = take_seed();
    if (!is_one_connection_a_worker(engine_name(_i)))
        return;
    demo_start(&demo, engine_name(_i), "--workers", "4", "--unsafe", "--set", "header_timeout=10m", "--set", "connections_max=20", NULL);
    const int n = demo_pids(&demo, pids, (int)COUNT(pids));
    for (int i = 1; i < n; i++)
        before[i] = process_count_files(pids[i]);
    open_slow(slow_ones, &seed);
    for (int64_t until = now_ms() + slow(WAIT_MS); most < MOST; nap_ms(5)) {
        ck_assert_msg(now_ms() < until, "it holds %ld", most);
        for (int i = 1; i < n; i++)
            most = process_count_files(pids[i]) - before[i] > most ? process_count_files(pids[i]) - before[i] : most;
    }
    for (int i = 0; i < 4 * WORKERS; i++) {
        expect_alive(demo.port, WAIT_MS);
        for (int k = 1; k < n; k++)
            ck_assert_int_le(process_count_files(pids[k]) - before[k], MOST);
    }
    for (int i = 0; i < SLOW; i++)
        client_close(&slow_ones[i]);
    expect_alive(demo.port, WAIT_MS);
    demo_stop(&demo, WAIT_MS);
}
END_TEST

static void add(Suite *s)
{
    TCase *t = e2e_case(s, "heads", 60);
    tcase_add_loop_test(t, they_hold_nobody, 0, engine_count());
    tcase_add_loop_test(t, the_pool_does_not_grow_by_them, 0, engine_count());
    tcase_add_loop_test(t, each_is_answered, 0, engine_count());
    tcase_add_loop_test(t, a_stop_lets_one_finish, 0, engine_count());
    tcase_add_loop_test(t, a_busy_worker_waits_for_no_heads, 0, engine_count());
    tcase_add_loop_test(t, a_death_costs_what_was_held, 0, engine_count());
    tcase_add_loop_test(t, more_than_it_may_hold, 0, engine_count());
}

int main(int argc, char **argv)
{
    return e2e_main_apart("heads", add, argc, argv);
}
