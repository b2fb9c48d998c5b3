/* SPDX-License-Identifier: MIT
 *
 * Clients that send many requests before they read a reply: memory is bounded whatever their length, and every request
 * that was taken is answered.
 *
 * CONCUR_TEST_SEED: where the runs that are drawn begin; printed.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "e2e/flood.h"

static struct demo demo;

static uint64_t first_seed(void)
{
    const char *text = getenv("CONCUR_TEST_SEED");
    return text ? strtoull(text, NULL, 0) : (uint64_t)now_ms();
}

static void flood(const char *engine, struct flood *f, uint64_t seed)
{
    demo_start(&demo, engine, "--threads", "2", NULL); /* what a thread needs for itself is not asked here */
    flood_run(f, &demo, seed);
    printf("%s: %zu bytes taken, %zu answered; requests of %zu bytes, seed %llu; grew by %ld KiB\n", engine, f->sent,
           f->answered, f->length, (unsigned long long)seed, f->grew_kib);
    fflush(stdout);
    demo_stop(&demo, WAIT_MS);
}

/* 109 bytes: 64 KiB are no multiple of that, so that reads end within a head. */
START_TEST(two_million_requests_and_no_reader)
{
    struct flood f = { .length = 109, .most = 2000000, .growth_kib = 1024 };
    flood(engine_name(_i), &f, 1);
}
END_TEST

enum { RUNS = 3 };

START_TEST(every_request_taken_is_answered)
{
    struct flood f;
    const uint64_t seed = first_seed() + (uint64_t)(_i % RUNS);
    flood_draw(&f, seed, 1000);
    flood(engine_name(_i / RUNS), &f, seed);
}
END_TEST

/* 64 KiB of requests that take a millisecond each, from several clients: another one's request comes between them, and not
 * when they are done. How many had been begun by then is counted, no time is measured. */
START_TEST(another_one_comes_between)
{
    static const char ahead[] = "GET /stall/1 HTTP/1.1\r\nHost: e2e\r\n\r\n";
    enum { AHEAD = 3, EACH = 65536 / (sizeof ahead - 1) };
    static char all[EACH * (sizeof ahead - 1)];
    struct client clients[AHEAD], other;
    for (size_t i = 0; i < EACH; i++)
        memcpy(all + i * (sizeof ahead - 1), ahead, sizeof ahead - 1);
    demo_start(&demo, engine_name(_i), "--workers", workers_for(engine_name(_i), AHEAD + 1), NULL);
    client_open(&other, demo.port);
    ck_assert(client_text(&other, "GET / HTTP/1.1\r\nHost: e2e\r\n\r\n"));
    ck_assert(client_wait_bytes(&other, 1, WAIT_MS));
    for (int i = 0; i < AHEAD; i++) {
        client_open(&clients[i], demo.port);
        ck_assert(client_send(&clients[i], all, sizeof all));
    }
    ck_assert(client_wait_bytes(&clients[0], 1, WAIT_MS));
    const long long begun = counter(demo.port, "requests");
    printf("%s: %lld of %d requests begun before the other client's\n", demo.engine, begun, AHEAD * EACH);
    fflush(stdout);
    ck_assert_msg(begun < AHEAD * EACH / 3, "%s: %lld of %d were begun first", demo.engine, begun, AHEAD * EACH);
    for (int i = 0; i < AHEAD; i++)
        client_abort(&clients[i]);
    client_close(&other);
    expect_balanced(demo.port, WAIT_MS);
    demo_stop(&demo, WAIT_MS);
}
END_TEST

static void add(Suite *s)
{
    TCase *t = e2e_case(s, "pipeline", 90);
    tcase_add_loop_test(t, two_million_requests_and_no_reader, 0, engine_count());
    tcase_add_loop_test(t, another_one_comes_between, 0, engine_count());
    tcase_add_loop_test(t, every_request_taken_is_answered, 0, engine_count() * RUNS);
}

int main(int argc, char **argv)
{
    return e2e_main_apart("pipeline", add, argc, argv);
}
