/* SPDX-License-Identifier: MIT
 *
 * Thousands of idle keep-alive connections, few threads: they cost little, and delay nobody.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "e2e/client.h"
#include "e2e/harness.h"

static struct demo demo;

static int wanted(void)
{
    struct rlimit files;
    if (is_quick() || getrlimit(RLIMIT_NOFILE, &files) < 0)
        return 500;
    return files.rlim_cur > 10200 ? 10000 : (int)files.rlim_cur - 200;
}

static void get(struct client *c)
{
    struct reply r;
    ck_assert(client_text(c, "GET / HTTP/1.1\r\nHost: e2e\r\n\r\n"));
    client_read(c, &r, false, WAIT_MS);
    ck_assert_msg(r.kind == REPLY_OK && r.status == 200 && !r.says_close, "%s %d", reply_kind_name(&r), r.status);
    reply_free(&r);
    client_shrink(c);
}

/* Where each connection has a thread or a loop in common with others. */
START_TEST(idle_connections)
{
    if (is_one_connection_a_worker(engine_name(_i)))
        return;
    const int count = wanted();
    struct client *clients = calloc((size_t)count, sizeof *clients);
    ck_assert_ptr_nonnull(clients);
    demo_start(&demo, engine_name(_i), "--threads", "32", "--set", "keepalive_timeout=10m", "--set",
               "connections_max=20000", NULL);
    for (int i = 0; i < 100; i++)
        expect_alive(demo.port, WAIT_MS);
    const long before = demo_memory_kib(&demo);
    for (int i = 0; i < count; i++) {
        client_open(&clients[i], demo.port);
        get(&clients[i]);
    }
    const long each = (demo_memory_kib(&demo) - before) * 1024 / count;
    printf("%s: %d idle connections, %ld bytes each, %ld threads\n", demo.engine, count, each, demo_threads(&demo));
    fflush(stdout);
    ck_assert_msg(is_sanitized() || each < 4096, "%ld bytes for each idle connection", each);
    const int others = is_sanitized() ? 16 : 8; /* pollers, fronts, masters; a sanitizer has one more in each process */
    ck_assert_int_le(demo_threads(&demo), 32 * workers_usually(demo.engine) + others);
    for (int i = 0; i < 10; i++)
        ck_assert_int_lt(expect_alive(demo.port, WAIT_MS), slow(1000));
    for (int i = 0; i < count; i += 10)
        get(&clients[i]);
    /* all of these at once */
    for (int i = 5; i < count; i += 10)
        ck_assert(client_text(&clients[i], "GET / HTTP/1.1\r\nHost: e2e\r\n\r\n"));
    for (int i = 5; i < count; i += 10) {
        struct reply r;
        client_read(&clients[i], &r, false, WAIT_MS);
        ck_assert_msg(r.kind == REPLY_OK && r.status == 200, "%d: %s %d", i, reply_kind_name(&r), r.status);
        reply_free(&r);
    }
    for (int i = 0; i < count; i++)
        client_close(&clients[i]);
    free(clients);
    expect_alive(demo.port, WAIT_MS);
    for (int64_t deadline = now_ms() + slow(WAIT_MS); demo_files(&demo) > 100; nap_ms(20))
        ck_assert_msg(now_ms() < deadline, "%ld descriptors", demo_files(&demo));
    demo_stop(&demo, WAIT_MS);
}
END_TEST

/* Where a connection has a process for itself, those that idle make room: far more clients than workers are served. */
START_TEST(idle_ones_make_room)
{
    enum { WORKERS = 4, CLIENTS = 40 };
    struct client clients[CLIENTS];
    if (!is_one_connection_a_worker(engine_name(_i)))
        return;
    demo_start(&demo, engine_name(_i), "--workers", "4", "--set", "keepalive_timeout=10m", NULL);
    for (int i = 0; i < CLIENTS; i++) {
        struct reply r;
        client_open(&clients[i], demo.port);
        ck_assert(client_text(&clients[i], "GET / HTTP/1.1\r\nHost: e2e\r\n\r\n"));
        client_read(&clients[i], &r, false, WAIT_MS);
        ck_assert_msg(r.kind == REPLY_OK && r.status == 200, "%d: %s %d", i, reply_kind_name(&r), r.status);
        reply_free(&r);
    }
    int open = 0;
    for (int i = 0; i < CLIENTS; i++) {
        open += client_fate(&clients[i], 0) == CLIENT_OPEN;
        ck_assert_msg(!clients[i].reset, "%d was reset", i);
        client_close(&clients[i]);
    }
    ck_assert_msg(open >= 1 && open <= WORKERS, "%d are still open", open); /* nobody waits for the last ones */
    /* The master and the process that waits for heads come on top; a sanitizer has threads of its own. */
    ck_assert(is_sanitized() || demo_threads(&demo) == 2 + WORKERS);
    expect_alive(demo.port, WAIT_MS);
    demo_stop(&demo, WAIT_MS);
}
END_TEST

static void add(Suite *s)
{
    TCase *t = e2e_case(s, "idle", 90);
    tcase_add_loop_test(t, idle_connections, 0, engine_count());
    tcase_add_loop_test(t, idle_ones_make_room, 0, engine_count());
}

int main(int argc, char **argv)
{
    return e2e_main_apart("idle", add, argc, argv);
}
