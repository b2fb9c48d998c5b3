/* SPDX-License-Identifier: MIT
 *
 * Many clients on prefork: four times as many as workers, all of whom block one, none of whom waits much longer than the others;
 * and slow heads, which neither keep a good client waiting nor make the pool grow. Times are those of an otherwise idle machine.
 */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "e2e/client.h"
#include "e2e/harness.h"

enum { WORKERS = 221, USERS = 4 * WORKERS, EACH = 6, BLOCK_MS = 100, FACTOR = 5, SLOW = 500, SLOW_S = 30, GOOD_MS = 1000 };

static struct demo demo;

static int in_order(const void *a, const void *b)
{
    const int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

/* ---- four times more than workers ---- */

struct user {
    struct client c;
    int64_t asked_at;
    int asked;
};

static struct user users[USERS];
static int64_t waits[USERS * EACH];

/* Every other one keeps its connection for as long as it may. */
static void user_ask(struct user *u, int i)
{
    if (u->c.fd < 0)
        client_open(&u->c, demo.port);
    u->asked_at = now_ms();
    u->asked++;
    ck_assert(client_text(&u->c, i % 2 ? "GET /block/100 HTTP/1.1\r\nHost: e2e\r\n\r\n"
                                       : "GET /block/100 HTTP/1.1\r\nHost: e2e\r\nConnection: close\r\n\r\n"));
}

/* Its answer has begun to come. */
static int64_t user_take(struct user *u)
{
    struct reply r;
    client_read(&u->c, &r, false, WAIT_MS);
    const int64_t waited = now_ms() - u->asked_at;
    ck_assert_msg(r.kind == REPLY_OK && r.status == 200, "%s %d", reply_kind_name(&r), r.status);
    if (r.says_close) {
        client_close(&u->c);
        u->c.fd = -1;
    }
    reply_free(&r);
    return waited;
}

START_TEST(nobody_waits_much_longer)
{
    static struct pollfd fds[USERS];
    char count[16];
    int n = 0;
    snprintf(count, sizeof count, "%d", WORKERS);
    demo_start(&demo, "prefork", "--workers", count, NULL);
    for (int i = 0; i < USERS; i++) {
        users[i] = (struct user){ .c.fd = -1 };
        user_ask(&users[i], i);
    }
    while (n < USERS * EACH) {
        for (int i = 0; i < USERS; i++)
            fds[i] = (struct pollfd){ .fd = users[i].c.fd, .events = POLLIN };
        ck_assert_int_gt(poll(fds, USERS, WAIT_MS), 0);
        for (int i = 0; i < USERS; i++) {
            if (!fds[i].revents)
                continue;
            waits[n++] = user_take(&users[i]);
            if (users[i].asked < EACH)
                user_ask(&users[i], i);
            else if (users[i].c.fd >= 0)
                client_close(&users[i].c), users[i].c.fd = -1;
        }
    }
    qsort(waits, (size_t)n, sizeof *waits, in_order);
    const int64_t median = waits[n / 2], longest = waits[n - 1];
    printf("%d clients, %d workers: %d answered, median %lld ms, longest %lld ms\n", USERS, WORKERS, n, (long long)median,
           (long long)longest);
    ck_assert_int_ge(waits[0], BLOCK_MS);
    ck_assert_msg(longest <= FACTOR * median, "%lld of %lld ms", (long long)longest, (long long)median);
    demo_stop(&demo, WAIT_MS);
}
END_TEST

/* ---- slow heads ---- */

START_TEST(slow_heads_keep_nobody_waiting)
{
    static const char head[] = "GET / HTTP/1.1\r\nHost: e2e\r\nX-More: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
    static struct client slow_ones[SLOW];
    pid_t pids[256];
    int64_t longest = 0;
    int most = 0, asked = 0;
    demo_start(&demo, "prefork", "--workers", "auto", "--set", "workers_start=3", "--set", "spare_min=1", "--set", "spare_max=4",
               "--set", "header_timeout=10m", NULL);
    for (int i = 0; i < SLOW; i++)
        client_open(&slow_ones[i], demo.port);
    const int64_t begun = now_ms();
    for (int second = 0; second < SLOW_S; second++) {
        for (int i = 0; i < SLOW; i++)
            ck_assert(client_send(&slow_ones[i], &head[second], 1));
        while (now_ms() < begun + 1000 * (second + 1)) {
            const int64_t took = expect_alive(demo.port, WAIT_MS);
            const int count = demo_pids(&demo, pids, (int)COUNT(pids));
            longest = took > longest ? took : longest;
            most = count > most ? count : most;
            asked++;
            nap_ms(20);
        }
    }
    printf("beside %d slow heads: %d requests, the longest %lld ms; at most %d processes\n", SLOW, asked, (long long)longest, most);
    ck_assert_int_lt(longest, GOOD_MS);
    ck_assert_int_le(most, 2 + 4 + 1); /* master, heads, the most that may be idle, and who is being served */
    for (int i = 0; i < SLOW; i++)
        client_close(&slow_ones[i]);
    demo_stop(&demo, WAIT_MS);
}
END_TEST

static void add(Suite *s)
{
    TCase *t = e2e_case(s, "crowds", 300);
    tcase_add_test(t, nobody_waits_much_longer);
    tcase_add_test(t, slow_heads_keep_nobody_waiting);
}

int main(int argc, char **argv)
{
    return e2e_main("soak_crowds", add, argc, argv);
}
