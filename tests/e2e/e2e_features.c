/* SPDX-License-Identifier: MIT
 *
 * Every route of the demo, on every engine with and without a pool.
 */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "e2e/client.h"
#include "e2e/harness.h"

#define GET(target) "GET " target " HTTP/1.1\r\nHost: e2e\r\n\r\n"

static struct demo demo;

/* Starts the variant of a loop test; further options as for demo_start. */
#define START(i, ...) demo_start(&demo, variant_engine(i), "--pool", variant_pool(i), ##__VA_ARGS__, NULL)

static void stop(void)
{
    expect_balanced(demo.port, WAIT_MS);
    demo_stop(&demo, WAIT_MS);
}

/* The pattern of /bytes and its like. */
static bool is_pattern(const char *p, size_t n, uint64_t from)
{
    static const char pattern[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz-\n";
    for (size_t i = 0; i < n; i++)
        if (p[i] != pattern[(from + i) % 64])
            return false;
    return true;
}

static void next_reply(struct client *c, const char *body)
{
    struct reply r;
    client_read(c, &r, false, WAIT_MS);
    ck_assert_msg(r.kind == REPLY_OK && r.status == 200, "for %s: %s %d", body, reply_kind_name(&r), r.status);
    ck_assert_str_eq(r.body, body);
    reply_free(&r);
}

/* Small routes. */

START_TEST(small_routes)
{
    static const struct {
        const char *target, *body;
        int status;
    } routes[] = {
        { "/", "Hello, World!", 200 },
        { "/hello/you", "hello you", 200 },
        { "/hello/%E2%82%AC%20%3f%23", "hello \xe2\x82\xac ?#", 200 },
        { "/stream/0", "", 200 },
        { "/stream/3", "chunk 0\nchunk 1\nchunk 2\n", 200 },
        { "/bytes/0", "", 200 },
        { "/sleep/1", "slept 1 ms\n", 200 },
        { "/sleep/0", "slept 0 ms\n", 200 },
        { "/block/1", "blocked 1 ms\n", 200 },
        { "/stall/1", "blocked 1 ms\n", 200 },
        { "/offload/1", "offloaded 1 ms\n", 200 },
        { "/test/ticket/1", "ticket\n", 200 },
        { "/test/posts/1000", "1000 posts\n", 200 },
        { "/test/after-offload", "after offload\n", 200 },
        { "/test/order", "ok\n", 200 },
        { "/test/await/5", "ready\n", 200 },
        { "/test/await/60000?limit=20", "timeout\n", 200 },
        { "/test/deadline/20", NULL, 504 },
        { "/test/gone/10", "stayed\n", 200 },
        { "/test/unanswered", NULL, 500 },
        { "/test/double", "ok\n", 200 },
        { "/test/nothing", NULL, 500 },
        { "/test/decline", "second\n", 200 },
        { "/test/declined", NULL, 404 },
        { "/test/badheader/crlf", NULL, 500 },
        { "/test/badheader/name", NULL, 500 },
        { "/test/badheader/length", NULL, 500 },
        { "/test/params/x/y", "a=x\nb=y\na=x\nb=y\n", 200 },
        { "/test/rest/a/b%20c/", "rest=a/b c/\n", 200 },
        { "/test/printf", "{\"answer\":42}", 201 },
        { "/test/late/404", NULL, 404 },
        { "/test/late/1", NULL, 500 },
        { "/test/status/418", NULL, 418 },
        { "/test/status/599", NULL, 599 },
        { "/test/status/-14", NULL, 503 },
        { "/test/status/-13", NULL, 503 },
        { "/test/status/-15", NULL, 504 },
        { "/test/status/-16", NULL, 502 },
        { "/test/status/-17", NULL, 413 },
        { "/test/status/-1", NULL, 500 },
        { "/test/status/-18", NULL, 500 },
        { "/test/pull/100?len=100", NULL, 200 },
        { "/bytes/x", NULL, 400 },
        { "/bytes/10000000001", NULL, 400 },
    };
    START(_i);
    for (size_t i = 0; i < COUNT(routes); i++)
        expect_get(demo.port, routes[i].target, routes[i].status, routes[i].body);
    stop();
}
END_TEST

START_TEST(fields_and_json)
{
    struct reply r;
    char part[64];
    size_t n;
    START(_i);
    ask(demo.port, GET("/test/header"), 200, &r);
    ck_assert(reply_field_is(&r, "X-One", "1"));
    ck_assert(reply_field_is(&r, "X-Two", "two"));
    ck_assert_ptr_nonnull(strstr(r.head, "Set-Cookie: a=1\r\n"));
    ck_assert_ptr_nonnull(strstr(r.head, "Set-Cookie: b=2\r\n"));
    reply_free(&r);
    ask(demo.port, GET("/test/badheader/crlf"), 500, &r);
    ck_assert_ptr_null(reply_field(&r, "X-Injected", &n));
    reply_free(&r);
    ask(demo.port, GET("/submit"), 405, &r);
    const char *allow = reply_field(&r, "Allow", &n);
    ck_assert_msg(allow && strncmp(allow, "POST", 4) == 0, "%s", r.head);
    reply_free(&r);
    ask(demo.port, GET("/whoami"), 200, &r);
    ck_assert(reply_field_is(&r, "Content-Type", "application/json"));
    snprintf(part, sizeof part, "{\"engine\":\"%s\",\"pid\":", demo.engine);
    ck_assert_msg(strncmp(r.body, part, strlen(part)) == 0, "%s", r.body);
    ck_assert_ptr_nonnull(strstr(r.body, ",\"tid\":"));
    reply_free(&r);
    ask(demo.port, GET("/test/request"), 200, &r);
    ck_assert_msg(strncmp(r.body, "GET /test/request 127.0.0.1", 27) == 0, "%s", r.body);
    reply_free(&r);
    ask(demo.port,
        "POST /test/query?a=1&b=x+y%21&get=a HTTP/1.1\r\nHost: e2e\r\nCookie: a=c1; z=2\r\nContent-Length: 7\r\n"
        "Content-Type: application/x-www-form-urlencoded\r\n\r\na=f%201",
        200, &r);
    ck_assert_ptr_nonnull(strstr(r.body, "query a=1\nquery b=x y!\nquery get=a\nget 1\n"));
    ck_assert_ptr_nonnull(strstr(r.body, "form a=f 1\nget f 1\n"));
    ck_assert_ptr_nonnull(strstr(r.body, "cookie a=c1\ncookie z=2\nget c1\n"));
    reply_free(&r);
    stop();
}
END_TEST

/* An abort after the head can be seen: never a clean end. */
START_TEST(visible_abort)
{
    struct client c;
    struct reply r;
    START(_i);
    client_open(&c, demo.port);
    ck_assert(client_text(&c, GET("/test/abort")));
    client_read(&c, &r, false, WAIT_MS);
    ck_assert_msg(r.kind == REPLY_TRUNCATED || r.kind == REPLY_RESET || (r.kind == REPLY_OK && r.status == 502),
                  "%s %d", reply_kind_name(&r), r.status);
    reply_free(&r);
    client_close(&c);
    client_open(&c, demo.port);
    ck_assert(client_text(&c, GET("/test/pull/50?len=100")));
    client_read(&c, &r, false, WAIT_MS);
    ck_assert_msg(r.kind == REPLY_TRUNCATED || r.kind == REPLY_RESET, "%s", reply_kind_name(&r));
    reply_free(&r);
    client_close(&c);
    stop();
}
END_TEST

/* Bodies out. */

START_TEST(exact_bytes)
{
    static const unsigned sizes[] = {
        1,     63,    511,   4000,  4095,  4096,   4097,   8191,   8192,   16383,  16384,
        16385, 32768, 65535, 65536, 65537, 131072, 262143, 262144, 262145, 300000, 1048577
    };
    static const char *const routes[] = { "/bytes/%u", "/test/pull/%u", "/test/pull/%u?len=%u" };
    char target[64], request[128];
    struct reply r;
    START(_i);
    for (size_t k = 0; k < COUNT(sizes); k++) {
        for (size_t i = 0; i < COUNT(routes); i++) {
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
            snprintf(target, sizeof target, routes[i], sizes[k], sizes[k]);
#pragma GCC diagnostic pop
            snprintf(request, sizeof request, "GET %s HTTP/1.1\r\nHost: e2e\r\n\r\n", target);
            ask(demo.port, request, 200, &r);
            ck_assert_msg(r.body_len == sizes[k] && is_pattern(r.body, r.body_len, 0), "%s: %zu bytes", target,
                          r.body_len);
            ck_assert_msg(r.has_length == (i != 1), "%s: %s", target, r.head);
            reply_free(&r);
        }
    }
    ask(demo.port, GET("/test/big"), 200, &r);
    ck_assert(r.body_len == 5000000 && is_pattern(r.body, r.body_len, 0));
    reply_free(&r);
    ask(demo.port, GET("/test/pull/200000?hesitate=1"), 200, &r);
    ck_assert(r.body_len == 200000 && is_pattern(r.body, r.body_len, 0));
    reply_free(&r);
    stop();
}
END_TEST

START_TEST(fifty_megabytes)
{
    const size_t n = is_quick() ? 5000000 : 50000000;
    char request[80];
    struct reply r;
    START(_i);
    snprintf(request, sizeof request, "GET /bytes/%zu HTTP/1.1\r\nHost: e2e\r\n\r\n", n);
    ask(demo.port, request, 200, &r);
    ck_assert_uint_eq(r.body_len, n);
    ck_assert(is_pattern(r.body, r.body_len, 0));
    reply_free(&r);
    stop();
}
END_TEST

START_TEST(many_chunks)
{
    struct reply r;
    START(_i);
    ask(demo.port, GET("/stream/20000"), 200, &r);
    const char *p = r.body;
    for (unsigned i = 0; i < 20000; i++) {
        char line[32];
        int n = snprintf(line, sizeof line, "chunk %u\n", i);
        ck_assert_msg(strncmp(p, line, (size_t)n) == 0, "at %u: %.40s", i, p);
        p += n;
    }
    ck_assert_int_eq(*p, 0);
    reply_free(&r);
    stop();
}
END_TEST

/* Bodies in. */

static char *make_pattern(size_t n)
{
    static const char pattern[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz-\n";
    char *p = malloc(n + 1);
    ck_assert_ptr_nonnull(p);
    for (size_t i = 0; i < n; i++)
        p[i] = pattern[i % 64];
    p[n] = 0;
    return p;
}

START_TEST(small_echo)
{
    struct reply r;
    START(_i);
    ask(demo.port, "POST /echo HTTP/1.1\r\nHost: e2e\r\nContent-Type: text/x\r\nContent-Length: 5\r\n\r\nabcde", 200,
        &r);
    ck_assert_str_eq(r.body, "abcde");
    ck_assert(reply_field_is(&r, "Content-Type", "text/x"));
    reply_free(&r);
    ask(demo.port,
        "PUT /echo HTTP/1.1\r\nHost: e2e\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n3\r\ncde\r\n0\r\n\r\n", 200,
        &r);
    ck_assert_str_eq(r.body, "abcde");
    reply_free(&r);
    ask(demo.port, GET("/echo"), 200, &r);
    ck_assert_str_eq(r.body, "");
    reply_free(&r);
    stop();
}
END_TEST

/* Sends as the server takes and reads what it gives, as a client must that echoes more than buffers hold. */
static void exchange(struct client *c, const char *out, size_t n, uint64_t want)
{
    const int64_t deadline = now_ms() + slow(30000);
    size_t sent = 0;
    while (c->n < want || sent < n) {
        struct pollfd p = { .fd = c->fd, .events = (short)(POLLIN | (sent < n ? POLLOUT : 0)) };
        ck_assert_msg(now_ms() < deadline && poll(&p, 1, 1000) >= 0, "sent %zu of %zu, got %zu", sent, n, c->n);
        if (p.revents & POLLOUT) {
            long some = client_send_some(c, out + sent, n - sent < 65536 ? n - sent : 65536);
            ck_assert_int_ge(some, 0);
            sent += (size_t)some;
        }
        if (p.revents & POLLIN)
            ck_assert(client_wait_bytes(c, c->n + 1, WAIT_MS));
    }
}

START_TEST(big_echo)
{
    enum { BIG = 8000000 };
    char *out = make_pattern(BIG);
    struct client c;
    struct reply r;
    START(_i, "--set", "body_max=16m");
    client_open(&c, demo.port);
    ck_assert(client_text(&c, "POST /echo HTTP/1.1\r\nHost: e2e\r\nContent-Length: 8000000\r\n\r\n"));
    exchange(&c, out, BIG, BIG);
    client_read(&c, &r, false, WAIT_MS);
    ck_assert_msg(r.kind == REPLY_OK, "%s", reply_kind_name(&r));
    ck_assert(r.body_len == BIG && is_pattern(r.body, BIG, 0));
    reply_free(&r);
    ck_assert(client_text(&c, GET("/hello/next")));
    next_reply(&c, "hello next");
    client_close(&c);
    free(out);
    stop();
}
END_TEST

/* Who does not read his echo cannot send on: the demo holds no more than the high mark and the kernel's buffers do. */
START_TEST(echo_back_pressure)
{
    enum { BIG = 64000000 };
    char *out = make_pattern(65536);
    struct client c;
    START(_i);
    client_open_small(&c, demo.port, 65536);
    ck_assert(client_text(&c, "POST /echo HTTP/1.1\r\nHost: e2e\r\nContent-Length: 64000000\r\n\r\n"));
    const long before = demo_memory_kib(&demo);
    size_t sent = 0;
    int64_t moved_at = now_ms();
    while (sent < BIG && now_ms() - moved_at < slow(1000)) {
        long some = client_send_some(&c, out, 65536);
        ck_assert_int_ge(some, 0);
        sent += (size_t)some;
        if (some > 0)
            moved_at = now_ms();
        else
            nap_ms(5);
    }
    ck_assert_msg(sent < BIG, "took it all");
    if (!is_sanitized())
        ck_assert_int_lt(demo_memory_kib(&demo) - before, 8192);
    expect_alive(demo.port, WAIT_MS);
    client_abort(&c);
    free(out);
    stop();
}
END_TEST

static uint64_t fnv(const char *p, size_t n)
{
    uint64_t sum = UINT64_C(0xcbf29ce484222325);
    for (size_t i = 0; i < n; i++)
        sum = (sum ^ (unsigned char)p[i]) * UINT64_C(0x100000001b3);
    return sum;
}

START_TEST(whole_bodies)
{
    static const size_t sizes[] = { 0, 1, 4096, 65535, 65536, 65537, 1000000, 3000000 };
    char head[128], expected[64];
    char *out = make_pattern(3000000);
    struct client c;
    START(_i, "--set", "body_memory=64k", "--set", "body_max=3000000");
    client_open(&c, demo.port);
    for (size_t i = 0; i < COUNT(sizes); i++) {
        snprintf(head, sizeof head, "POST /test/body HTTP/1.1\r\nHost: e2e\r\nContent-Length: %zu\r\n\r\n", sizes[i]);
        snprintf(expected, sizeof expected, "%zu in %s %016llx\n", sizes[i], sizes[i] > 65536 ? "file" : "memory",
                 (unsigned long long)fnv(out, sizes[i]));
        ck_assert(client_text(&c, head) && client_send(&c, out, sizes[i]));
        next_reply(&c, expected);
        if (sizes[i] == 0)
            continue;
        snprintf(head, sizeof head, "PUT /test/body HTTP/1.1\r\nHost: e2e\r\nTransfer-Encoding: chunked\r\n\r\n%zx\r\n",
                 sizes[i]);
        ck_assert(client_text(&c, head) && client_send(&c, out, sizes[i]) && client_text(&c, "\r\n0\r\n\r\n"));
        next_reply(&c, expected);
    }
    client_close(&c);
    free(out);
    stop();
}
END_TEST

/* Submit and pause: pieces counted, and taken one by one after a timer each. */
START_TEST(streamed_bodies)
{
    enum { SIZE = 300000 };
    char *out = make_pattern(SIZE);
    struct client c;
    START(_i);
    client_open(&c, demo.port);
    ck_assert(client_text(&c, "POST /submit HTTP/1.1\r\nHost: e2e\r\nContent-Length: 300000\r\n\r\n"));
    ck_assert(client_send(&c, out, SIZE));
    next_reply(&c, "300000 bytes");
    ck_assert(client_text(&c, "POST /test/pause HTTP/1.1\r\nHost: e2e\r\nContent-Length: 300000\r\n\r\n"));
    ck_assert(client_send(&c, out, SIZE));
    next_reply(&c, "300000 bytes\n");
    client_close(&c);
    free(out);
    stop();
}
END_TEST

static void add(Suite *s)
{
    TCase *t = e2e_case(s, "features", 60);
    const int n = variant_count();
    tcase_add_loop_test(t, small_routes, 0, n);
    tcase_add_loop_test(t, fields_and_json, 0, n);
    tcase_add_loop_test(t, visible_abort, 0, n);
    tcase_add_loop_test(t, exact_bytes, 0, n);
    tcase_add_loop_test(t, fifty_megabytes, 0, n);
    tcase_add_loop_test(t, many_chunks, 0, n);
    tcase_add_loop_test(t, small_echo, 0, n);
    tcase_add_loop_test(t, big_echo, 0, n);
    tcase_add_loop_test(t, echo_back_pressure, 0, n);
    tcase_add_loop_test(t, whole_bodies, 0, n);
    tcase_add_loop_test(t, streamed_bodies, 0, n);
}

int main(int argc, char **argv)
{
    return e2e_main_apart("features", add, argc, argv);
}
