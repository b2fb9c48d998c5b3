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

static void add(Suite *s)
{
    TCase *t = e2e_case(s, "replies", 60);
    const int n = variant_count();
    tcase_add_loop_test(t, a_missing_piece_is_seen, 0, n);
}

int main(int argc, char **argv)
{
    return e2e_main_apart("replies", add, argc, argv);
}
