/* SPDX-License-Identifier: MIT
 *
 * A slow disk under the bodies that go to files: it holds up whoever sent one, and nobody else. In builds with faults every
 * write to such a file waits.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "e2e/client.h"
#include "e2e/harness.h"

#ifdef CNC_FAULTS
enum { SIZE = 150000, WRITE_MS = 300 };

static struct demo demo;

/* The one that says of itself that it stands still. */
static bool stands_still(int variant)
{
    return has_loop(variant_engine(variant)) && strcmp(variant_pool(variant), "0") == 0;
}

static void start(int variant, unsigned write_ms)
{
    char ms[16];
    snprintf(ms, sizeof ms, "%u", write_ms);
    setenv("CONCUR_TEST_SLOW_DISK", ms, 1);
    demo_start(&demo, variant_engine(variant), "--pool", variant_pool(variant), "--workers",
               workers_for(variant_engine(variant), 3), "--set", "body_memory=64k", "--set", "stop_timeout=60s", NULL);
}

static void send_body(struct client *c)
{
    static char body[SIZE];
    char head[128];
    snprintf(head, sizeof head, "POST /test/body HTTP/1.1\r\nHost: e2e\r\nContent-Length: %d\r\n\r\n", SIZE);
    memset(body, 'x', sizeof body);
    client_open(c, demo.port);
    ck_assert(client_text(c, head) && client_send(c, body, sizeof body));
}

static void expect_file(struct client *c)
{
    struct reply r;
    client_read(c, &r, false, WAIT_MS);
    ck_assert_msg(r.kind == REPLY_OK && r.status == 200 && strstr(r.body, "150000 in file"), "%s: %s %d", demo.engine,
                  reply_kind_name(&r), r.status);
    reply_free(&r);
}

/* How long the slowest answer takes that another client gets while one's body is written. */
static int64_t ask_meanwhile(int variant, unsigned write_ms)
{
    struct client c;
    int64_t longest = 0;
    unsigned answers = 0;
    const int64_t begun = now_ms();
    send_body(&c);
    while (!stands_still(variant) && !client_wait_bytes(&c, 1, 0)) {
        const int64_t took = expect_alive(demo.port, WAIT_MS);
        longest = took > longest ? took : longest;
        answers++;
        nap_ms(10);
    }
    expect_file(&c);
    ck_assert_int_ge(now_ms() - begun, (int64_t)write_ms);
    ck_assert_msg(stands_still(variant) || answers > 5, "%s: %u answers meanwhile", demo.engine, answers);
    client_close(&c);
    return longest;
}

/* What else the machine does makes one wait longer: once in three times is enough, for who waits for the disk does so each time. */
START_TEST(others_are_answered_meanwhile)
{
    const unsigned write_ms = is_sanitized() ? 5 * WRITE_MS : 2 * WRITE_MS;
    int64_t longest = INT64_MAX;
    start(_i, write_ms);
    expect_alive(demo.port, WAIT_MS);
    for (int i = 0; i < 3 && longest >= (int64_t)write_ms / 2; i++)
        longest = ask_meanwhile(_i, write_ms);
    ck_assert_msg(longest < (int64_t)write_ms / 2, "%s: one took %lld ms", demo.engine, (long long)longest);
    demo_stop(&demo, WAIT_MS);
}
END_TEST

START_TEST(one_who_leaves_meanwhile)
{
    struct client c;
    start(_i, WRITE_MS);
    for (int i = 0; i < 3; i++) {
        send_body(&c);
        client_abort(&c);
    }
    expect_alive(demo.port, WAIT_MS);
    expect_balanced(demo.port, WAIT_MS);
    demo_stop(&demo, WAIT_MS);
}
END_TEST

START_TEST(a_stop_meanwhile)
{
    struct client c;
    start(_i, WRITE_MS);
    send_body(&c);
    nap_ms(slow(WRITE_MS / 4)); /* its head was seen, on a slow machine too */
    demo_signal(&demo, 15);
    expect_file(&c);
    client_close(&c);
    ck_assert_int_eq(demo_wait(&demo, WAIT_MS), 0);
}
END_TEST
#endif

static void add(Suite *s)
{
    TCase *t = e2e_case(s, "disk", 60);
#ifdef CNC_FAULTS
    const int n = variant_count();
    tcase_add_loop_test(t, others_are_answered_meanwhile, 0, n);
    tcase_add_loop_test(t, one_who_leaves_meanwhile, 0, n);
    tcase_add_loop_test(t, a_stop_meanwhile, 0, n);
#else
    (void)t;
#endif
}

int main(int argc, char **argv)
{
    return e2e_main_apart("disk", add, argc, argv);
}
