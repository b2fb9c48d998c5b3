/* SPDX-License-Identifier: MIT
 *
 * Connections that belong to a worker, or have been lent to it, when that worker dies, when there is a reload, and when all threads
 * are busy. The front of process-thread passes connections in three ways; the others have the transport of transport/rough.h too.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "e2e/crowd.h"

#define GET "GET / HTTP/1.1\r\nHost: e2e\r\n\r\n"

enum { PIDS_MAX = 64, CLIENTS = 6 };

struct way {
    const char *name, *lend;
    bool is_rough; /* a connection with that transport is a lease: a worker has it from its first byte on */
};

static const struct way ways[] = {
    { "lease", "lend=request", true },
    { "for a request", "lend=request", false },
    { "for life", "lend=connection", false },
};

static struct demo demo;
static const struct way *way;

static bool has_front(const char *engine)
{
    return strcmp(engine, "process-thread") == 0;
}

/* The engine of a test's number. NULL: only a front knows that way to lend. */
static const char *choose(int i)
{
    const char *engine = engine_name(i / (int)COUNT(ways));
    way = &ways[i % (int)COUNT(ways)];
    if (!way->is_rough && !has_front(engine))
        return NULL;
    if (way->is_rough)
        setenv("CONCUR_DEMO", ROUGH_DEMO, 1);
    return engine;
}

/* Does a worker keep what it got? */
static bool is_kept(void)
{
    return way->is_rough || strcmp(way->lend, "lend=connection") == 0;
}

/* ---- clients ---- */

static void send_get(struct client *c, const char *target)
{
    char request[128];
    snprintf(request, sizeof request, "GET %s HTTP/1.1\r\nHost: e2e\r\n\r\n", target);
    ck_assert(client_text(c, request));
}

static void expect_reply(struct client *c, struct reply *r, int status)
{
    client_read(c, r, false, WAIT_MS);
    ck_assert_msg(r->kind == REPLY_OK && r->status == status, "%s, %s: %s %d instead of %d%s", demo.engine, way->name,
                  reply_kind_name(r), r->status, status, demo_end());
}

static void expect_status(struct client *c, int status)
{
    struct reply r;
    expect_reply(c, &r, status);
    reply_free(&r);
}

/* Who has answered /whoami, or its generation. */
static long expect_number(struct client *c, const char *name)
{
    struct reply r;
    expect_reply(c, &r, 200);
    const long n = json_number(r.body, name);
    reply_free(&r);
    return n;
}

static void open_all(struct client *c, long *pids)
{
    for (int i = 0; i < CLIENTS; i++) {
        client_open(&c[i], demo.port);
        send_get(&c[i], "/whoami");
        pids[i] = expect_number(&c[i], "pid");
    }
}

static void close_all(struct client *c)
{
    for (int i = 0; i < CLIENTS; i++)
        client_close(&c[i]);
}

static void wait_requests(long long n)
{
    for (const int64_t deadline = now_ms() + slow(WAIT_MS); counter(demo.port, "requests") < n; nap_ms(5))
        ck_assert_int_lt(now_ms(), deadline);
}

/* ---- deaths ---- */

/* Where the connection went with its worker, the client sees its end. Else the front tells it, and the connection goes on. */
static bool is_lost(struct client *c, bool was_there)
{
    struct reply r;
    client_read(c, &r, false, WAIT_MS);
    const bool good = r.kind == REPLY_OK && r.status == 200, cut = r.kind == REPLY_NONE || r.kind == REPLY_RESET;
    const bool told = r.kind == REPLY_OK && r.status == 502;
    ck_assert_msg(good || (is_kept() ? cut : told), "%s, %s: %s %d", demo.engine, way->name, reply_kind_name(&r), r.status);
    ck_assert_msg(!is_kept() || good != was_there, "%s, %s: %s, of a worker that is %s", demo.engine, way->name,
                  reply_kind_name(&r), was_there ? "dead" : "alive");
    reply_free(&r);
    return !good;
}

/* Those who have not lost their connection are served on it, and there is room for as many again as have. */
static void expect_room(struct client *c, const bool *lost)
{
    for (int i = 0; i < CLIENTS; i++) {
        if (lost[i]) {
            client_close(&c[i]);
            client_open(&c[i], demo.port);
        }
        ck_assert(client_text(&c[i], GET));
        expect_status(&c[i], 200);
    }
    for (int i = 0; i < CLIENTS; i++)
        ck_assert_msg(client_fate(&c[i], 0) == CLIENT_OPEN, "%s, %s: had to make room", demo.engine, way->name);
}

/* Each connection has a request under way: the victim's clients lose theirs, and no more. */
START_TEST(a_worker_dies)
{
    struct client c[CLIENTS];
    long pids[CLIENTS];
    bool lost[CLIENTS];
    int count = 0;
    const char *engine = choose(_i);
    if (!engine || !has_workers(engine))
        return;
    demo_start(&demo, engine, "--workers", workers_for(engine, CLIENTS + 2), "--threads", "6", "--set", way->lend, "--set",
               "connections_max=7", NULL); /* one more, who asks how many requests have begun */
    open_all(c, pids);
    for (int i = 0; i < CLIENTS; i++)
        send_get(&c[i], "/sleep/1500");
    wait_requests(CLIENTS);
    demo_kill_process((pid_t)pids[0], WAIT_MS);
    for (int i = 0; i < CLIENTS; i++) {
        lost[i] = is_lost(&c[i], pids[i] == pids[0]);
        count += lost[i];
    }
    printf("%s, %s: %d of %d lost their request\n", engine, way->name, count, CLIENTS);
    ck_assert_int_gt(count, 0);
    ck_assert(!has_front(engine) || count <= CLIENTS / 2); /* it has given each worker as many */
    expect_room(c, lost);
    close_all(c);
    demo_stop(&demo, WAIT_MS);
}
END_TEST

static pid_t front_of_demo(void)
{
    pid_t pids[PIDS_MAX];
    ck_assert_int_ge(demo_pids(&demo, pids, PIDS_MAX), 4);
    return pids[1];
}

/* What a worker keeps goes on, and the next front knows of it. */
START_TEST(the_front_dies)
{
    struct client c[CLIENTS];
    long pids[CLIENTS];
    const char *engine = choose(_i);
    if (!engine || !has_front(engine) || !is_kept())
        return;
    demo_start(&demo, engine, "--threads", "6", "--set", way->lend, NULL);
    open_all(c, pids);
    for (int i = 0; i < CLIENTS; i += 2)
        send_get(&c[i], "/sleep/500");
    wait_requests(CLIENTS / 2);
    demo_kill_process(front_of_demo(), WAIT_MS);
    for (int i = 0; i < CLIENTS; i++) {
        if (i % 2 == 0)
            expect_status(&c[i], 200);
        send_get(&c[i], "/whoami");
        ck_assert_int_eq(expect_number(&c[i], "pid"), pids[i]);
    }
    expect_alive(demo.port, WAIT_MS);
    close_all(c);
    expect_balanced(demo.port, WAIT_MS);
    demo_stop(&demo, WAIT_MS);
}
END_TEST

/* ---- a reload ---- */

static void ask_reload(void)
{
    struct reply r;
    ask(demo.port, "POST /test/reload HTTP/1.1\r\nHost: e2e\r\nConnection: close\r\nContent-Length: 0\r\n\r\n", 202, &r);
    reply_free(&r);
}

static void wait_generation(long n)
{
    for (const int64_t deadline = now_ms() + slow(WAIT_MS);; nap_ms(5)) {
        struct client c;
        client_open(&c, demo.port);
        send_get(&c, "/whoami");
        const long generation = expect_number(&c, "generation");
        client_close(&c);
        if (generation == n)
            return;
        ck_assert_int_lt(now_ms(), deadline);
    }
}

static void wait_processes(int n)
{
    pid_t pids[PIDS_MAX];
    for (const int64_t deadline = now_ms() + slow(WAIT_MS); demo_pids(&demo, pids, PIDS_MAX) != n; nap_ms(5))
        ck_assert_msg(now_ms() < deadline, "%s, %s: %d processes, not %d", demo.engine, way->name,
                      demo_pids(&demo, pids, PIDS_MAX), n);
}

/* Replies of the old generation, the last of which says that it is. A front ends first: what its workers keep goes on until then. */
static void expect_last(struct client *c)
{
    bool is_last = false;
    for (const int64_t deadline = now_ms() + slow(WAIT_MS);;) {
        struct reply r;
        expect_reply(c, &r, 200);
        is_last = r.says_close;
        ck_assert_msg(!strstr(r.body, "generation") || json_number(r.body, "generation") == 1, "%s, %s: %s", demo.engine, way->name,
                      r.body);
        reply_free(&r);
        if (is_last)
            break;
        ck_assert_msg(now_ms() < deadline, "%s, %s: the connection stays", demo.engine, way->name);
        nap_ms(5);
        send_get(c, "/whoami");
    }
    ck_assert_int_eq(client_fate(c, WAIT_MS), CLIENT_EOF);
}

/* What is under way is answered by the generation that has it. So is the next request, on a connection that is idle or has not
 * sent a byte; and with that the old generation is done. */
START_TEST(a_reload)
{
    enum { SILENT, IDLE, UNDER_WAY, ALL };
    struct client c[ALL];
    pid_t pids[PIDS_MAX];
    const char *engine = choose(_i);
    if (!engine)
        return;
    demo_start(&demo, engine, "--unsafe", "--workers", workers_for(engine, ALL + 2), "--set", "master=on", "--set", way->lend, "--set",
               "drain_idle=1m", "--set", "stop_timeout=1m", NULL);
    for (int i = 0; i < ALL; i++) {
        client_open(&c[i], demo.port);
        if (i != SILENT) {
            send_get(&c[i], "/whoami");
            ck_assert_int_eq(expect_number(&c[i], "generation"), 1);
        }
    }
    const int processes = demo_pids(&demo, pids, PIDS_MAX);
    send_get(&c[UNDER_WAY], "/sleep/1500");
    wait_requests(1);
    ask_reload();
    wait_generation(2);
    for (int i = 0; i < ALL; i++) {
        if (i != UNDER_WAY)
            send_get(&c[i], "/whoami");
        expect_last(&c[i]);
        client_close(&c[i]);
    }
    wait_processes(processes);
    expect_balanced(demo.port, WAIT_MS);
    demo_stop(&demo, WAIT_MS);
}
END_TEST

/* ---- threads that are busy ---- */

enum { HOLDER = CLIENTS - 1 }; /* the last one served, who may have the thread still */

/* Everybody has a connection, and the holder has the only thread, until it sends its body. */
static bool hold_thread(int i, const char *key_value, struct client *c)
{
    long pids[CLIENTS];
    const char *engine = choose(i);
    if (!engine || !has_threads(engine))
        return false;
    demo_start(&demo, engine, "--workers", "1", "--threads", "1", "--set", way->lend, "--set", key_value, NULL);
    open_all(c, pids);
    ck_assert(client_text(&c[HOLDER], "POST /echo HTTP/1.1\r\nHost: e2e\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n"));
    ck_assert(client_wait_bytes(&c[HOLDER], 1, WAIT_MS));
    return true;
}

static void ask_others(struct client *c)
{
    for (int i = 0; i < HOLDER; i++)
        send_get(&c[i], "/sleep/1");
}

/* It goes on, and nobody need wait any more. */
static void end_hold(struct client *c)
{
    struct reply r;
    ck_assert(client_text(&c[HOLDER], "abcd"));
    expect_reply(&c[HOLDER], &r, 200);
    ck_assert_int_eq(r.continues, 1);
    ck_assert_str_eq(r.body, "abcd");
    reply_free(&r);
    ck_assert(client_text(&c[HOLDER], GET));
    expect_status(&c[HOLDER], 200);
}

/* So many handlers have been called: the holder's, and those of who has waited and was served. */
static void end_all(struct client *c, long long requests)
{
    close_all(c);
    ck_assert_int_eq(counter(demo.port, "requests"), requests);
    expect_balanced(demo.port, WAIT_MS);
    demo_stop(&demo, WAIT_MS);
}

static void expect_refusal(struct client *c)
{
    struct reply r;
    size_t n;
    expect_reply(c, &r, 503);
    ck_assert_msg(reply_field(&r, "Retry-After", &n) != NULL, "%s", r.head);
    reply_free(&r);
}

static int count_answered(struct client *c, bool *is)
{
    int n = 0;
    for (int i = 0; i < HOLDER; i++) {
        is[i] = client_fate(&c[i], 0) == CLIENT_BYTES;
        n += is[i];
    }
    return n;
}

/* As many as may wait do, and the others are told at once. */
START_TEST(too_many_wait)
{
    enum { ROOM = 2 };
    struct client c[CLIENTS];
    bool is_refused[HOLDER];
    if (!hold_thread(_i, "queue_max=2", c))
        return;
    ask_others(c);
    for (const int64_t deadline = now_ms() + slow(WAIT_MS); count_answered(c, is_refused) < HOLDER - ROOM; nap_ms(2))
        ck_assert_msg(now_ms() < deadline, "%s, %s: %d refused", demo.engine, way->name, count_answered(c, is_refused));
    end_hold(c);
    for (int i = 0; i < HOLDER; i++) {
        if (is_refused[i])
            expect_refusal(&c[i]);
        else
            expect_status(&c[i], 200);
    }
    end_all(c, ROOM + 1);
}
END_TEST

/* Who has waited for so long is told so while the thread is still busy, and is not served afterwards. */
START_TEST(too_long_a_wait)
{
    enum { TIMEOUT = 300 };
    struct client c[CLIENTS];
    if (!hold_thread(_i, "queue_timeout=300ms", c))
        return;
    const int64_t begun = now_ms();
    ask_others(c);
    for (int i = 0; i < HOLDER; i++) {
        expect_refusal(&c[i]);
        ck_assert_int_ge(now_ms() - begun, TIMEOUT);
    }
    end_hold(c);
    end_all(c, 1);
}
END_TEST

static void add(Suite *s)
{
    const int all = engine_count() * (int)COUNT(ways);
    TCase *t = e2e_case(s, "leases", 60);
    tcase_add_loop_test(t, a_worker_dies, 0, all);
    tcase_add_loop_test(t, the_front_dies, 0, all);
    tcase_add_loop_test(t, a_reload, 0, all);
    tcase_add_loop_test(t, too_many_wait, 0, all);
    tcase_add_loop_test(t, too_long_a_wait, 0, all);
}

int main(int argc, char **argv)
{
    return e2e_main_apart("leases", add, argc, argv);
}
