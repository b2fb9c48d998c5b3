/* SPDX-License-Identifier: MIT
 *
 * Clients that leave: at every byte of the request and at many of the response, with a reset and with a plain close, on
 * routes that answer in every way there is. Afterwards everything that was begun has ended.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "e2e/client.h"
#include "e2e/harness.h"

enum { RESPONSE_STEPS = 24 };

static const char *const requests[] = {
    "POST /echo HTTP/1.1\r\nHost: e2e\r\nContent-Length: 12\r\n\r\nhello, world",
    "POST /echo HTTP/1.1\r\nHost: e2e\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    "GET /bytes/30000 HTTP/1.1\r\nHost: e2e\r\n\r\n",
    "GET /test/pull/30000?hesitate=1 HTTP/1.1\r\nHost: e2e\r\n\r\n",
    "GET /stream/50 HTTP/1.1\r\nHost: e2e\r\n\r\n",
    "GET /offload/1 HTTP/1.1\r\nHost: e2e\r\n\r\n",
    "GET /block/1 HTTP/1.1\r\nHost: e2e\r\n\r\n",
    "GET /test/ticket/1 HTTP/1.1\r\nHost: e2e\r\n\r\n",
    "GET /sleep/1 HTTP/1.1\r\nHost: e2e\r\n\r\n",
    "GET /test/after-offload HTTP/1.1\r\nHost: e2e\r\n\r\n",
    "GET /test/await/1 HTTP/1.1\r\nHost: e2e\r\n\r\n",
    "GET /test/gone/10 HTTP/1.1\r\nHost: e2e\r\n\r\n",
    "GET /test/big HTTP/1.1\r\nHost: e2e\r\n\r\n",
    "POST /test/body HTTP/1.1\r\nHost: e2e\r\nContent-Length: 5\r\n\r\nhello",
    "POST /test/body HTTP/1.1\r\nHost: e2e\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    "POST /test/pause HTTP/1.1\r\nHost: e2e\r\nContent-Length: 5\r\n\r\nhello",
    "GET /sleep/2 HTTP/1.1\r\nHost: e2e\r\n\r\nGET /bytes/3000 HTTP/1.1\r\nHost: e2e\r\n\r\n",
};

static struct demo demo;

static void leave(struct client *c, bool reset)
{
    if (reset)
        client_abort(c);
    else
        client_close(c);
}

/* How many bytes the reply to the request has, its head included; 1 or 2 replies, as many as the request has heads. */
static size_t reply_length(const char *request)
{
    size_t total = 0;
    const int heads = strstr(request + 1, "GET /bytes/3000 ") ? 2 : 1;
    struct client c;
    client_open(&c, demo.port);
    ck_assert(client_text(&c, request));
    for (int i = 0; i < heads; i++) {
        struct reply r;
        client_read(&c, &r, false, WAIT_MS);
        ck_assert_msg(r.kind == REPLY_OK && r.status == 200, "%s: %s %d", request, reply_kind_name(&r), r.status);
        total += r.head_len + 2 + r.body_len;
        reply_free(&r);
    }
    client_close(&c);
    return total;
}

static void abort_requests(const char *request, bool reset)
{
    const size_t n = strlen(request);
    for (size_t k = 0; k <= n; k++) {
        struct client c;
        client_open(&c, demo.port);
        ck_assert(client_send(&c, request, k));
        leave(&c, reset);
    }
}

static void abort_responses(const char *request, size_t length, bool reset)
{
    char *taken = malloc(length);
    ck_assert_ptr_nonnull(taken);
    const size_t step = length / RESPONSE_STEPS + 1;
    for (size_t k = 1; k < length; k += step) {
        struct client c;
        client_open(&c, demo.port);
        ck_assert(client_text(&c, request));
        ck_assert_msg(client_take(&c, taken, k, WAIT_MS), "%s: no %zu bytes", request, k);
        leave(&c, reset);
    }
    free(taken);
}

START_TEST(aborts)
{
    long files = 0;
    demo_start(&demo, variant_engine(_i), "--pool", variant_pool(_i), NULL);
    for (size_t i = 0; i < COUNT(requests); i++) {
        const size_t length = reply_length(requests[i]);
        files = i == 0 ? demo_files(&demo) : files;
        for (int reset = 0; reset < 2; reset++) {
            abort_requests(requests[i], reset);
            abort_responses(requests[i], length, reset);
        }
        ck_assert_msg(demo_is_alive(&demo), "%s%s", requests[i], demo_end());
        expect_alive(demo.port, WAIT_MS);
        expect_balanced(demo.port, WAIT_MS);
    }
    /* A thread's loop has five: epoll, its wake-up, its timer, and libevent's own pair. */
    for (int64_t deadline = now_ms() + slow(WAIT_MS); demo_files(&demo) > files + 5 * demo_threads(&demo); nap_ms(10))
        ck_assert_msg(now_ms() < deadline, "%ld descriptors, %ld before", demo_files(&demo), files);
    demo_stop(&demo, WAIT_MS);
}
END_TEST

/* A handler learns soon that its client is gone, and ends its work. */
START_TEST(handler_learns_it)
{
    struct client c;
    demo_start(&demo, variant_engine(_i), "--pool", variant_pool(_i), NULL);
    const bool stalls = has_loop(demo.engine) && strcmp(variant_pool(_i), "0") == 0;
    client_open(&c, demo.port);
    ck_assert(client_text(&c, "GET /sleep/60000 HTTP/1.1\r\nHost: e2e\r\n\r\n"));
    for (int64_t deadline = now_ms() + slow(WAIT_MS); counter(demo.port, "requests") < 1; nap_ms(5))
        ck_assert_int_lt(now_ms(), deadline);
    client_abort(&c);
    expect_balanced(demo.port, WAIT_MS);
    ck_assert_int_eq(counter(demo.port, "cancelled"), 1);
    if (!stalls) { /* there the loop cannot see it while the handler has it */
        client_open(&c, demo.port);
        ck_assert(client_text(&c, "GET /test/gone/60000 HTTP/1.1\r\nHost: e2e\r\n\r\n"));
        for (int64_t deadline = now_ms() + slow(WAIT_MS); counter(demo.port, "requests") < 2; nap_ms(5))
            ck_assert_int_lt(now_ms(), deadline);
        client_abort(&c);
        expect_balanced(demo.port, WAIT_MS);
        ck_assert_int_eq(counter(demo.port, "gone_seen"), 1);
    }
    demo_stop(&demo, WAIT_MS);
}
END_TEST

static void add(Suite *s)
{
    TCase *t = e2e_case(s, "abort", 60);
    tcase_add_loop_test(t, aborts, 0, variant_count());
    tcase_add_loop_test(t, handler_learns_it, 0, variant_count());
}

int main(int argc, char **argv)
{
    return e2e_main_apart("abort", add, argc, argv);
}
