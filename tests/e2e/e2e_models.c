/* SPDX-License-Identifier: MIT
 *
 * The models are real: which processes and threads answer when many clients ask at once, and what it costs when one of
 * them is told to go.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "e2e/client.h"
#include "e2e/harness.h"

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

static long member(const char *json, const char *name)
{
    const char *p = strstr(json, name);
    ck_assert_msg(p != NULL, "no %s in %s", name, json);
    return strtol(p + strlen(name), NULL, 10);
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
        client_read(&clients[i], &r, false, WAIT_MS);
        ck_assert_msg(r.kind == REPLY_OK && r.status == 200, "%s %d", reply_kind_name(&r), r.status);
        who[i] = (struct who){ member(r.body, "\"pid\":"), member(r.body, "\"tid\":") };
        reply_free(&r);
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
    tcase_add_loop_test(t, a_counter_counts_right, 0, engine_count());
    tcase_add_loop_test(t, a_worker_is_told_to_go, 0, engine_count());
}

int main(int argc, char **argv)
{
    return e2e_main_apart("models", add, argc, argv);
}
