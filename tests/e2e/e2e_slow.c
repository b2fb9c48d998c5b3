/* SPDX-License-Identifier: MIT
 *
 * Peers that are too slow: each class of deadline, with small values, on every engine. The bounds below a deadline are
 * strict, those above generous.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "e2e/client.h"
#include "e2e/harness.h"

enum { TICK_SLACK = 2000 };

static struct demo demo;

/* Sends a byte of text every 20 ms until the server says something; fails after ms. How long that took. */
static int64_t trickle(struct client *c, const char *text, unsigned ms)
{
    const int64_t begun = now_ms(), deadline = begun + slow(ms);
    const size_t n = strlen(text);
    for (size_t at = 0; client_fate(c, 0) == CLIENT_OPEN; at++) {
        ck_assert_msg(now_ms() < deadline, "nothing after %zu bytes in %u ms", at, slow(ms));
        if (at < n)
            client_send_some(c, text + at, 1);
        nap_ms(20);
    }
    return now_ms() - begun;
}

static void expect_timeout(struct client *c)
{
    struct reply r;
    client_read(c, &r, false, WAIT_MS);
    ck_assert_msg(r.kind == REPLY_OK && r.status == 408, "%s %d", reply_kind_name(&r), r.status);
    ck_assert(r.says_close);
    reply_free(&r);
    ck_assert_int_eq(client_fate(c, WAIT_MS), CLIENT_EOF);
    client_close(c);
}

static const char endless_head[] =
    "GET / HTTP/1.1\r\nHost: e2e\r\nX: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";

/* Each byte comes in time, the head as a whole does not. */
START_TEST(slow_head)
{
    struct client c;
    demo_start(&demo, engine_name(_i), "--set", "header_timeout=400ms", NULL);
    client_open(&c, demo.port);
    int64_t took = trickle(&c, endless_head, 400 + TICK_SLACK);
    ck_assert_int_ge(took, 390);
    expect_timeout(&c);
    /* and the next head on a connection that was served before */
    client_open(&c, demo.port);
    ck_assert(client_text(&c, "GET / HTTP/1.1\r\nHost: e2e\r\n\r\n"));
    struct reply r;
    client_read(&c, &r, false, WAIT_MS);
    ck_assert_int_eq(r.status, 200);
    reply_free(&r);
    took = trickle(&c, endless_head, 400 + TICK_SLACK);
    ck_assert_int_ge(took, 390);
    expect_timeout(&c);
    demo_stop(&demo, WAIT_MS);
}
END_TEST

/* Who connects and says nothing is let go. */
START_TEST(silent_connection)
{
    struct client c;
    demo_start(&demo, engine_name(_i), "--set", "header_timeout=400ms", "--set", "keepalive_timeout=400ms", NULL);
    client_open(&c, demo.port);
    bool ended;
    const int64_t begun = now_ms();
    client_drain(&c, 400 + TICK_SLACK, &ended);
    ck_assert_msg(ended && !c.reset, "still open");
    ck_assert_int_ge(now_ms() - begun, 390);
    client_close(&c);
    demo_stop(&demo, WAIT_MS);
}
END_TEST

START_TEST(silent_body)
{
    static const char *const targets[] = { "/submit", "/test/body", "/test/pause" };
    char head[128];
    struct client c;
    demo_start(&demo, engine_name(_i), "--set", "body_timeout=400ms", NULL);
    for (size_t i = 0; i < COUNT(targets); i++) {
        snprintf(head, sizeof head, "POST %s HTTP/1.1\r\nHost: e2e\r\nContent-Length: 10\r\n\r\nab", targets[i]);
        client_open(&c, demo.port);
        const int64_t begun = now_ms();
        ck_assert(client_text(&c, head));
        ck_assert_msg(client_wait_bytes(&c, 1, 400 + TICK_SLACK), "%s: no 408", targets[i]);
        ck_assert_int_ge(now_ms() - begun, 390);
        expect_timeout(&c);
    }
    expect_balanced(demo.port, WAIT_MS);
    demo_stop(&demo, WAIT_MS);
}
END_TEST

/* Each byte comes in time, but a body of that rate would take for ever. */
START_TEST(slow_body)
{
    struct client c;
    demo_start(&demo, engine_name(_i), "--set", "body_timeout=500ms", "--set", "body_rate_min=1000", NULL);
    client_open(&c, demo.port);
    const int64_t begun = now_ms(); /* before the server can know of it */
    ck_assert(client_text(&c, "POST /submit HTTP/1.1\r\nHost: e2e\r\nContent-Length: 100000\r\n\r\n"));
    (void)trickle(&c, endless_head, 4000);
    ck_assert_int_ge(now_ms() - begun, 490);
    expect_timeout(&c);
    expect_balanced(demo.port, WAIT_MS);
    demo_stop(&demo, WAIT_MS);
}
END_TEST

/* A handler that is slow to take the body is no fault of the peer's. */
START_TEST(slow_handler)
{
    char *body = calloc(1, 200000);
    struct client c;
    struct reply r;
    ck_assert_ptr_nonnull(body);
    demo_start(&demo, variant_engine(_i), "--pool", variant_pool(_i), "--set", "header_timeout=400ms", "--set",
               "body_timeout=400ms", "--set", "keepalive_timeout=400ms", "--set", "write_timeout=400ms", NULL);
    client_open(&c, demo.port);
    ck_assert(client_text(&c, "GET /sleep/900 HTTP/1.1\r\nHost: e2e\r\n\r\nGET /block/900 HTTP/1.1\r\nHost: e2e\r\n\r\n"
                              "GET /offload/900 HTTP/1.1\r\nHost: e2e\r\n\r\n"
                              "POST /test/pause HTTP/1.1\r\nHost: e2e\r\nContent-Length: 200000\r\n\r\n"));
    ck_assert(client_send(&c, body, 200000));
    for (int i = 0; i < 4; i++) {
        client_read(&c, &r, false, WAIT_MS);
        ck_assert_msg(r.kind == REPLY_OK && r.status == 200, "%d: %s %d", i, reply_kind_name(&r), r.status);
        reply_free(&r);
    }
    client_close(&c);
    free(body);
    demo_stop(&demo, WAIT_MS);
}
END_TEST

/* A deadline for the whole request, wherever it waits. */
START_TEST(request_deadline)
{
    static const char *const targets[] = { "/sleep/60000", "/test/await/60000" };
    demo_start(&demo, variant_engine(_i), "--pool", variant_pool(_i), "--set", "request_timeout=300ms", NULL);
    for (size_t i = 0; i < COUNT(targets); i++) {
        const int64_t begun = now_ms();
        expect_get(demo.port, targets[i], 504, NULL);
        ck_assert_int_ge(now_ms() - begun, 290);
    }
    expect_get(demo.port, "/sleep/10", 200, "slept 10 ms\n");
    expect_balanced(demo.port, WAIT_MS);
    demo_stop(&demo, WAIT_MS);
}
END_TEST

START_TEST(idle_keep_alive)
{
    struct client c;
    struct reply r;
    demo_start(&demo, engine_name(_i), "--set", "keepalive_timeout=400ms", NULL);
    client_open(&c, demo.port);
    for (int i = 0; i < 3; i++) { /* each reply starts the time anew */
        ck_assert(client_text(&c, "GET / HTTP/1.1\r\nHost: e2e\r\n\r\n"));
        client_read(&c, &r, false, WAIT_MS);
        ck_assert_msg(r.kind == REPLY_OK, "%s", reply_kind_name(&r));
        reply_free(&r);
    }
    const int64_t begun = now_ms();
    ck_assert_int_eq(client_fate(&c, 400 + TICK_SLACK), CLIENT_EOF);
    ck_assert_int_ge(now_ms() - begun, 380);
    client_close(&c);
    demo_stop(&demo, WAIT_MS);
}
END_TEST

/* Who asks for much and takes nothing is cut off, and everything that hung on it is freed. */
START_TEST(slow_reader)
{
    static const char *const targets[] = { "/bytes/50000000", "/test/big", "/stream/5000000", "/test/pull/50000000" };
    char request[128];
    demo_start(&demo, variant_engine(_i), "--pool", variant_pool(_i), "--set", "write_timeout=400ms", NULL);
    for (size_t i = 0; i < COUNT(targets); i++) {
        struct client c;
        bool ended;
        client_open_small(&c, demo.port, 16384);
        snprintf(request, sizeof request, "GET %s HTTP/1.1\r\nHost: e2e\r\n\r\n", targets[i]);
        ck_assert(client_text(&c, request));
        ck_assert(client_wait_bytes(&c, 1, WAIT_MS)); /* it has begun: only then does the balance tell something */
        expect_balanced(demo.port, 400 + TICK_SLACK + WAIT_MS);
        const uint64_t got = client_drain(&c, WAIT_MS, &ended);
        ck_assert_msg(ended, "%s: still open", targets[i]);
        ck_assert_uint_lt(got, 50000000);
        client_close(&c);
    }
    demo_stop(&demo, WAIT_MS);
}
END_TEST

/* A reader that takes a little now and then is slow, but not gone. */
START_TEST(steady_reader)
{
    struct client c;
    demo_start(&demo, engine_name(_i), "--set", "write_timeout=1s", NULL);
    client_open_small(&c, demo.port, 16384);
    ck_assert(client_text(&c, "GET /bytes/6000000 HTTP/1.1\r\nHost: e2e\r\nConnection: close\r\n\r\n"));
    const int64_t begun = now_ms();
    uint64_t taken = 0;
    while (now_ms() - begun < 2500) {
        ck_assert(client_wait_bytes(&c, 1, WAIT_MS));
        taken += c.n;
        c.at = c.n = 0;
        nap_ms(50);
    }
    bool ended;
    taken += client_drain(&c, WAIT_MS, &ended);
    ck_assert_msg(ended && !c.reset && taken > 6000000, "%lu bytes", (unsigned long)taken);
    client_close(&c);
    demo_stop(&demo, WAIT_MS);
}
END_TEST

/* A hundred slow heads take nothing from a good client, even with few threads; each gets its 408. They do where each
 * connection takes a worker, unless there is one more. */
START_TEST(hundred_slow_heads)
{
    static struct client slow_ones[100];
    const char *engine = engine_name(_i);
    /* each has a worker for itself there, and the good ones need one more */
    const int count = is_one_connection_a_worker(engine) && is_sanitized() ? 20 : COUNT(slow_ones);
    demo_start(&demo, engine, "--threads", "4", "--workers", workers_for(engine, (unsigned)count + 2), "--set",
               "header_timeout=2s", NULL);
    for (int i = 0; i < count; i++) {
        client_open(&slow_ones[i], demo.port);
        ck_assert(client_text(&slow_ones[i], "GET / HTTP/1.1\r\nHost: e2e\r\nX: "));
    }
    const int64_t begun = now_ms();
    int64_t slowest = 0;
    while (now_ms() - begun < 1500) {
        for (int i = 0; i < count; i += 10)
            client_send_some(&slow_ones[i], "a", 1);
        const int64_t took = expect_alive(demo.port, WAIT_MS);
        slowest = took > slowest ? took : slowest;
    }
    ck_assert_int_lt(slowest, slow(1000));
    for (int i = 0; i < count; i++)
        expect_timeout(&slow_ones[i]);
    demo_stop(&demo, WAIT_MS);
}
END_TEST

static void add(Suite *s)
{
    TCase *t = e2e_case(s, "slow", 60);
    tcase_add_loop_test(t, slow_head, 0, engine_count());
    tcase_add_loop_test(t, silent_connection, 0, engine_count());
    tcase_add_loop_test(t, silent_body, 0, engine_count());
    tcase_add_loop_test(t, slow_body, 0, engine_count());
    tcase_add_loop_test(t, slow_handler, 0, variant_count());
    tcase_add_loop_test(t, request_deadline, 0, variant_count());
    tcase_add_loop_test(t, idle_keep_alive, 0, engine_count());
    tcase_add_loop_test(t, slow_reader, 0, variant_count());
    tcase_add_loop_test(t, steady_reader, 0, engine_count());
    tcase_add_loop_test(t, hundred_slow_heads, 0, engine_count());
}

int main(int argc, char **argv)
{
    return e2e_main_apart("slow", add, argc, argv);
}
