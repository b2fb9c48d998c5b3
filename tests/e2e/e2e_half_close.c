/* SPDX-License-Identifier: MIT
 *
 * Clients that shut their sending side behind the last request and read on, as netcat and scripts do: every request that is
 * complete is answered, whatever waits for what. The pieces in which the bytes come, and when the end comes, are drawn
 * from a seed.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "e2e/client.h"
#include "e2e/harness.h"

#define HOST "Host: e2e\r\n"
#define GET(target) "GET " target " HTTP/1.1\r\n" HOST "\r\n"
#define POST(target, n, body) "POST " target " HTTP/1.1\r\n" HOST "Content-Length: " n "\r\n\r\n" body

enum { REPLIES_MAX = 6 };

/* What is sent, and the bodies of what comes back. size: of a body that is too long to stand here. */
struct talk {
    const char *bytes;
    struct {
        const char *body;
        size_t size;
    } replies[REPLIES_MAX];
};

static const struct talk talks[] = {
    { GET("/"), { { "Hello, World!", 0 } } },
    { GET("/sleep/60"), { { "slept 60 ms\n", 0 } } },
    { GET("/sleep/0"), { { "slept 0 ms\n", 0 } } },
    { GET("/block/60"), { { "blocked 60 ms\n", 0 } } },
    { GET("/offload/60"), { { "offloaded 60 ms\n", 0 } } },
    { GET("/test/ticket/60"), { { "ticket\n", 0 } } },
    { GET("/test/await/60"), { { "ready\n", 0 } } },
    { GET("/test/after-offload"), { { "after offload\n", 0 } } },
    { GET("/test/gone/60"), { { "stayed\n", 0 } } },
    { GET("/stream/3"), { { "chunk 0\nchunk 1\nchunk 2\n", 0 } } },
    { GET("/test/pull/100000?hesitate=1"), { { NULL, 100000 } } },
    { GET("/bytes/3000000"), { { NULL, 3000000 } } },
    { GET("/test/big"), { { NULL, 5000000 } } },
    { POST("/submit", "5", "abcde"), { { "5 bytes", 0 } } },
    { POST("/test/body", "5", "abcde"), { { "5 in memory 6348c52d762364a8\n", 0 } } },
    { POST("/test/body-away", "5", "abcde"), { { "5 in memory 6348c52d762364a8\n", 0 } } },
    { POST("/test/submit-away", "5", "abcde"), { { "5 bytes", 0 } } },
    { POST("/test/pause", "5", "abcde"), { { "5 bytes\n", 0 } } },
    { POST("/echo", "5", "abcde"), { { "abcde", 0 } } },
    { POST("/test/discard", "5", "abcde"), { { "discarded\n", 0 } } },
    { "POST /echo HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n", { { "abcde", 0 } } },
    { "GET /sleep/40 HTTP/1.0\r\n\r\n", { { "slept 40 ms\n", 0 } } },
    { "GET /sleep/40 HTTP/1.1\r\n" HOST "Connection: close\r\n\r\n", { { "slept 40 ms\n", 0 } } },
    { "POST /submit HTTP/1.1\r\n" HOST "Expect: 100-continue\r\nContent-Length: 5\r\n\r\nabcde", { { "5 bytes", 0 } } },
    /* Several on one connection: each in its turn, and the last one too. */
    { GET("/sleep/40") GET("/hello/a") POST("/submit", "3", "abc") GET("/bytes/400000") GET("/sleep/20"),
      { { "slept 40 ms\n", 0 }, { "hello a", 0 }, { "3 bytes", 0 }, { NULL, 400000 }, { "slept 20 ms\n", 0 } } },
    { GET("/bytes/400000") GET("/block/20") GET("/hello/b") POST("/test/pause", "4", "abcd"),
      { { NULL, 400000 }, { "blocked 20 ms\n", 0 }, { "hello b", 0 }, { "4 bytes\n", 0 } } },
    { GET("/hello/a") GET("/hello/b") GET("/hello/c") GET("/hello/d") GET("/hello/e"),
      { { "hello a", 0 }, { "hello b", 0 }, { "hello c", 0 }, { "hello d", 0 }, { "hello e", 0 } } },
    { GET("/test/pull/70000") GET("/test/pull/70000") GET("/offload/10") GET("/hello/c"),
      { { NULL, 70000 }, { NULL, 70000 }, { "offloaded 10 ms\n", 0 }, { "hello c", 0 } } },
    /* What is not complete is not answered, and takes nothing from what is. */
    { GET("/sleep/30") "GET /hello/x HTT", { { "slept 30 ms\n", 0 } } },
    { GET("/bytes/400000") GET("/hello/a") "GET /hello/x HTTP/1.1\r\nHost: e2e\r\n", { { NULL, 400000 }, { "hello a", 0 } } },
    { GET("/hello/a") POST("/submit", "50", "abcde"), { { "hello a", 0 } } },
    { GET("/bytes/100000") POST("/test/body", "50", "abcde"), { { NULL, 100000 } } },
    { GET("/hello/a") "\r\n", { { "hello a", 0 } } },
    { POST("/submit", "5", "abcd"), { { NULL, 0 } } },
    { "GET /hello/x HTTP/1.1\r\nHost: e2e\r\n\r", { { NULL, 0 } } },
};

static struct demo demo;

static void send_cut(struct client *c, const struct talk *talk, uint64_t *seed)
{
    const char *p = talk->bytes;
    size_t left = strlen(p);
    const size_t most = random_next(seed) % 3 ? left : 1 + random_next(seed) % 40;
    while (left) {
        const size_t n = most == left ? left : 1 + random_next(seed) % most;
        const size_t piece = n < left ? n : left;
        ck_assert(client_send(c, p, piece));
        p += piece;
        left -= piece;
    }
    if (random_next(seed) % 3 == 0)
        nap_ms((unsigned)(random_next(seed) % 30)); /* the end comes later, perhaps in the middle of a reply */
    client_finish(c);
}

static void expect_replies(struct client *c, const struct talk *talk, const char *where)
{
    struct reply r;
    for (int i = 0; i < REPLIES_MAX && (talk->replies[i].body || talk->replies[i].size); i++) {
        client_read(c, &r, false, WAIT_MS);
        ck_assert_msg(r.kind == REPLY_OK && r.status == 200, "%s: reply %d to %.60s...: %s %d", where, i, talk->bytes,
                      reply_kind_name(&r), r.status);
        if (talk->replies[i].body)
            ck_assert_msg(strcmp(r.body, talk->replies[i].body) == 0, "%s: reply %d to %.60s...: %s", where, i,
                          talk->bytes, r.body);
        else
            ck_assert_msg(r.body_len == talk->replies[i].size, "%s: reply %d to %.60s...: %zu bytes", where, i,
                          talk->bytes, r.body_len);
        reply_free(&r);
    }
    client_read(c, &r, false, WAIT_MS);
    ck_assert_msg(r.kind == REPLY_NONE, "%s: after %.60s...: %s %d", where, talk->bytes, reply_kind_name(&r), r.status);
    reply_free(&r);
}

static uint64_t seed_of(int variant)
{
    const char *given = getenv("CONCUR_TEST_SEED");
    const uint64_t seed = given && *given ? strtoull(given, NULL, 10) : (uint64_t)now_ms();
    printf("CONCUR_TEST_SEED=%llu\n", (unsigned long long)seed);
    return seed * 64 + (uint64_t)variant + 1;
}

static const char *where_is(int variant, uint64_t seed)
{
    static char text[96];
    snprintf(text, sizeof text, "%s, seed %llu", variant_engine(variant), (unsigned long long)(seed / 64));
    return text;
}

START_TEST(complete_requests_are_answered)
{
    uint64_t seed = seed_of(_i);
    const char *where = where_is(_i, seed);
    demo_start(&demo, variant_engine(_i), "--pool", variant_pool(_i), "--workers", workers_for(variant_engine(_i), 4),
               NULL);
    for (int round = 0; round < (is_quick() ? 1 : 3); round++)
        for (size_t i = 0; i < COUNT(talks); i++) {
            struct client c;
            if (random_next(&seed) % 2)
                client_open(&c, demo.port);
            else
                client_open_small(&c, demo.port, 8192);
            send_cut(&c, &talks[i], &seed);
            expect_replies(&c, &talks[i], where);
            client_close(&c);
        }
    expect_balanced(demo.port, WAIT_MS);
    demo_stop(&demo, WAIT_MS);
}
END_TEST

/* More clients than can be served at once: their end is there while they wait in a queue. */
START_TEST(those_who_wait_in_a_queue_are_answered)
{
    enum { CLIENTS = 12 };
    static struct client clients[CLIENTS];
    uint64_t seed = seed_of(_i);
    const char *where = where_is(_i, seed);
    demo_start(&demo, variant_engine(_i), "--pool", strcmp(variant_pool(_i), "0") == 0 ? "0" : "1", "--threads", "1",
               "--workers", workers_for(variant_engine(_i), 2), "--set", "queue_timeout=1m", NULL);
    for (int i = 0; i < CLIENTS; i++) {
        client_open(&clients[i], demo.port);
        send_cut(&clients[i], &talks[i % 2 ? 3 : 1], &seed);
    }
    for (int i = 0; i < CLIENTS; i++) {
        expect_replies(&clients[i], &talks[i % 2 ? 3 : 1], where);
        client_close(&clients[i]);
    }
    expect_balanced(demo.port, WAIT_MS);
    demo_stop(&demo, WAIT_MS);
}
END_TEST

/* It goes on listening while the server stops. */
START_TEST(a_stop_waits_for_them)
{
    static struct client clients[COUNT(talks)];
    uint64_t seed = seed_of(_i);
    const char *where = where_is(_i, seed);
    const size_t count = is_one_connection_a_worker(variant_engine(_i)) ? 8 : COUNT(talks);
    demo_start(&demo, variant_engine(_i), "--pool", variant_pool(_i), "--threads", "40", "--workers",
               workers_for(variant_engine(_i), 10), "--set", "stop_timeout=1m", NULL);
    for (size_t i = 0; i < count; i++) {
        client_open(&clients[i], demo.port);
        send_cut(&clients[i], &talks[i], &seed);
    }
    for (int64_t deadline = now_ms() + slow(WAIT_MS); counter(demo.port, "requests") < 7; nap_ms(5))
        ck_assert_int_lt(now_ms(), deadline);
    demo_signal(&demo, SIGTERM);
    for (size_t i = 0; i < (count < 8 ? count : 8); i++) /* those have begun */
        expect_replies(&clients[i], &talks[i], where);
    for (size_t i = 0; i < count; i++)
        client_close(&clients[i]);
    ck_assert_int_eq(demo_wait(&demo, WAIT_MS), 0);
}
END_TEST

/* One who has shut its side and goes then for good is noticed while the handler waits or works, unless that holds the
 * loop. */
START_TEST(gone_after_all)
{
    static const char *const requests[] = { GET("/sleep/60000"), GET("/test/gone/60000") };
    demo_start(&demo, variant_engine(_i), "--pool", variant_pool(_i), "--workers", workers_for(variant_engine(_i), 3),
               NULL);
    const bool stalls = has_loop(demo.engine) && strcmp(variant_pool(_i), "0") == 0;
    for (int i = 0; i < 2 - stalls; i++) {
        struct client c;
        client_open(&c, demo.port);
        ck_assert(client_text(&c, requests[i]));
        client_finish(&c);
        for (int64_t deadline = now_ms() + slow(WAIT_MS); counter(demo.port, "requests") <= i; nap_ms(5))
            ck_assert_int_lt(now_ms(), deadline);
        nap_ms(20); /* for the end to be read before the reset comes; the other order is as good */
        client_abort(&c);
        expect_balanced(demo.port, WAIT_MS);
    }
    ck_assert_int_eq(counter(demo.port, "cancelled"), 2 - stalls);
    demo_stop(&demo, WAIT_MS);
}
END_TEST

/* half_close = cancel: who has shut its side has left. */
START_TEST(gone_where_that_is_wanted)
{
    struct client c;
    demo_start(&demo, variant_engine(_i), "--pool", variant_pool(_i), "--set", "half_close=cancel", NULL);
    client_open(&c, demo.port);
    ck_assert(client_text(&c, GET("/sleep/60000")));
    client_finish(&c);
    ck_assert_int_ne(client_fate(&c, WAIT_MS), CLIENT_OPEN);
    client_close(&c);
    expect_balanced(demo.port, WAIT_MS);
    ck_assert_int_eq(counter(demo.port, "cancelled"), 1);
    demo_stop(&demo, WAIT_MS);
}
END_TEST

static void add(Suite *s)
{
    TCase *t = e2e_case(s, "half_close", 60);
    const int n = variant_count();
    tcase_add_loop_test(t, complete_requests_are_answered, 0, n);
    tcase_add_loop_test(t, those_who_wait_in_a_queue_are_answered, 0, n);
    tcase_add_loop_test(t, a_stop_waits_for_them, 0, n);
    tcase_add_loop_test(t, gone_after_all, 0, n);
    tcase_add_loop_test(t, gone_where_that_is_wanted, 0, n);
}

int main(int argc, char **argv)
{
    return e2e_main_apart("half_close", add, argc, argv);
}
