/* SPDX-License-Identifier: MIT
 *
 * What a client waits beside others that have sent 64 KiB of requests of 1 ms each, on an otherwise idle machine. On the
 * engines with a loop one such client costs less than 20 ms, however much it has sent.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "e2e/client.h"
#include "e2e/harness.h"

enum { ROUNDS = 30, MOST_AHEAD = 4, LIMIT_US = 20000 };

static const char ahead[] = "GET /stall/1 HTTP/1.1\r\nHost: e2e\r\n\r\n";
static char all[65536 / (sizeof ahead - 1) * (sizeof ahead - 1)];

static long now_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (long)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static int in_order(const void *a, const void *b)
{
    const long x = *(const long *)a, y = *(const long *)b;
    return (x > y) - (x < y);
}

/* A request beside `count` clients that are ahead, us. */
static long beside(unsigned port, int count)
{
    struct client clients[MOST_AHEAD], other;
    struct reply r;
    client_open(&other, port);
    for (int i = 0; i < count; i++) {
        client_open(&clients[i], port);
        ck_assert(client_send(&clients[i], all, sizeof all));
    }
    ck_assert(client_wait_bytes(&clients[0], 1, WAIT_MS));
    const long began = now_us();
    ck_assert(client_text(&other, "GET / HTTP/1.1\r\nHost: e2e\r\n\r\n"));
    client_read(&other, &r, false, WAIT_MS);
    const long took = now_us() - began;
    ck_assert_msg(r.kind == REPLY_OK && r.status == 200, "%s %d", reply_kind_name(&r), r.status);
    reply_free(&r);
    client_close(&other);
    for (int i = 0; i < count; i++)
        client_abort(&clients[i]);
    return took;
}

START_TEST(beside_those_that_are_ahead)
{
    struct demo demo;
    long took[ROUNDS];
    const char *engine = engine_name(_i);
    for (size_t i = 0; i < sizeof all; i += sizeof ahead - 1)
        memcpy(all + i, ahead, sizeof ahead - 1);
    demo_start(&demo, engine, "--workers", workers_for(engine, MOST_AHEAD + 1), NULL);
    for (int count = 1; count <= MOST_AHEAD; count *= 2) {
        for (int i = 0; i < ROUNDS; i++) {
            took[i] = beside(demo.port, count);
            expect_balanced(demo.port, WAIT_MS);
        }
        qsort(took, ROUNDS, sizeof *took, in_order);
        printf("%s: beside %d: median %.1f ms, longest %.1f ms\n", engine, count, (double)took[ROUNDS / 2] / 1000,
               (double)took[ROUNDS - 1] / 1000);
        fflush(stdout);
        if (has_loop(engine) && count == 1)
            ck_assert_msg(took[ROUNDS - 1] < LIMIT_US, "%s: %ld us", engine, took[ROUNDS - 1]);
    }
    demo_stop(&demo, WAIT_MS);
}
END_TEST

static void add(Suite *s)
{
    tcase_add_loop_test(e2e_case(s, "turns", 300), beside_those_that_are_ahead, 0, engine_count());
}

int main(int argc, char **argv)
{
    return e2e_main("soak_turns", add, argc, argv);
}
