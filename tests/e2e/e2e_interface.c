/* SPDX-License-Identifier: MIT
 *
 * What the interface offers beside requests and replies themselves, on every engine with and without a pool.
 */
#include <signal.h>
#include <stdbool.h>
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
    expect(GET("/test/cancel"), 200, "cancelled\n");
    expect(GET("/test/cancel-away"), 200, "cancelled\n");
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

/* ---- a body whole in memory ---- */

/* n bytes, in one piece or in a chunk. */
static void post(const char *target, size_t n, bool chunked, int status)
{
    static char request[200000];
    struct reply r;
    char said[32];
    int head = snprintf(request, sizeof request, "POST %s HTTP/1.1\r\nHost: e2e\r\n", target);
    head += chunked ? snprintf(request + head, 100, "Transfer-Encoding: chunked\r\n\r\n%zx\r\n", n)
                    : snprintf(request + head, 100, "Content-Length: %zu\r\n\r\n", n);
    memset(request + head, 'x', n);
    strcpy(request + head + n, chunked ? "\r\n0\r\n\r\n" : "");
    ask(demo.port, request, status, &r);
    snprintf(said, sizeof said, "%zu bytes\n", n);
    ck_assert_msg(status != 200 || strcmp(r.body, said) == 0, "%s: %s %zu: %s", demo.engine, target, n, r.body);
    reply_free(&r);
}

START_TEST(in_memory)
{
    START(_i, "--set", "body_memory=100", "--set", "body_max=150000");
    for (int chunked = 0; chunked < 2; chunked++) {
        post("/test/json", 1, chunked, 200);
        post("/test/json", 1000, chunked, 200);
        post("/test/json", 1001, chunked, 413);
        post("/test/json-away", 150000, chunked, 200);
        post("/test/json-away", 150001, chunked, 413);
    }
    expect("POST /test/json HTTP/1.1\r\nHost: e2e\r\n\r\n", 200, "0 bytes\n");
    stop();
}
END_TEST

#define HINTS                                                                                                          \
    "HTTP/1.1 102 \r\n\r\n"                                                                                 \
    "HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload; as=style\r\nLink: </b.js>; rel=preload; as=script\r\n\r\n"

/* They come before the reply, which the client reads as if there had been none; also on the next request. */
static void expect_hints(const char *target)
{
    char head[128], got[sizeof HINTS] = "";
    struct client c;
    struct reply r;
    client_open(&c, demo.port);
    for (int i = 0; i < 2; i++) {
        snprintf(head, sizeof head, "GET %s HTTP/1.1\r\nHost: e2e\r\n\r\n", target);
        ck_assert(client_text(&c, head) && client_wait_bytes(&c, sizeof HINTS - 1, WAIT_MS));
        memcpy(got, c.in + c.at, sizeof HINTS - 1);
        ck_assert_msg(strcmp(got, HINTS) == 0, "%s: %s: %s", demo.engine, target, got);
        c.at += sizeof HINTS - 1;
        c.n -= sizeof HINTS - 1;
        client_read(&c, &r, false, WAIT_MS);
        ck_assert_msg(r.kind == REPLY_OK && r.status == 200 && reply_field_is(&r, "X-Reply", "1"), "%s: %s", demo.engine, target);
        ck_assert_str_eq(r.body, "hints\n");
        reply_free(&r);
    }
    client_close(&c);
}

START_TEST(interim)
{
    START(_i);
    expect_hints("/test/hints");
    expect_hints("/test/hints-away");
    expect("GET /test/hints HTTP/1.0\r\n\r\n", 200, "hints\n");
    expect(GET("/test/hints-bad"), 200, "ok\n");
    stop();
}
END_TEST

/* ---- around handlers ---- */

struct expected {
    const char *request;
    int status;
    const char *body; /* NULL: any */
    const char *line; /* NULL, or within the head */
    const char *lacks;
};

static void expect_all(const struct expected *rows, size_t n)
{
    struct reply r;
    for (size_t i = 0; i < n; i++) {
        ask(demo.port, rows[i].request, rows[i].status, &r);
        bool ok = (!rows[i].body || strcmp(r.body, rows[i].body) == 0) && (!rows[i].line || strstr(r.head, rows[i].line)) &&
                  (!rows[i].lacks || !strstr(r.head, rows[i].lacks));
        ck_assert_msg(ok, "%s: %s: %s\n%s", demo.engine, rows[i].request, r.head, r.body);
        reply_free(&r);
    }
}

#define BODY "Host: e2e\r\nContent-Length: 5\r\n\r\nabcde"
#define ALL_FOUR "X-After: 200\r\nX-Order: abcd\r\n"

static const struct expected arounds[] = {
    { GET("/test/around"), 200, "GET, 2 before\n", "X-Handler: replaced\r\n", "X-Secret" },
    { GET("/test/around"), 200, NULL, "X-After: 200\r\n", NULL },
    { "DELETE /test/around HTTP/1.1\r\nHost: e2e\r\n\r\n", 200, "DELETE, 2 before\n", NULL, NULL },
    { GET("/test/x/../around?before=nothing"), 200, "GET, 2 before\n", NULL, NULL },
    { GET("/test/around/away"), 200, "GET, 2 before\n", "X-Order: abcd\r\n", NULL },
    { "POST /test/around/body HTTP/1.1\r\n" BODY, 200, "5 bytes\n", ALL_FOUR, NULL },
    { "POST /test/around/body-away HTTP/1.1\r\n" BODY, 200, "5 bytes\n", ALL_FOUR, NULL },
    { "POST /test/around/stream HTTP/1.1\r\n" BODY, 200, "5 bytes\n", ALL_FOUR, NULL },
    { GET("/test/around/begin"), 200, "one two\n", ALL_FOUR, NULL },
    { GET("/test/around/x/first"), 200, "GET, 2 before\n", "X-Order: abcd\r\n", NULL },
    { GET("/test/around?before=answer"), 403, "answered\n", "X-After: 403\r\nX-Order: acd\r\n", "X-Handler" },
    { GET("/test/around/away?before=answer"), 403, "answered\n", "X-After: 403\r\nX-Order: acd\r\n", NULL },
    { "POST /test/around/body?before=answer HTTP/1.1\r\n" BODY, 403, "answered\n", "X-After: 403\r\n", NULL },
    { "POST /test/around/stream?before=answer HTTP/1.1\r\n" BODY, 403, "answered\n", NULL, NULL },
    { GET("/test/around?before=pull"), 200, NULL, "X-After: 200\r\nX-Order: acd\r\n", NULL },
    { GET("/test/around?before=status"), 418, NULL, "X-After: 418\r\nX-Order: acd\r\n", NULL },
    { GET("/test/around?before=error"), 503, NULL, "X-After: 503\r\nX-Order: acd\r\n", NULL },
    { GET("/test/around?before=decline"), 404, NULL, "X-After: 404\r\nX-Order: acd\r\n", NULL },
    { GET("/test/around?before=later"), 200, "GET, 2 before\n", "X-Order: abcd\r\n", NULL },
    { GET("/test/around/away?before=later"), 200, "GET, 2 before\n", "X-Order: abcd\r\n", NULL },
    { "POST /test/around/body?before=later HTTP/1.1\r\n" BODY, 200, "5 bytes\n", ALL_FOUR, NULL },
    { "POST /test/around/body-away?before=later HTTP/1.1\r\n" BODY, 200, "5 bytes\n", ALL_FOUR, NULL },
    { "POST /test/around/stream?before=later HTTP/1.1\r\n" BODY, 200, "5 bytes\n", ALL_FOUR, NULL },
    { GET("/test/around?before=offload"), 200, "GET, 2 before\n", "X-Order: abcd\r\n", NULL },
    { "POST /test/around/body-away?before=offload HTTP/1.1\r\n" BODY, 200, "5 bytes\n", ALL_FOUR, NULL },
    { GET("/test/around?before=later-answer"), 401, "later\n", "X-Order: acd\r\n", NULL },
    { GET("/test/around/away?before=later-answer"), 401, "later\n", "X-Order: acd\r\n", NULL },
    { GET("/test/around?before=pending"), 500, NULL, "X-After: 500\r\n", NULL },
    { GET("/test/around/away?before=pending"), 500, NULL, "X-After: 500\r\n", NULL },
    { GET("/test/around?before=never"), 500, NULL, "X-After: 500\r\n", NULL },
    { GET("/test/around?after=fail"), 502, NULL, "X-After: 502\r\n", "X-Order" },
    { GET("/test/around/missing"), 404, NULL, "X-After: 404\r\nX-Order: abcd\r\n", NULL },
    { GET("/test/around/missing?before=answer"), 403, "answered\n", NULL, NULL },
    { GET("/test/around/missing?before=later"), 404, NULL, "X-Order: abcd\r\n", NULL },
    { GET("/test/around/body"), 405, NULL, "Allow: POST, OPTIONS\r\nX-After: 405\r\nX-Order: abcd\r\n", NULL },
    { "OPTIONS /test/around/body HTTP/1.1\r\nHost: e2e\r\n\r\n", 204, NULL, "X-After: 204\r\n", NULL },
    { GET("/test/arounds"), 404, NULL, NULL, "X-After" },
    { GET("/test"), 404, NULL, NULL, "X-After" },
    { GET("/hello/around"), 200, NULL, NULL, "X-After" },
};

START_TEST(around)
{
    START(_i);
    expect_all(arounds, COUNT(arounds));
    stop();
}
END_TEST

/* One connection, one request after the other: what was held back does not come between. */
START_TEST(around_pipelined)
{
    static const char *const answers[] = { "GET, 2 before\n", "answered\n", "GET, 2 before\n", "5 bytes\n", "Hello, World!" };
    struct client c;
    struct reply r;
    START(_i);
    client_open(&c, demo.port);
    ck_assert(client_text(&c, GET("/test/around?before=later") GET("/test/around?before=answer") GET("/test/around/away?before=later")
                              "POST /test/around/body?before=later HTTP/1.1\r\n" BODY GET("/")));
    for (size_t i = 0; i < COUNT(answers); i++) {
        client_read(&c, &r, false, WAIT_MS);
        ck_assert_msg(r.kind == REPLY_OK && strcmp(r.body, answers[i]) == 0, "%s: %zu: %s", demo.engine, i, reply_kind_name(&r));
        reply_free(&r);
    }
    client_close(&c);
    stop();
}
END_TEST

/* ---- pages ---- */

static const struct expected pages[] = {
    { GET("/test/page/none"), 404, "Nothing at /test/page/none\n", "Content-Type: text/plain; charset=utf-8\r\n", NULL },
    { GET("/test/page/status/404"), 404, "Nothing at /test/page/status/404\n", NULL, "X-Handler" },
    { GET("/test/page/status/403"), 403, "{\"status\":403}", "Content-Type: application/json\r\n", "X-Handler" },
    { GET("/test/page/away/403"), 403, "{\"status\":403}", NULL, NULL },
    { GET("/test/page/status/500"), 500, "{\"status\":500}", NULL, NULL },
    { GET("/test/page/status/0"), 500, "{\"status\":500}", NULL, NULL },
    { GET("/test/page/status/-14"), 503, "{\"status\":503}", "Retry-After: ", NULL },
    { GET("/test/page/status/302"), 302, "302 Found\n", NULL, NULL },
    { GET("/test/page/post"), 405, "{\"status\":405}", "Allow: POST, OPTIONS\r\n", NULL },
    { "POST /test/page/post HTTP/1.1\r\nHost: e2e\r\nContent-Length: 2000\r\n\r\n", 413, "{\"status\":413}", NULL, NULL },
    { "BREW /test/page/post HTTP/1.1\r\nHost: e2e\r\n\r\n", 501, "{\"status\":501}", NULL, NULL },
    { GET("/test/page/deadline"), 504, "{\"status\":504}", NULL, NULL },
    { GET("/test/page/status/500?page=push"), 500, "pushed\n", NULL, NULL },
    { GET("/test/page/deadline?page=push"), 504, "pushed\n", NULL, NULL },
    { GET("/test/page/status/500?page=none"), 500, "500 Internal Server Error\n", NULL, NULL },
    { GET("/test/page/status/503?page=none"), 503, "503 Service Unavailable\n", "Retry-After: ", NULL },
    { GET("/test/page/away/500?page=error"), 500, "500 Internal Server Error\n", NULL, "Bad" },
    { GET("/test/page/status/500?page=other"), 200, "all is well\n", NULL, NULL },
    { GET("/test/pages"), 404, "404 Not Found\n", NULL, NULL },
    { "GET /test/page/\x01 HTTP/1.1\r\nHost: e2e\r\n\r\n", 400, "400 Bad Request\n", NULL, NULL },
};

START_TEST(own_pages)
{
    struct client c;
    struct reply r;
    START(_i, "--set", "body_max=1000");
    expect_all(pages, COUNT(pages));
    client_open(&c, demo.port);
    ck_assert(client_text(&c, "HEAD /test/page/none HTTP/1.1\r\nHost: e2e\r\n\r\n"));
    client_read(&c, &r, true, WAIT_MS);
    ck_assert(r.kind == REPLY_OK && r.status == 404 && reply_field_is(&r, "Content-Length", "27"));
    reply_free(&r);
    ck_assert(client_text(&c, GET("/test/page/status/500?page=unfinished")));
    client_read(&c, &r, false, WAIT_MS); /* cut off, and it can be seen; what was not sent yet is lost as a whole */
    ck_assert_msg(r.kind == REPLY_TRUNCATED || r.kind == REPLY_RESET, "%s: %s", demo.engine, reply_kind_name(&r));
    reply_free(&r);
    client_close(&c);
    stop();
}
END_TEST

/* ---- topics ---- */

static void publish(long long count)
{
    char body[32];
    snprintf(body, sizeof body, "%lld\n", count);
    expect("POST /test/publish HTTP/1.1\r\nHost: e2e\r\n\r\n", 200, body);
}

/* Several read, in whichever process; each hears of what is published, and none misses what came before it asked again. */
START_TEST(topics)
{
    enum { READERS = 6 };
    static const char *const lines[] = { "reading\n", "news 1\n", "news 2\n", "news 3\n" };
    struct client c[READERS];
    START(_i, "--workers", workers_for(variant_engine(_i), READERS + 2), "--threads", "16");
    expect(GET("/test/news?seen=7"), 200, "news 0\n");
    expect(GET("/test/news-away?seen=7"), 200, "news 0\n");
    expect(GET("/test/news-cancel"), 200, "cancelled\n");
    for (int i = 0; i < READERS; i++) {
        client_open(&c[i], demo.port);
        ck_assert(client_text(&c[i], GET("/test/news-ever")));
        while (!c[i].in || !memmem(c[i].in + c[i].at, c[i].n, lines[0], strlen(lines[0])))
            ck_assert_msg(client_wait_bytes(&c[i], c[i].n + 1, WAIT_MS), "%s: reader %d", demo.engine, i);
    }
    for (int k = 1; k < 4; k++) {
        publish(k);
        for (int i = 0; i < READERS; i++) {
            while (!c[i].in || !memmem(c[i].in + c[i].at, c[i].n, lines[k], strlen(lines[k])))
                ck_assert_msg(client_wait_bytes(&c[i], c[i].n + 1, WAIT_MS), "%s: reader %d, %s", demo.engine, i, lines[k]);
        }
    }
    expect(GET("/test/news?seen=2"), 200, "news 3\n");
    for (int i = 0; i < READERS; i++)
        client_abort(&c[i]); /* a mere end might be a client that still reads */
    stop();
}
END_TEST

static void await_line(struct client *c, const char *line)
{
    while (!c->in || !memmem(c->in + c->at, c->n, line, strlen(line)))
        ck_assert_msg(client_wait_bytes(c, c->n + 1, WAIT_MS), "%s: %s", demo.engine, line);
}

/* Processes that were killed while they waited, or published, leave nothing behind that others stumble over. */
START_TEST(topics_outlive_workers)
{
    struct client before, after;
    pid_t pids[64];
    if (!has_workers(variant_engine(_i)))
        return;
    START(_i, "--workers", workers_for(variant_engine(_i), 4));
    client_open(&before, demo.port);
    ck_assert(client_text(&before, GET("/test/news-ever")));
    await_line(&before, "reading\n");
    publish(1);
    await_line(&before, "news 1\n");
    int n = demo_pids(&demo, pids, COUNT(pids));
    for (int i = 1; i < n; i++) /* all but the master */
        kill(pids[i], SIGKILL);
    client_close(&before);
    expect_alive(demo.port, WAIT_MS);
    client_open(&after, demo.port);
    ck_assert(client_text(&after, GET("/test/news-ever")));
    await_line(&after, "reading\n");
    publish(2);
    await_line(&after, "news 2\n");
    client_abort(&after);
    demo_stop(&demo, WAIT_MS);
}
END_TEST

static void add(Suite *s)
{
    TCase *t = e2e_case(s, "interface", 60);
    const int n = variant_count();
    tcase_add_loop_test(t, facts, 0, n);
    tcase_add_loop_test(t, fields, 0, n);
    tcase_add_loop_test(t, in_memory, 0, n);
    tcase_add_loop_test(t, interim, 0, n);
    tcase_add_loop_test(t, around, 0, n);
    tcase_add_loop_test(t, around_pipelined, 0, n);
    tcase_add_loop_test(t, own_pages, 0, n);
    tcase_add_loop_test(t, topics, 0, n);
    tcase_add_loop_test(t, topics_outlive_workers, 0, n);
}

int main(int argc, char **argv)
{
    return e2e_main_apart("interface", add, argc, argv);
}
