/* SPDX-License-Identifier: MIT
 *
 * What the interface offers beside requests and replies themselves, on every engine with and without a pool.
 */
#include <stdio.h>
#include <string.h>

#include "e2e/client.h"
#include "e2e/harness.h"

#define GET(target) "GET " target " HTTP/1.1\r\nHost: e2e\r\n\r\n"

static struct demo demo;

#define START(i, ...) demo_start(&demo, variant_engine(i), "--pool", variant_pool(i), ##__VA_ARGS__, NULL)

static void stop(void)
{
    expect_balanced(demo.port, WAIT_MS);
    demo_stop(&demo, WAIT_MS);
}

static void expect(const char *request, int status, const char *body)
{
    struct reply r;
    ask(demo.port, request, status, &r);
    ck_assert_msg(strcmp(r.body, body) == 0, "%s: %s: %s", demo.engine, request, r.body);
    reply_free(&r);
}

/* ---- facts ---- */

static void expect_ends(const char *target)
{
    char request[128], local[64];
    struct reply r;
    snprintf(request, sizeof request, "GET %s HTTP/1.1\r\nHost: e2e\r\n\r\n", target);
    ask(demo.port, request, 200, &r);
    snprintf(local, sizeof local, " 127.0.0.1:%u\n", demo.port);
    ck_assert_msg(strncmp(r.body, "127.0.0.1 ", 10) == 0 && strstr(r.body, local), "%s: %s", demo.engine, r.body);
    reply_free(&r);
}

START_TEST(facts)
{
    START(_i);
    expect(GET("/test/facts?a=%20"), 200, "host e2e\ntarget /test/facts?a=%20\nquery a=%20\nversion 11\n");
    expect(GET("/test/x/../facts-away"), 200, "host e2e\ntarget /test/x/../facts-away\nquery (none)\nversion 11\n");
    expect("GET http://t:8/test/facts? HTTP/1.0\r\nHost: o\r\n\r\n", 200,
           "host t:8\ntarget http://t:8/test/facts?\nquery \nversion 10\n");
    expect_ends("/test/ends");
    expect_ends("/test/ends-away");
    expect(GET("/test/values?a=1&b=2&a=3"), 200, "2 of a, 3 in all, second 3\n");
    expect(GET("/test/values?b=2"), 200, "0 of a, 1 in all, second (none)\n");
    expect(GET("/test/progress"), 202, "202 0\n202 6\n");
    expect(GET("/test/kept"), 200, "one two\n");
    stop();
}
END_TEST

/* ---- fields of a reply ---- */

/* The head has the lines, and not the other one. */
static void expect_lines(const char *request, int status, const char *lines, const char *lacks)
{
    struct reply r;
    ask(demo.port, request, status, &r);
    ck_assert_msg(strstr(r.head, lines) && (!lacks || !strstr(r.head, lacks)), "%s: %s: %s", demo.engine, request, r.head);
    reply_free(&r);
}

START_TEST(fields)
{
    START(_i);
    expect_lines(GET("/test/fields"), 200, "X-Three: 3\r\nx-one: one\r\n", "X-Two");
    expect_lines(GET("/test/fields-away"), 200, "X-Three: 3\r\nx-one: one\r\n", "X-Two");
    expect_lines(GET("/test/redirect?to=/a%2520b"), 302, "Location: /a%20b\r\n", NULL);
    expect_lines(GET("/test/redirect?to=http://example.org/&status=308"), 308, "Location: http://example.org/\r\n", NULL);
    expect_lines(GET("/test/redirect?to=/a%0d%0aX-Injected:1"), 500, "\r\n", "X-Injected");
    expect_lines(GET("/test/redirect?status=304&to=/"), 500, "\r\n", "Location");
    expect_lines(GET("/test/cookie"), 200,
                 "Set-Cookie: session=1; Domain=example.org; Path=/; Max-Age=3600; Secure; HttpOnly; SameSite=Strict\r\n"
                 "Set-Cookie: plain=2\r\n", NULL);
    expect_lines(GET("/test/cookie?value=a;b"), 500, "\r\n", "Set-Cookie");
    stop();
}
END_TEST

static void add(Suite *s)
{
    TCase *t = e2e_case(s, "interface", 60);
    const int n = variant_count();
    tcase_add_loop_test(t, facts, 0, n);
    tcase_add_loop_test(t, fields, 0, n);
}

int main(int argc, char **argv)
{
    return e2e_main_apart("interface", add, argc, argv);
}
