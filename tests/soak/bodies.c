/* SPDX-License-Identifier: MIT
 *
 * The processor time of large bodies, in rounds in which prefork, which copies each byte once and waits, takes turns with
 * every other engine: 8 clients, 1 MB each time. On event a download that a handler makes costs at most 1.1 times as much.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "e2e/bulk.h"

enum { CLIENTS = 8, MEGABYTE = 1000000, WARM = 100, EACH = 2000, ROUNDS = 5 };

static const struct {
    const char *name, *target;
    size_t up, down;
    bool is_chunked, is_bound;
} kinds[] = {
    { "download", "/bytes/1000000", 0, MEGABYTE, false, true },
    { "in chunks", "/test/pull/1000000", 0, MEGABYTE, true, false },
    { "echo", "/echo", MEGABYTE, MEGABYTE, true, false },
    { "upload", "/submit", MEGABYTE, 13, false, true },
};

static double us_for_each(const char *engine, size_t kind, long *faults)
{
    struct demo demo;
    struct bulk b = { .clients = CLIENTS, .target = kinds[kind].target, .up = kinds[kind].up, .down = kinds[kind].down,
                      .is_chunked = kinds[kind].is_chunked };
    demo_start(&demo, engine, "--workers", workers_for(engine, CLIENTS), "--threads", "8", "--pool", "0", NULL);
    b.port = demo.port;
    bulk_open(&b);
    bulk_move(&b, WARM);
    const long ms = demo_cpu_ms(&demo), before = demo_faults(&demo);
    bulk_move(&b, EACH);
    const double us = (double)(demo_cpu_ms(&demo) - ms) * 1000 / EACH;
    *faults = demo_faults(&demo) - before;
    bulk_close(&b);
    demo_stop(&demo, WAIT_MS);
    return us;
}

static int in_order(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void compare(const char *engine, size_t kind)
{
    double own[ROUNDS], base[ROUNDS], ratios[ROUNDS];
    long faults, most = 0, none;
    for (int i = 0; i < ROUNDS; i++) {
        base[i] = us_for_each("prefork", kind, &none);
        own[i] = us_for_each(engine, kind, &faults);
        ratios[i] = own[i] / base[i];
        most = faults > most ? faults : most;
    }
    qsort(own, ROUNDS, sizeof *own, in_order);
    qsort(base, ROUNDS, sizeof *base, in_order);
    qsort(ratios, ROUNDS, sizeof *ratios, in_order);
    printf("%-14s %-10s %4.0f us for each MB, prefork %4.0f, ratio %.2f (%.2f to %.2f), page faults for each MB %.3f\n", engine,
           kinds[kind].name, own[ROUNDS / 2], base[ROUNDS / 2], ratios[ROUNDS / 2], ratios[0], ratios[ROUNDS - 1],
           (double)most / EACH);
    fflush(stdout);
    ck_assert_msg(most < EACH, "%s: %s: %ld page faults", engine, kinds[kind].name, most);
    if (strcmp(engine, "event") == 0 && kinds[kind].is_bound)
        ck_assert_msg(ratios[ROUNDS / 2] <= 1.1, "%s: %s: %.2f", engine, kinds[kind].name, ratios[ROUNDS / 2]);
}

START_TEST(bodies)
{
    const char *engine = engine_name(_i / (int)COUNT(kinds));
    if (strcmp(engine, "prefork") != 0)
        compare(engine, (size_t)_i % COUNT(kinds));
}
END_TEST

static void add(Suite *s)
{
    tcase_add_loop_test(e2e_case(s, "soak", 600), bodies, 0, engine_count() * (int)COUNT(kinds));
}

int main(int argc, char **argv)
{
    return e2e_main("soak_bodies", add, argc, argv);
}
