/* SPDX-License-Identifier: MIT
 *
 * Four times more users than threads, all of whom want to block one: each gets its turn, or is told honestly that there is
 * no room. Half of them keep their connections, and must not keep the others out.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "e2e/crowd.h"

enum { THREADS = 8, USERS = 4 * THREADS, BLOCK_MS = 100, WAITS_MAX = 4096, ROUNDS = 3, FACTOR = 3 };

static struct demo demo;

struct waits {
    int64_t ms[WAITS_MAX];
    int count;
    long refused;
};

static void on_end(struct crowd *l, struct user *u, const struct reply *r)
{
    struct waits *w = l->arg;
    size_t n;
    ck_assert_msg(r->kind == REPLY_OK && (r->status == 200 || r->status == 503), "%s: %s %d", demo.engine,
                  reply_kind_name(r), r->status);
    if (r->status == 503) {
        ck_assert_msg(reply_field(r, "Retry-After", &n) != NULL, "%s", r->head);
        w->refused++;
        return;
    }
    ck_assert_int_lt(w->count, WAITS_MAX);
    w->ms[w->count++] = now_ms() - u->asked_at;
}

static int compare(const void *a, const void *b)
{
    const int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

/* Those that one who blocks takes for itself: on each of these engines as many at the same time. Others: false. */
static bool start(const char *engine, const char *room)
{
    const bool is_pool = strcmp(engine, "event-pool") == 0, has_front = strcmp(engine, "process-thread") == 0;
    char queue[32];
    if (!has_threads(engine) && !is_one_connection_a_worker(engine) && !is_pool)
        return false;
    snprintf(queue, sizeof queue, "%s=%s", is_pool ? "pool_queue_max" : "queue_max", room);
    demo_start(&demo, engine, "--workers", has_front ? "2" : "8", "--threads", has_front ? "4" : "8", "--pool",
               is_pool ? "8" : "0", "--set", queue, NULL);
    return true;
}

static void run(struct waits *w, unsigned ms)
{
    static const char *const targets[] = { "/block/100" };
    struct crowd load = { .port = demo.port, .kept = USERS / 2, .fresh = USERS / 2, .targets = targets,
                         .target_count = COUNT(targets), .seed = 1, .on_end = on_end, .arg = w };
    *w = (struct waits){ 0 };
    crowd_start(&load);
    crowd_run(&load, ms);
    crowd_stop(&load);
    for (int i = 0; i < load.count; i++)
        ck_assert_msg(load.users[i].answered > 0, "%s: user %d has no answer", demo.engine, i);
    qsort(w->ms, (size_t)w->count, sizeof *w->ms, compare);
    ck_assert_int_gt(w->count, 0);
}

/* What else the machine does makes some wait longer: once in three times is enough, for who is left out is so each time. */
START_TEST(nobody_is_left_out)
{
    static struct waits w;
    int64_t median = 0, longest = INT64_MAX;
    if (!start(engine_name(_i), "1024"))
        return;
    for (int i = 0; i < ROUNDS && longest > FACTOR * median; i++) {
        run(&w, 2000);
        ck_assert_int_eq(w.refused, 0);
        median = w.ms[w.count / 2];
        longest = w.ms[w.count - 1];
        printf("%s: %d answered, median %lld ms, longest %lld ms\n", demo.engine, w.count, (long long)median,
               (long long)longest);
        ck_assert_int_ge(median, BLOCK_MS);
    }
    ck_assert_int_le(longest, FACTOR * median);
    demo_stop(&demo, WAIT_MS);
}
END_TEST

/* Room for as many as are served: half of the users are refused, at once. On prefork all wait in the kernel. */
START_TEST(who_has_no_room_is_told)
{
    static struct waits w;
    if (!start(engine_name(_i), "8"))
        return;
    run(&w, 1000);
    printf("%s: %d answered, %ld refused\n", demo.engine, w.count, w.refused);
    ck_assert_int_eq(w.refused > 0, !is_one_connection_a_worker(demo.engine));
    demo_stop(&demo, WAIT_MS);
}
END_TEST

/* More wait to be accepted than most servers have room for: those beyond would be dropped, and try again after seconds. */
START_TEST(a_thousand_may_wait_to_be_accepted)
{
    enum { CLIENTS = 1000 };
    static struct client clients[CLIENTS];
    pid_t pids[64];
    demo_start(&demo, engine_name(_i), NULL);
    const int count = demo_pids(&demo, pids, 64); /* the master first: it shall not replace the others */
    for (int i = 0; i < count; i++)
        ck_assert_int_eq(kill(pids[i], SIGSTOP), 0);
    for (int i = 0; i < CLIENTS; i++) /* a connection that is dropped does not return from this */
        client_open(&clients[i], demo.port);
    for (int i = 0; i < CLIENTS; i++)
        ck_assert(client_text(&clients[i], "GET / HTTP/1.1\r\nHost: e2e\r\nConnection: close\r\n\r\n"));
    for (int i = count - 1; i >= 0; i--)
        ck_assert_int_eq(kill(pids[i], SIGCONT), 0);
    for (int i = 0; i < CLIENTS; i++) {
        struct reply r;
        client_read(&clients[i], &r, false, WAIT_MS);
        ck_assert_msg(r.kind == REPLY_OK && r.status == 200, "%d: %s %d", i, reply_kind_name(&r), r.status);
        reply_free(&r);
        client_close(&clients[i]);
    }
    demo_stop(&demo, WAIT_MS);
}
END_TEST

static void add(Suite *s)
{
    TCase *t = e2e_case(s, "fair", 60);
    tcase_add_loop_test(t, a_thousand_may_wait_to_be_accepted, 0, engine_count());
    tcase_add_loop_test(t, nobody_is_left_out, 0, engine_count());
    tcase_add_loop_test(t, who_has_no_room_is_told, 0, engine_count());
}

int main(int argc, char **argv)
{
    return e2e_main_apart("fair", add, argc, argv);
}
