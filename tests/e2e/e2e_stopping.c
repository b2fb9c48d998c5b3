/* SPDX-License-Identifier: MIT
 *
 * Handlers learn that a stop has begun, and come to their end: by a function of theirs or by asking, on a loop, on threads of
 * the pool, on threads that turn a loop of their own; when the server stops, when a reload replaces the process, and when it
 * has served its share of requests.
 */
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "e2e/client.h"
#include "e2e/harness.h"

static struct demo demo;
static char path[] = "/tmp/concur-stopping-XXXXXX";

struct way {
    const char *target, *end; /* what the reply's body ends with */
    int status;
};

static const struct way ways[] = {
    { "/test/stop/ticket", "told 2\n", 200 },      { "/test/stop-away/ticket", "told 2\n", 200 },
    { "/test/stop/timers", "asked, told 2\n", 200 }, { "/test/stop-away/timers", "asked, told 2\n", 200 },
    { "/test/stop/stream", "tick\nbye 2\n", 200 },   { "/test/stop-away/stream", "tick\nbye 2\n", 200 },
    { "/test/stop/status", "", 503 },              { "/test/stop-away/status", "", 503 },
    { "/test/stop-declined", "told 2\n", 200 },
};

static const struct way holder = { "/test/stop/handler", "asked, told 0\n", 200 },
                        holder_away = { "/test/stop-away/handler", "asked, told 0\n", 200 };

enum { WAYS = COUNT(ways) };

static void send_get(struct client *c, const char *target)
{
    char request[128];
    snprintf(request, sizeof request, "GET %s HTTP/1.1\r\nHost: e2e\r\n\r\n", target);
    ck_assert(client_text(c, request));
}

static void begin(struct client *c, const struct way *way)
{
    client_open(c, demo.port);
    send_get(c, way->target);
}

static void expect_end(struct client *c, const struct way *way)
{
    struct reply r;
    client_read(c, &r, false, WAIT_MS);
    const size_t n = strlen(way->end);
    ck_assert_msg(r.kind == REPLY_OK && r.status == way->status, "%s: %s: %s %d", demo.engine, way->target,
                  reply_kind_name(&r), r.status);
    ck_assert_msg(r.body_len >= n && (r.status != 200 || strcmp(r.body + r.body_len - n, way->end) == 0), "%s: %s: %s",
                  demo.engine, way->target, r.body);
    reply_free(&r);
    client_close(c);
}

static void wait_requests(long long n)
{
    for (int64_t deadline = now_ms() + slow(WAIT_MS); counter(demo.port, "requests") < n; nap_ms(5))
        ck_assert_int_lt(now_ms(), deadline);
}

static bool in_place(int variant)
{
    return has_loop(variant_engine(variant)) && strcmp(variant_pool(variant), "0") == 0;
}

/* Threads for all of the blocking ways at once. */
static const char *pool_of(int variant)
{
    return strcmp(variant_pool(variant), "0") == 0 ? "0" : "8";
}

START_TEST(the_server_stops)
{
    struct client clients[WAYS], held, late;
    demo_start(&demo, variant_engine(_i), "--pool", pool_of(_i), "--threads", "20", "--workers",
               workers_for(variant_engine(_i), WAYS + 4), "--set", "stop_timeout=1m", "--set", "drain_idle=1m", NULL);
    for (int i = 0; i < WAYS; i++)
        begin(&clients[i], &ways[i]);
    client_open(&late, demo.port);
    send_get(&late, "/");
    expect_end(&late, &(struct way){ "/", "Hello, World!", 200 });
    client_open(&late, demo.port); /* idle when the stop begins */
    send_get(&late, "/hello/x");
    ck_assert(client_wait_bytes(&late, 100, WAIT_MS));
    wait_requests(WAYS);
    if (!in_place(_i)) {
        begin(&held, &holder_away);
        wait_requests(WAYS + 1);
    }
    demo_signal(&demo, SIGTERM);
    for (int i = 0; i < WAYS; i++)
        expect_end(&clients[i], &ways[i]);
    if (!in_place(_i))
        expect_end(&held, &holder_away);
    /* One who asks when it has begun is told at once. */
    struct reply r;
    client_read(&late, &r, false, WAIT_MS);
    reply_free(&r);
    send_get(&late, ways[0].target);
    expect_end(&late, &ways[0]);
    ck_assert_int_eq(demo_wait(&demo, WAIT_MS), 0);
}
END_TEST

/* A handler that holds its loop, its thread or its process hears of it by asking. */
START_TEST(a_handler_that_holds_on)
{
    struct client held, other;
    demo_start(&demo, variant_engine(_i), "--pool", pool_of(_i), "--threads", "1", "--workers", "1", "--set",
               "stop_timeout=1m", NULL);
    begin(&held, &holder);
    client_open(&other, demo.port);
    for (bool holds = false; !holds;) { /* nobody else is served */
        struct pollfd p = { .fd = other.fd, .events = POLLIN };
        send_get(&other, "/");
        holds = poll(&p, 1, (int)slow(200)) == 0;
        if (!holds) {
            struct reply r;
            client_read(&other, &r, false, WAIT_MS);
            ck_assert_msg(r.kind == REPLY_OK && !r.says_close, "%s", reply_kind_name(&r));
            reply_free(&r);
        }
    }
    demo_signal(&demo, SIGTERM);
    expect_end(&held, &holder);
    client_close(&other);
    ck_assert_int_eq(demo_wait(&demo, WAIT_MS), 0);
}
END_TEST

static void set_up(void)
{
    int fd = mkstemp(path);
    ck_assert_int_ge(fd, 0);
    close(fd);
}

static void tear_down(void)
{
    unlink(path);
    memcpy(path + sizeof path - 7, "XXXXXX", 6);
}

static void check_counts(long long declined)
{
    expect_balanced(demo.port, WAIT_MS);
    ck_assert_int_eq(counter(demo.port, "misuse"), 0);
    ck_assert_int_eq(counter(demo.port, "cancelled"), 0);
    ck_assert_int_eq(counter(demo.port, "gone_seen"), declined); /* the functions of handlers that declined */
}

/* The processes of the old generation stop, those of the new one do not. */
START_TEST(a_reload_replaces_the_process)
{
    struct client clients[WAYS], held;
    struct reply r;
    demo_start(&demo, variant_engine(_i), "--pool", pool_of(_i), "--threads", "20", "--workers",
               workers_for(variant_engine(_i), WAYS + 4), "--unsafe", "--set", "master=on", "--set", "stop_timeout=1m",
               "--config", path, NULL);
    for (int round = 0; round < 2; round++) {
        const long long before = counter(demo.port, "requests");
        for (int i = 0; i < WAYS; i++)
            begin(&clients[i], &ways[i]);
        wait_requests(before + WAYS);
        const struct way *way = in_place(_i) ? NULL : round && !has_loop(demo.engine) ? &holder : &holder_away;
        if (way) { /* in place it would hold the loop that is to hear of the reload */
            begin(&held, way);
            wait_requests(before + WAYS + 1);
        }
        ask(demo.port, "POST /test/reload HTTP/1.1\r\nHost: e2e\r\nConnection: close\r\nContent-Length: 0\r\n\r\n", 202, &r);
        reply_free(&r);
        for (int i = 0; i < WAYS; i++)
            expect_end(&clients[i], &ways[i]);
        if (way)
            expect_end(&held, way);
    }
    check_counts(2);
    demo_stop(&demo, WAIT_MS);
}
END_TEST

/* A worker that has served its share finishes what it has, and is replaced. */
START_TEST(a_worker_has_served_its_share)
{
    enum { SHARE = 200 };
    struct client clients[WAYS];
    if (is_one_connection_a_worker(variant_engine(_i)))
        return; /* such a worker first serves its connection to the end */
    demo_start(&demo, variant_engine(_i), "--pool", pool_of(_i), "--threads", "20", "--set", "master=on", "--set",
               "stop_timeout=1m", "--set", "requests_per_worker=200", NULL); /* SHARE */
    for (int i = 0; i < WAYS; i++)
        begin(&clients[i], &ways[i]);
    wait_requests(WAYS);
    for (int i = 0; i < WAYS; i++) {
        for (int64_t deadline = now_ms() + slow(2 * WAIT_MS);;) {
            struct pollfd p = { .fd = clients[i].fd, .events = POLLIN };
            const bool streams = strstr(ways[i].target, "stream") != NULL;
            if (!streams && poll(&p, 1, 0) == 1)
                break;
            if (streams && i + 1 < WAYS) /* the next one is of the same worker, or of the other */
                break;
            ck_assert_msg(now_ms() < deadline, "%s: %s is not told", demo.engine, ways[i].target);
            expect_alive(demo.port, WAIT_MS);
        }
        if (!strstr(ways[i].target, "stream"))
            expect_end(&clients[i], &ways[i]);
    }
    if (workers_usually(variant_engine(_i)) > 1) /* nothing shows that a stream's worker is not done yet: enough for both */
        for (int n = 0; n < 3 * SHARE; n++)
            expect_alive(demo.port, WAIT_MS);
    for (int i = 0; i < WAYS; i++)
        if (strstr(ways[i].target, "stream"))
            expect_end(&clients[i], &ways[i]);
    check_counts(1);
    demo_stop(&demo, WAIT_MS);
}
END_TEST

static void add(Suite *s)
{
    TCase *t = e2e_case(s, "stopping", 60), *u = e2e_case(s, "reload", 60);
    const int n = variant_count();
    tcase_add_loop_test(t, the_server_stops, 0, n);
    tcase_add_loop_test(t, a_handler_that_holds_on, 0, n);
    tcase_add_loop_test(t, a_worker_has_served_its_share, 0, n);
    tcase_add_checked_fixture(u, set_up, tear_down);
    tcase_add_loop_test(u, a_reload_replaces_the_process, 0, n);
}

int main(int argc, char **argv)
{
    return e2e_main_apart("stopping", add, argc, argv);
}
