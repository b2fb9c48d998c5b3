/* SPDX-License-Identifier: MIT
 *
 * What becomes of a reply when its program errs, and when there is nothing of it to send: on every engine, with and
 * without a pool.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "e2e/client.h"
#include "e2e/harness.h"

static struct demo demo;

#define START(i, ...) demo_start(&demo, variant_engine(i), "--pool", variant_pool(i), ##__VA_ARGS__, NULL)

static void stop(void)
{
    expect_balanced(demo.port, WAIT_MS);
    ck_assert_int_eq(counter(demo.port, "misuse"), 0);
    demo_stop(&demo, WAIT_MS);
}

static void send_get(struct client *c, const char *target)
{
    char request[256];
    snprintf(request, sizeof request, "GET %s HTTP/1.1\r\nHost: e2e\r\n\r\n", target);
    ck_assert(client_text(c, request));
}

/* A reply that began and did not end: the peer can tell. */
static void expect_cut(const char *target)
{
    struct client c;
    struct reply r;
    client_open(&c, demo.port);
    send_get(&c, target);
    client_read(&c, &r, false, WAIT_MS);
    ck_assert_msg(r.kind == REPLY_TRUNCATED || r.kind == REPLY_RESET, "%s: %s: %s %d", demo.engine, target,
                  reply_kind_name(&r), r.status);
    reply_free(&r);
    client_close(&c);
}

/* A piece of impossible length was not sent, so the reply must not end as if it were whole. */
START_TEST(a_missing_piece_is_seen)
{
    char target[64];
    START(_i);
    for (int i = 0; i < 11; i++) {
        snprintf(target, sizeof target, "/test/sizes/write?i=%d", i);
        expect_cut(target);
        snprintf(target, sizeof target, "/test/sizes-away/write?i=%d", i);
        expect_cut(target);
    }
    stop();
}
END_TEST

/* Every way to cut one's own reply: the peer can tell, and the request ends now, though it has left a timer of ten
 * minutes, and a ticket that only on_cancel gives back. The demo counts as misuse what the program was told wrongly. */
static void fail_once(const char *route, const char *way, int code)
{
    char head[128];
    struct client c;
    struct reply r;
    const bool has_body = strcmp(way, "data") == 0 || strcmp(way, "end") == 0;
    snprintf(head, sizeof head, "POST /test/%s/%s/%d HTTP/1.1\r\nHost: e2e\r\nContent-Length: %d\r\n\r\n%s", route, way,
             code, has_body ? 3 : 0, has_body ? "abc" : "");
    client_open(&c, demo.port);
    ck_assert(client_text(&c, head));
    client_read(&c, &r, false, WAIT_MS);
    const bool early = strcmp(way, "early") == 0;
    ck_assert_msg(early ? r.kind == REPLY_NONE || r.kind == REPLY_RESET
                        : r.kind == REPLY_TRUNCATED || r.kind == REPLY_RESET,
                  "%s: %s %s %d: %s %d", demo.engine, route, way, code, reply_kind_name(&r), r.status);
    reply_free(&r);
    client_close(&c);
}

START_TEST(an_abort_gives_the_request_up)
{
    static const char *const ways[] = { "handler", "timer", "drain", "post", "offload", "await", "data", "end",
                                        "pull",    "silence", "write", "more", "less",    "room",  "early" };
    START(_i, "--threads", "2", "--workers", workers_for(variant_engine(_i), 4));
    long long cancelled = 0;
    for (size_t i = 0; i < COUNT(ways); i++) {
        for (int code = 1; code <= 18; code += code == 3 ? 8 : 2) /* 1, 3, 11 (GONE), 13, 15, 17 */
            for (int away = 0; away < 2; away++, cancelled++)
                fail_once(away ? "fail-away" : "fail", ways[i], code);
        fail_once("fail", ways[i], 500);
        cancelled++;
        expect_balanced(demo.port, WAIT_MS);
        ck_assert_msg(counter(demo.port, "misuse") == 0, "%s: %s: %lld told wrongly", demo.engine, ways[i],
                      counter(demo.port, "misuse"));
        ck_assert_int_eq(counter(demo.port, "cancelled"), cancelled);
    }
    stop();
}
END_TEST

static void expect_head(struct client *c, bool is_head, int status, const char *what)
{
    struct reply r;
    client_read(c, &r, is_head, WAIT_MS);
    ck_assert_msg(r.kind == REPLY_OK && r.status == status && !r.says_close, "%s: %s: %s %d", demo.engine, what,
                  reply_kind_name(&r), r.status);
    reply_free(&r);
}

static void ask_next(struct client *c)
{
    struct reply r;
    client_read(c, &r, false, WAIT_MS);
    ck_assert_msg(r.kind == REPLY_OK && strcmp(r.body, "hello next") == 0, "%s: the next: %s %d", demo.engine,
                  reply_kind_name(&r), r.status);
    reply_free(&r);
}

#define NEXT "GET /hello/next HTTP/1.1\r\nHost: e2e\r\n\r\n"

/* For HEAD the head is the whole reply: who writes without an end is told that nobody waits, and the next request on the
 * connection is answered, also if it came in the same packet. */
START_TEST(a_head_is_whole)
{
    static const char *const targets[] = { "/test/forever/200", "/test/forever/404", "/test/forever/204" };
    char request[256];
    struct client c;
    START(_i, "--threads", "2", "--workers", workers_for(variant_engine(_i), 3));
    const bool stalls = has_loop(demo.engine) && strcmp(variant_pool(_i), "0") == 0;
    client_open(&c, demo.port);
    for (size_t i = 0; i < 2 * COUNT(targets); i++) {
        const char *target = targets[i / 2];
        int n = snprintf(request, sizeof request, "HEAD %s HTTP/1.1\r\nHost: e2e\r\n\r\n%s", target, i % 2 ? NEXT : "");
        ck_assert(client_send(&c, request, (size_t)n));
        expect_head(&c, true, atoi(target + 14), target);
        if (i % 2 == 0)
            ck_assert(client_text(&c, NEXT));
        ask_next(&c);
    }
    for (int i = 0; i < 3; i++) { /* more than there are threads: none is held */
        ck_assert(client_text(&c, "HEAD /test/forever-away/200 HTTP/1.1\r\nHost: e2e\r\n\r\n" NEXT));
        expect_head(&c, true, 200, stalls ? "in place" : "away");
        ask_next(&c);
    }
    client_close(&c);
    stop();
}
END_TEST

/* The same for statuses without content, though there the program goes on as it likes. */
START_TEST(no_content_is_whole)
{
    static const int statuses[] = { 204, 205, 304 };
    char request[256];
    struct client c;
    START(_i, "--threads", "8", "--workers", workers_for(variant_engine(_i), 8), "--set", "stop_timeout=100ms");
    long long pending = 0;
    for (size_t i = 0; i < COUNT(statuses); i++) {
        client_open(&c, demo.port);
        snprintf(request, sizeof request, "GET /test/begun/%d HTTP/1.1\r\nHost: e2e\r\n\r\n" NEXT, statuses[i]);
        ck_assert(client_text(&c, request));
        expect_head(&c, false, statuses[i], "begun");
        ask_next(&c);
        pending++;
        /* A body that the program reads comes first, though the reply has begun. */
        snprintf(request, sizeof request, "POST /test/begun/%d?body=1 HTTP/1.1\r\nHost: e2e\r\nContent-Length: 10\r\n\r\n",
                 statuses[i]);
        ck_assert(client_text(&c, request));
        ck_assert(client_text(&c, "01234"));
        expect_head(&c, false, statuses[i], "begun, with a body");
        ck_assert(client_text(&c, "56789" NEXT));
        ask_next(&c);
        pending++;
        client_close(&c);
    }
    ck_assert_int_eq(counter(demo.port, "requests") - counter(demo.port, "ended"), pending);
    ck_assert_int_eq(counter(demo.port, "bodies_run"), (long long)COUNT(statuses));
    ck_assert_int_eq(counter(demo.port, "misuse"), 0);
    demo_stop(&demo, WAIT_MS);
}
END_TEST

/* And when it has ended it was not given up, and has had its one drain. */
START_TEST(no_content_ends)
{
    static const int statuses[] = { 204, 205, 304 };
    char request[256];
    struct client c;
    START(_i, "--threads", "8", "--workers", workers_for(variant_engine(_i), 3));
    client_open(&c, demo.port);
    for (size_t i = 0; i < 4 * COUNT(statuses); i++) {
        const bool reads = i % 2;
        snprintf(request, sizeof request, "POST /test/begun/%d?ms=%zu%s HTTP/1.1\r\nHost: e2e\r\nContent-Length: %d\r\n\r\n%s",
                 statuses[i / 4], i / 2 % 2, reads ? "&body=1" : "", reads ? 5 : 0, reads ? "abcde" : "");
        ck_assert(client_text(&c, request));
        expect_head(&c, false, statuses[i / 4], request);
        ck_assert(client_text(&c, NEXT));
        ask_next(&c);
    }
    client_close(&c);
    expect_balanced(demo.port, WAIT_MS);
    ck_assert_int_eq(counter(demo.port, "cancelled"), 0);
    stop();
}
END_TEST

static void add(Suite *s)
{
    TCase *t = e2e_case(s, "replies", 60);
    const int n = variant_count();
    tcase_add_loop_test(t, a_missing_piece_is_seen, 0, n);
    tcase_add_loop_test(t, an_abort_gives_the_request_up, 0, n);
    tcase_add_loop_test(t, a_head_is_whole, 0, n);
    tcase_add_loop_test(t, no_content_is_whole, 0, n);
    tcase_add_loop_test(t, no_content_ends, 0, n);
}

int main(int argc, char **argv)
{
    return e2e_main_apart("replies", add, argc, argv);
}
