/* SPDX-License-Identifier: MIT
 *
 * The demo with a transport that greets, wants to write in order to read and the other way round, and holds bytes back
 * (transport/rough.h): the table of requests gets the same replies as without it, on every engine; and clients that leave at every
 * byte of a request and of its reply cost nothing.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "e2e/client.h"
#include "e2e/harness.h"
#include "e2e/table.h"

enum { QUICK_ABORTS = 200 };

static unsigned long number_of(const char *text, const char *name)
{
    char line[64];
    snprintf(line, sizeof line, "\n%s ", name);
    const char *at = strstr(text, line);
    ck_assert_msg(at != NULL, "no %s in %s", name, text);
    return strtoul(at + strlen(line), NULL, 10);
}

/* What the transport of the server did. */
static char *ask_counts(unsigned port)
{
    struct reply r;
    ask(port, "GET /test/transport HTTP/1.1\r\nHost: e2e\r\nConnection: close\r\n\r\n", 200, &r);
    char *text = malloc(r.body_len + 2);
    ck_assert_ptr_nonnull(text);
    text[0] = '\n';
    memcpy(text + 1, r.body, r.body_len + 1);
    reply_free(&r);
    return text;
}

/* A server that never met these shows nothing. */
static void expect_all_happened(const struct demo *d)
{
    static const char *const names[] = { "made", "destroyed", "greeted", "greets_read", "greets_write", "reads_write", "records",
                                         "held", "pending", "writes_short", "writes_read", "finishes_again" };
    char *text = ask_counts(d->port);
    for (size_t i = 0; i < COUNT(names); i++)
        ck_assert_msg(number_of(text, names[i]) > 0, "%s: no %s:%s", d->engine, names[i], text);
    free(text);
}

/* Clients that leave. */

static const char *const requests[] = {
    "GET /bytes/300 HTTP/1.1\r\nHost: e2e\r\n\r\n",
    "POST /echo HTTP/1.1\r\nHost: e2e\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    "POST /submit HTTP/1.1\r\nHost: e2e\r\nContent-Length: 12\r\n\r\nhello, world",
    "GET /stream/9 HTTP/1.1\r\nHost: e2e\r\n\r\n",
};

static struct demo demo;

static size_t reply_length(const char *request)
{
    struct client c;
    struct reply r;
    client_open(&c, demo.port);
    ck_assert(client_text(&c, request));
    client_read(&c, &r, false, WAIT_MS);
    ck_assert_msg(r.kind == REPLY_OK && r.status == 200, "%s: %s %d", request, reply_kind_name(&r), r.status);
    size_t n = r.head_len + 2 + r.body_len;
    reply_free(&r);
    client_close(&c);
    return n;
}

/* Sends so many bytes of the request, takes so many of the reply and leaves. The next client is served. */
static void abort_at(const char *request, size_t sent, size_t taken, bool reset)
{
    static char bytes[65536];
    struct client c;
    ck_assert_uint_le(taken, sizeof bytes);
    client_open(&c, demo.port);
    ck_assert(client_send(&c, request, sent));
    ck_assert_msg(client_take(&c, bytes, taken, WAIT_MS), "%s: %s: no %zu bytes%s", demo.engine, request, taken, demo_end());
    if (reset)
        client_abort(&c);
    else
        client_close(&c);
    expect_alive(demo.port, WAIT_MS);
}

static void abort_everywhere(const char *request)
{
    const size_t n = strlen(request), length = reply_length(request), places = 2 * (n + length);
    uint64_t seed = 1;
    for (size_t i = 0; i < (takes_all_offsets() ? places : QUICK_ABORTS / COUNT(requests)); i++) {
        const size_t place = takes_all_offsets() ? i : (size_t)(random_next(&seed) % places);
        const bool reset = place % 2 != 0;
        if (place / 2 < n)
            abort_at(request, place / 2, 0, reset);
        else
            abort_at(request, n, place / 2 - n, reset);
    }
}

/* All but the connection that asks. */
static void expect_destroyed(void)
{
    char *text = ask_counts(demo.port);
    for (int64_t deadline = now_ms() + slow(WAIT_MS); number_of(text, "made") != number_of(text, "destroyed") + 1; nap_ms(10)) {
        ck_assert_msg(now_ms() < deadline, "%s: transports are left:%s", demo.engine, text);
        free(text);
        text = ask_counts(demo.port);
    }
    free(text);
}

START_TEST(aborts)
{
    demo_start(&demo, engine_name(_i), NULL);
    expect_alive(demo.port, WAIT_MS);
    const long files = demo_files(&demo);
    for (size_t i = 0; i < COUNT(requests); i++)
        abort_everywhere(requests[i]);
    expect_balanced(demo.port, WAIT_MS);
    expect_destroyed();
    /* A thread's loop has five. */
    for (int64_t deadline = now_ms() + slow(WAIT_MS); demo_files(&demo) > files + 5 * demo_threads(&demo); nap_ms(10))
        ck_assert_msg(now_ms() < deadline, "%s: %ld descriptors, %ld before", demo.engine, demo_files(&demo), files);
    demo_stop(&demo, WAIT_MS);
}
END_TEST

static void add(Suite *s)
{
    table_add(s, CONCUR_DEMO, expect_all_happened);
    TCase *t = e2e_case(s, "aborts", 60);
    tcase_add_loop_test(t, aborts, 0, engine_count());
}

int main(int argc, char **argv)
{
    setenv("CONCUR_DEMO", ROUGH_DEMO, 1);
    return e2e_main("transport", add, argc, argv);
}
