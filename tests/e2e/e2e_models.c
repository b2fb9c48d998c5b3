/* SPDX-License-Identifier: MIT
 *
 * The models are real: which processes and threads answer when many clients ask at once, and what it costs when one of
 * them is told to go.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "e2e/crowd.h"

enum { CLIENTS = 32, PIDS_MAX = 64 };

static struct demo demo;

static void send_get(struct client *c, const char *target)
{
    char request[128];
    snprintf(request, sizeof request, "GET %s HTTP/1.1\r\nHost: e2e\r\n\r\n", target);
    ck_assert(client_text(c, request));
}

/* ---- who answers ---- */

struct who {
    long pid, tid;
};

static struct who read_who(struct client *c)
{
    struct reply r;
    client_read(c, &r, false, WAIT_MS);
    ck_assert_msg(r.kind == REPLY_OK && r.status == 200, "%s %d", reply_kind_name(&r), r.status);
    const struct who who = { json_number(r.body, "pid"), json_number(r.body, "tid") };
    reply_free(&r);
    return who;
}

/* Many clients at once, each of whom keeps somebody busy for a while and then asks who it was. */
static void ask_everybody(struct who *who)
{
    struct client clients[CLIENTS];
    for (int i = 0; i < CLIENTS; i++) {
        client_open(&clients[i], demo.port);
        send_get(&clients[i], "/block/50");
        send_get(&clients[i], "/whoami");
    }
    for (int i = 0; i < CLIENTS; i++) {
        struct reply r;
        client_read(&clients[i], &r, false, WAIT_MS);
        ck_assert_msg(r.kind == REPLY_OK && r.status == 200, "%s %d", reply_kind_name(&r), r.status);
        reply_free(&r);
        who[i] = read_who(&clients[i]);
    }
    for (int i = 0; i < CLIENTS; i++)
        client_close(&clients[i]);
}

static int count_pids(const struct who *who)
{
    int n = 0;
    for (int i = 0; i < CLIENTS; i++) {
        int k = 0;
        while (k < i && who[k].pid != who[i].pid)
            k++;
        n += k == i;
    }
    return n;
}

/* Of the process that has most of them. */
static int count_tids(const struct who *who)
{
    int most = 0;
    for (int i = 0; i < CLIENTS; i++) {
        int n = 0;
        for (int j = 0; j < CLIENTS; j++) {
            int k = 0;
            while (k < j && (who[k].pid != who[j].pid || who[k].tid != who[j].tid))
                k++;
            n += k == j && who[j].pid == who[i].pid;
        }
        most = n > most ? n : most;
    }
    return most;
}

START_TEST(who_answers)
{
    const char *engine = engine_name(_i);
    struct who who[CLIENTS];
    demo_start(&demo, engine, "--workers", workers_for(engine, 34), NULL);
    ask_everybody(who);
    const int pids = count_pids(who), tids = count_tids(who);
    printf("%s: %d processes, at most %d threads in one of them\n", engine, pids, tids);
    ck_assert_int_eq(tids > 1, has_threads(engine));
    if (is_one_connection_a_worker(engine))
        ck_assert_int_ge(pids, 4);
    else
        ck_assert_int_eq(pids, has_workers(engine) ? workers_usually(engine) : 1);
    demo_stop(&demo, WAIT_MS);
}
END_TEST

/* Who runs a blocking route, while many do: the pool's threads where there is a pool, and the loop goes on beside them; else
 * whoever runs every handler. */
START_TEST(who_blocks)
{
    enum { POOL = 4 };
    const char *engine = variant_engine(_i);
    const bool has_pool = has_loop(engine) && strcmp(variant_pool(_i), "0") != 0;
    struct client clients[CLIENTS], beside;
    struct who who[CLIENTS];
    demo_start(&demo, engine, "--pool", variant_pool(_i), "--workers", workers_for(engine, CLIENTS + 2), NULL);
    for (int i = 0; i < CLIENTS; i++) {
        client_open(&clients[i], demo.port);
        send_get(&clients[i], "/test/whoami/50");
    }
    client_open(&beside, demo.port);
    send_get(&beside, "/whoami");
    const struct who other = read_who(&beside);
    ck_assert_int_eq(other.tid == other.pid, !has_threads(engine)); /* the loop, or a worker's only thread */
    if (has_pool && !has_workers(engine))
        ck_assert_int_eq(client_fate(&clients[CLIENTS - 1], 0), CLIENT_OPEN);
    for (int i = 0; i < CLIENTS; i++) {
        who[i] = read_who(&clients[i]);
        ck_assert_int_eq(who[i].tid == who[i].pid, !has_threads(engine) && !has_pool);
    }
    const int pids = count_pids(who), tids = count_tids(who);
    printf("%s, pool %s: %d processes, at most %d threads in one of them block\n", engine, variant_pool(_i), pids, tids);
    if (has_pool)
        ck_assert_msg(tids > 1 && tids <= POOL, "%d", tids);
    else
        ck_assert_int_eq(tids > 1, has_threads(engine));
    if (is_one_connection_a_worker(engine))
        ck_assert_int_ge(pids, 4);
    else if (has_pool) /* a loop that nobody holds may be quicker than it can be helped */
        ck_assert_int_le(pids, workers_usually(engine));
    else
        ck_assert_int_eq(pids, has_workers(engine) ? workers_usually(engine) : 1);
    client_close(&beside);
    for (int i = 0; i < CLIENTS; i++)
        client_close(&clients[i]);
    demo_stop(&demo, WAIT_MS);
}
END_TEST

START_TEST(a_counter_counts_right)
{
    enum { ROUNDS = 5 };
    const char *engine = engine_name(_i);
    static bool seen[CLIENTS * ROUNDS + 1];
    demo_start(&demo, engine, "--workers", workers_for(engine, 34), NULL);
    memset(seen, 0, sizeof seen);
    for (int round = 0; round < ROUNDS; round++) {
        struct client clients[CLIENTS];
        for (int i = 0; i < CLIENTS; i++) {
            client_open(&clients[i], demo.port);
            send_get(&clients[i], "/counter");
        }
        for (int i = 0; i < CLIENTS; i++) {
            struct reply r;
            client_read(&clients[i], &r, false, WAIT_MS);
            ck_assert_msg(r.kind == REPLY_OK && r.status == 200, "%s %d", reply_kind_name(&r), r.status);
            const long n = strtol(r.body, NULL, 10);
            ck_assert_msg(n >= 1 && n <= CLIENTS * ROUNDS && !seen[n], "%ld", n);
            seen[n] = true;
            reply_free(&r);
            client_close(&clients[i]);
        }
    }
    demo_stop(&demo, WAIT_MS);
}
END_TEST

/* ---- who gets how many ---- */

enum { BURST = 10000, BURST_QUICK = 1000, SPARE_FILES = 100 };

/* As many connections as this process may have. */
static int burst(void)
{
    struct rlimit files;
    ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &files), 0);
    ck_assert_uint_ge(files.rlim_cur, BURST_QUICK + SPARE_FILES);
    if (is_quick())
        return BURST_QUICK;
    return files.rlim_cur < BURST + SPARE_FILES ? (int)files.rlim_cur - SPARE_FILES : BURST;
}

static void count_by_pid(struct client *clients, int count, const char *workers)
{
    struct {
        long pid;
        int connections;
    } by[4] = { 0 };
    const int expected = (int)strtol(workers, NULL, 10);
    int n = 0, most = 0, least = count;
    for (int i = 0; i < count; i++) {
        const struct who who = read_who(&clients[i]);
        int k = 0;
        while (k < n && by[k].pid != who.pid)
            k++;
        ck_assert_int_lt(k, expected);
        n += k == n;
        by[k].pid = who.pid;
        by[k].connections++;
        client_close(&clients[i]);
    }
    for (int k = 0; k < expected; k++) {
        most = by[k].connections > most ? by[k].connections : most;
        least = by[k].connections < least ? by[k].connections : least;
    }
    printf("%s: of %d connections the busiest of %d workers has %d, the idlest %d\n", demo.engine, count, expected, most,
           least);
    /* A sanitizer makes a worker so slow that the kernel wakes whoever is awake: there it shows that nobody is left out. */
    ck_assert_int_lt(most, (is_quick() ? 20 : 3) * least);
}

/* Whose connections stay where they were accepted. */
START_TEST(a_burst_is_divided)
{
    static const char *const workers[] = { "2", "4" };
    static struct client clients[BURST];
    const int count = burst();
    if (strcmp(engine_name(_i), "process-event") != 0)
        return;
    for (size_t w = 0; w < COUNT(workers); w++) {
        demo_start(&demo, engine_name(_i), "--workers", workers[w], NULL);
        for (int i = 0; i < count; i++) {
            client_open(&clients[i], demo.port);
            send_get(&clients[i], "/whoami");
        }
        count_by_pid(clients, count, workers[w]);
        demo_stop(&demo, WAIT_MS);
    }
}
END_TEST

/* ---- who goes ---- */

static void wait_for_pids(int count, pid_t without, unsigned ms)
{
    pid_t pids[PIDS_MAX];
    for (int64_t deadline = now_ms() + slow(ms);; nap_ms(2)) {
        const int n = demo_pids(&demo, pids, PIDS_MAX);
        bool gone = true;
        for (int i = 0; i < n; i++)
            gone &= pids[i] != without;
        if (gone && n >= count)
            return;
        ck_assert_msg(now_ms() < deadline, "%d of %d processes", n, count);
    }
}

/* One worker alone is told to go: it finishes what it has, others take what comes, nobody loses anything. */
START_TEST(a_worker_is_told_to_go)
{
    enum { AT_ONCE = 6 };
    const char *engine = engine_name(_i);
    const int rounds = is_quick() ? 5 : 20;
    uint64_t seed = 40 + (uint64_t)_i;
    demo_start(&demo, engine, "--set", "master=on", NULL);
    pid_t pids[PIDS_MAX];
    const int full = demo_pids(&demo, pids, PIDS_MAX);
    const int front = strcmp(engine, "process-thread") == 0; /* the first child */
    for (int round = 0; round < rounds; round++) {
        struct client clients[AT_ONCE];
        for (int i = 0; i < AT_ONCE; i++) {
            client_open(&clients[i], demo.port);
            send_get(&clients[i], i % 2 ? "/sleep/20" : "/whoami");
        }
        nap_ms((unsigned)(random_next(&seed) % 25)); /* somewhere in what they ask for */
        ck_assert_int_eq(demo_pids(&demo, pids, PIDS_MAX), full);
        const pid_t leaver = pids[1 + front + (int)(random_next(&seed) % (uint64_t)(full - 1 - front))];
        ck_assert_int_eq(kill(leaver, SIGTERM), 0);
        for (int i = 0; i < AT_ONCE; i++) {
            struct reply r;
            client_read(&clients[i], &r, false, WAIT_MS);
            ck_assert_msg(r.kind == REPLY_OK && r.status == 200, "%s: %s %d", engine, reply_kind_name(&r), r.status);
            reply_free(&r);
            client_close(&clients[i]);
        }
        wait_for_pids(full, leaver, 5000);
        expect_alive(demo.port, 1000);
    }
    demo_stop(&demo, WAIT_MS);
}
END_TEST

static void add(Suite *s)
{
    TCase *t = e2e_case(s, "models", 60);
    tcase_add_loop_test(t, who_answers, 0, engine_count());
    tcase_add_loop_test(t, who_blocks, 0, variant_count());
    tcase_add_loop_test(t, a_counter_counts_right, 0, engine_count());
    tcase_add_loop_test(t, a_burst_is_divided, 0, engine_count());
    tcase_add_loop_test(t, a_worker_is_told_to_go, 0, engine_count());
}

int main(int argc, char **argv)
{
    return e2e_main_apart("models", add, argc, argv);
}
