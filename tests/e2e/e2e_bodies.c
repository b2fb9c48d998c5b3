/* SPDX-License-Identifier: MIT
 *
 * Large bodies cost the processor time of copying them, and no memory that is taken from the system and given back again
 * and again: in the steady state there is less than one page fault for each megabyte.
 */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "e2e/bulk.h"

enum { CLIENTS = 8, MEGABYTE = 1000000, WARM = 200 };

static struct demo demo;

static size_t enough(void)
{
    return is_quick() || is_sanitized() ? 40 : 400;
}

static const struct {
    const char *name, *target, *route;
    size_t up, down;
    bool is_chunked;
} kinds[] = {
    { "pulled", "/bytes/1000000", "GET /bytes/{n}", 0, MEGABYTE, false },
    { "pulled in chunks", "/test/pull/1000000", "GET /test/pull/{n}", 0, MEGABYTE, true },
    { "pushed in chunks", "/stream/85000", "GET /stream/{n}", 0, MEGABYTE, true },
    { "echo", "/echo", "/echo", MEGABYTE, MEGABYTE, true },
    { "taken", "/submit", "POST /submit", MEGABYTE, 13, false },
};

static void move(const char *engine, const char *pool, size_t kind, const char *config)
{
    struct bulk b = { .clients = CLIENTS, .target = kinds[kind].target, .up = kinds[kind].up, .down = kinds[kind].down,
                      .is_chunked = kinds[kind].is_chunked };
    const size_t count = enough();
    demo_start(&demo, engine, "--workers", workers_for(engine, 2 * CLIENTS), "--threads", "8", "--pool", pool,
               config ? "--config" : NULL, config, NULL);
    b.port = demo.port;
    bulk_open(&b);
    bulk_move(&b, is_sanitized() ? CLIENTS : WARM);
    long faults = LONG_MAX;
    /* A thread that has had no connection yet takes its stack and its first chunks: what goes on is what counts. */
    for (int i = 0; i < (is_sanitized() ? 1 : 3) && faults >= (long)count; i++) {
        const long before = demo_faults(&demo);
        bulk_move(&b, count);
        faults = demo_faults(&demo) - before;
    }
    printf("%s, pool %s: %s: %ld page faults for %zu MB\n", engine, pool, kinds[kind].name, faults, count);
    fflush(stdout);
    bulk_close(&b);
    demo_stop(&demo, WAIT_MS);
    ck_assert_msg(is_sanitized() || faults < (long)count, "%s: %s: %ld page faults for %zu MB", engine, kinds[kind].name,
                  faults, count);
}

START_TEST(no_page_faults)
{
    const size_t kind = (size_t)_i % COUNT(kinds);
    move(engine_name(_i / (int)COUNT(kinds)), "0", kind, NULL);
}
END_TEST

/* A blocking route passes its bodies through a channel between two threads. */
START_TEST(no_page_faults_through_a_channel)
{
    const size_t kind = (size_t)_i % COUNT(kinds);
    const char *engine = engine_name(_i / (int)COUNT(kinds));
    char path[] = "/tmp/concur-bodies-XXXXXX", text[128];
    if (!has_loop(engine))
        return;
    int fd = mkstemp(path);
    ck_assert_int_ge(fd, 0);
    const int n = snprintf(text, sizeof text, "route \"%s\" {\n    blocking = on\n}\n", kinds[kind].route);
    ck_assert_int_eq(write(fd, text, (size_t)n), n);
    close(fd);
    move(engine, "4", kind, path);
    unlink(path);
}
END_TEST

static void add(Suite *s)
{
    TCase *t = e2e_case(s, "bodies", 60);
    tcase_add_loop_test(t, no_page_faults_through_a_channel, 0, engine_count() * (int)COUNT(kinds));
    tcase_add_loop_test(t, no_page_faults, 0, engine_count() * (int)COUNT(kinds));
}

int main(int argc, char **argv)
{
    return e2e_main_apart("bodies", add, argc, argv);
}
