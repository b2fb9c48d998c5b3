/* SPDX-License-Identifier: MIT
 *
 * What tests ask again and again.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "e2e/client.h"
#include "e2e/harness.h"

void ask(unsigned port, const char *request, int status, struct reply *r)
{
    struct client c;
    client_open(&c, port);
    ck_assert_msg(client_text(&c, request), "%.60s: not taken%s", request, demo_end());
    client_read(&c, r, strncmp(request, "HEAD ", 5) == 0, WAIT_MS);
    ck_assert_msg(r->kind == REPLY_OK, "%.60s: %s%s", request, reply_kind_name(r), demo_end());
    ck_assert_msg(r->status == status, "%.60s: %d, expected %d", request, r->status, status);
    client_close(&c);
}

void expect_get(unsigned port, const char *target, int status, const char *body)
{
    char request[512];
    struct reply r;
    snprintf(request, sizeof request, "GET %s HTTP/1.1\r\nHost: e2e\r\nConnection: close\r\n\r\n", target);
    ask(port, request, status, &r);
    if (body)
        ck_assert_str_eq(r.body, body);
    reply_free(&r);
}

int64_t expect_alive(unsigned port, unsigned ms)
{
    const int64_t begun = now_ms();
    expect_get(port, "/", 200, "Hello, World!");
    const int64_t took = now_ms() - begun;
    ck_assert_msg(took <= slow(ms), "a good request took %ld ms", (long)took);
    return took;
}

void ask_to_hold(struct client *c, unsigned port, unsigned ms)
{
    char request[64], got[32];
    static const char begun[] = "HTTP/1.1 102 \r\n\r\n";
    snprintf(request, sizeof request, "GET /block/%u?begun=1 HTTP/1.1\r\nHost: e2e\r\n\r\n", ms);
    client_open(c, port);
    ck_assert(client_text(c, request) && client_take(c, got, strlen(begun), WAIT_MS));
    ck_assert_mem_eq(got, begun, strlen(begun));
}

static long long number_of(const char *json, const char *name)
{
    char key[64];
    snprintf(key, sizeof key, "\"%s\":", name);
    const char *p = strstr(json, key);
    ck_assert_msg(p != NULL, "no %s in %s", name, json);
    return strtoll(p + strlen(key), NULL, 10);
}

static void read_counts(unsigned port, struct reply *r)
{
    ask(port, "GET /test/counts HTTP/1.1\r\nHost: e2e\r\nConnection: close\r\n\r\n", 200, r);
}

long long counter(unsigned port, const char *name)
{
    struct reply r;
    read_counts(port, &r);
    long long value = number_of(r.body, name);
    reply_free(&r);
    return value;
}

void expect_balanced(unsigned port, unsigned ms)
{
    static const char *const pairs[][2] = {
        { "requests", "ended" },        { "tickets", "released" },  { "posts", "posts_run" },
        { "offloads", "offloads_run" }, { "timers", "timers_run" }, { "buffers", "freed" },
        { "bodies", "bodies_run" },
    };
    const int64_t deadline = now_ms() + slow(ms);
    for (;;) {
        struct reply r;
        read_counts(port, &r);
        bool equal = true;
        for (size_t i = 0; i < COUNT(pairs); i++)
            equal &= number_of(r.body, pairs[i][0]) == number_of(r.body, pairs[i][1]);
        ck_assert_msg(equal || now_ms() < deadline, "something begun has not ended: %s", r.body);
        ck_assert_int_eq(number_of(r.body, "misuse"), 0);
        reply_free(&r);
        if (equal)
            return;
        nap_ms(20);
    }
}
