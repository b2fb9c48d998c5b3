/* SPDX-License-Identifier: MIT
 *
 * SIGTERM at every kind of moment: what is in flight is answered, what is idle does not hold up the end, a second one
 * ends at once; always with status 0.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "e2e/client.h"
#include "e2e/harness.h"

static struct demo demo;

/* connections: that are held at once. */
static void start(int variant, unsigned connections, const char *key_value)
{
    const char *engine = variant_engine(variant);
    demo_start(&demo, engine, "--pool", variant_pool(variant), "--set", key_value, "--set", "linger_timeout=300ms",
               "--workers", workers_for(engine, connections), NULL);
}

/* Each takes a process where a connection has a worker for itself. */
static int clients_for(int variant, int n)
{
    return is_one_connection_a_worker(variant_engine(variant)) && is_sanitized() ? 16 : n;
}

static void send_get(struct client *c, const char *target)
{
    char request[128];
    snprintf(request, sizeof request, "GET %s HTTP/1.1\r\nHost: e2e\r\n\r\n", target);
    ck_assert(client_text(c, request));
}

static void expect_reply(struct client *c, const char *body)
{
    struct reply r;
    client_read(c, &r, false, WAIT_MS);
    ck_assert_msg(r.kind == REPLY_OK && r.status == 200, "%s %d", reply_kind_name(&r), r.status);
    if (body)
        ck_assert_str_eq(r.body, body);
    reply_free(&r);
}

static void wait_requests(long long n)
{
    for (int64_t deadline = now_ms() + slow(WAIT_MS); counter(demo.port, "requests") < n; nap_ms(5))
        ck_assert_int_lt(now_ms(), deadline);
}

static void end(void)
{
    int status = demo_wait(&demo, WAIT_MS);
    ck_assert_msg(status == 0, "%s: exit status %d", demo.engine, status);
}

START_TEST(in_flight)
{
    static struct client clients[200];
    const int count = clients_for(_i, COUNT(clients));
    start(_i, (unsigned)count + 2, "threads_max=210");
    for (int i = 0; i < count; i++) {
        client_open(&clients[i], demo.port);
        send_get(&clients[i], "/sleep/500");
    }
    wait_requests(count);
    demo_signal(&demo, SIGTERM);
    for (int i = 0; i < count; i++) {
        expect_reply(&clients[i], "slept 500 ms\n");
        ck_assert_int_eq(client_fate(&clients[i], WAIT_MS), CLIENT_EOF);
        client_close(&clients[i]);
    }
    end();
}
END_TEST

/* One who never pauses is told with the next reply, and holds up nothing. */
START_TEST(a_busy_connection)
{
    struct client c;
    struct reply r;
    bool last = false;
    const char *engine = variant_engine(_i);
    demo_start(&demo, engine, "--pool", variant_pool(_i), "--workers", workers_for(engine, 2), "--set", "stop_timeout=60s", "--set",
               "drain_idle=1m", NULL); /* on a busy machine it pauses */
    client_open(&c, demo.port);
    send_get(&c, "/");
    expect_reply(&c, "Hello, World!");
    demo_signal(&demo, SIGTERM);
    for (const int64_t deadline = now_ms() + slow(WAIT_MS); !last;) {
        send_get(&c, "/");
        client_read(&c, &r, false, WAIT_MS);
        ck_assert_msg(r.kind == REPLY_OK && r.status == 200, "%s %d", reply_kind_name(&r), r.status);
        ck_assert_msg(now_ms() < deadline, "%s: not told", demo.engine);
        last = r.says_close;
        reply_free(&r);
    }
    ck_assert_int_eq(client_fate(&c, WAIT_MS), CLIENT_EOF);
    client_close(&c);
    end();
}
END_TEST

START_TEST(in_flight_elsewhere)
{
    static const char *const targets[] = { "/offload/400", "/test/ticket/400", "/test/after-offload",
                                           "/test/await/400" };
    struct client clients[COUNT(targets)];
    start(_i, COUNT(targets) + 2, "drain_idle=1s");
    const bool in_place = has_loop(demo.engine) && strcmp(variant_pool(_i), "0") == 0;
    for (size_t i = in_place; i < COUNT(targets); i++) {
        client_open(&clients[i], demo.port);
        send_get(&clients[i], targets[i]);
    }
    wait_requests((long long)COUNT(targets) - in_place);
    demo_signal(&demo, SIGTERM);
    for (size_t i = in_place; i < COUNT(targets); i++) {
        expect_reply(&clients[i], NULL);
        client_close(&clients[i]);
    }
    end();
}
END_TEST

START_TEST(idle_ones_do_not_hold)
{
    enum { CLIENTS = 20 };
    struct client clients[CLIENTS];
    start(_i, CLIENTS, "drain_idle=300ms");
    const long files = demo_files(&demo);
    for (int i = 0; i < CLIENTS; i++) {
        client_open(&clients[i], demo.port);
        if (i % 2 == 0) { /* the others have said nothing yet */
            send_get(&clients[i], "/");
            expect_reply(&clients[i], "Hello, World!");
        }
    }
    for (int64_t deadline = now_ms() + slow(WAIT_MS); demo_files(&demo) < files + CLIENTS; nap_ms(5))
        ck_assert_msg(now_ms() < deadline, "not all are accepted");
    const int64_t begun = now_ms();
    demo_signal(&demo, SIGTERM);
    for (int i = 0; i < CLIENTS; i++)
        ck_assert_int_eq(client_fate(&clients[i], WAIT_MS), CLIENT_EOF);
    end(); /* though the clients have not closed: lingering ends with the stop */
    ck_assert_int_lt(now_ms() - begun, slow(4000));
    for (int i = 0; i < CLIENTS; i++)
        client_close(&clients[i]);
}
END_TEST

/* A connection that idles when the stop begins may send one more request, and is told that it was the last. */
START_TEST(last_request)
{
    struct client c;
    struct reply r = { .kind = REPLY_OK };
    start(_i, 2, "drain_idle=5s");
    client_open(&c, demo.port);
    send_get(&c, "/");
    expect_reply(&c, "Hello, World!");
    demo_signal(&demo, SIGTERM);
    for (bool last = false; !last;) {
        send_get(&c, "/hello/again");
        client_read(&c, &r, false, WAIT_MS);
        ck_assert_msg(r.kind == REPLY_OK && r.status == 200, "%s %d", reply_kind_name(&r), r.status);
        last = r.says_close;
        reply_free(&r);
    }
    ck_assert_int_eq(client_fate(&c, WAIT_MS), CLIENT_EOF);
    client_close(&c);
    end();
}
END_TEST

START_TEST(streaming)
{
    enum { LENGTH = 20000000 };
    struct client c;
    struct reply r;
    start(_i, 2, "drain_idle=1s");
    client_open_small(&c, demo.port, 65536);
    send_get(&c, "/bytes/20000000");
    ck_assert(client_wait_bytes(&c, 1000, WAIT_MS));
    demo_signal(&demo, SIGTERM);
    client_read(&c, &r, false, 20000);
    ck_assert_msg(r.kind == REPLY_OK && r.body_len == LENGTH, "%s, %zu bytes", reply_kind_name(&r), r.body_len);
    reply_free(&r);
    client_close(&c);
    end();
}
END_TEST

/* The second signal waits for nobody: clients see an end that is no success, and soon. */
START_TEST(second_signal)
{
    struct client waiting, stuck, silent;
    struct reply r;
    start(_i, 5, "drain_idle=1m");
    client_open(&waiting, demo.port);
    send_get(&waiting, "/sleep/60000");
    client_open_small(&stuck, demo.port, 16384);
    send_get(&stuck, "/bytes/50000000");
    client_open(&silent, demo.port);
    wait_requests(2);
    const int64_t begun = now_ms();
    demo_signal(&demo, SIGTERM);
    for (int64_t until = now_ms() + 200; now_ms() < until; nap_ms(20))
        ck_assert_msg(demo_is_alive(&demo), "ended on the first");
    demo_signal(&demo, SIGTERM);
    end();
    ck_assert_int_lt(now_ms() - begun, slow(5000));
    client_read(&waiting, &r, false, WAIT_MS);
    ck_assert_msg(r.kind != REPLY_TIMEOUT && (r.kind != REPLY_OK || r.status == 503), "%s %d", reply_kind_name(&r),
                  r.status);
    reply_free(&r);
    client_read(&stuck, &r, false, WAIT_MS);
    ck_assert_msg(r.kind == REPLY_TRUNCATED || r.kind == REPLY_RESET, "%s", reply_kind_name(&r));
    reply_free(&r);
    client_close(&waiting);
    client_close(&stuck);
    client_close(&silent);
}
END_TEST

/* Stops at random moments while clients come and go. */
START_TEST(at_any_moment)
{
    enum { CLIENTS = 20 };
    uint64_t seed = 7 + (uint64_t)_i;
    const int rounds = is_quick() ? 5 : 10;
    for (int round = 0; round < rounds; round++) {
        struct client clients[CLIENTS];
        start(_i, 8, "drain_idle=100ms");
        for (int i = 0; i < CLIENTS; i++) {
            client_open(&clients[i], demo.port);
            send_get(&clients[i], i % 3 == 0 ? "/" : i % 3 == 1 ? "/sleep/20" : "/test/ticket/10");
        }
        nap_ms((unsigned)(random_next(&seed) % 25));
        demo_signal(&demo, SIGTERM);
        for (int i = 0; i < CLIENTS; i += 2)
            client_close(&clients[i]);
        end();
        for (int i = 1; i < CLIENTS; i += 2)
            client_close(&clients[i]);
    }
}
END_TEST

static void add(Suite *s)
{
    TCase *t = e2e_case(s, "stop", 60);
    tcase_add_loop_test(t, in_flight, 0, variant_count());
    tcase_add_loop_test(t, a_busy_connection, 0, variant_count());
    tcase_add_loop_test(t, in_flight_elsewhere, 0, variant_count());
    tcase_add_loop_test(t, idle_ones_do_not_hold, 0, variant_count());
    tcase_add_loop_test(t, last_request, 0, variant_count());
    tcase_add_loop_test(t, streaming, 0, variant_count());
    tcase_add_loop_test(t, second_signal, 0, variant_count());
    tcase_add_loop_test(t, at_any_moment, 0, variant_count());
}

int main(int argc, char **argv)
{
    return e2e_main_apart("stop", add, argc, argv);
}
