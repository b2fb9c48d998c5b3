/* SPDX-License-Identifier: MIT
 *
 * What the server says of its threads while requests wait, and what its own numbers say: those of the status, those of the
 * front and its workers.
 */
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "e2e/client.h"
#include "e2e/inside.h"
#include "e2e/storm.h"
#include "engines/engine.h"

static struct inside in;

static bool has_front(const char *engine)
{
    return strcmp(engine, "process-thread") == 0;
}

static void send_get(struct client *c, const char *target)
{
    char request[128];
    client_open(c, in.port);
    snprintf(request, sizeof request, "GET %s HTTP/1.1\r\nHost: e2e\r\n\r\n", target);
    ck_assert(client_text(c, request));
}

static int read_status(struct client *c)
{
    struct reply r;
    client_read(c, &r, false, WAIT_MS);
    const int status = r.kind == REPLY_OK ? r.status : -(int)r.kind;
    reply_free(&r);
    return status;
}

static void wait_status(const char *name, long is)
{
    for (const int64_t deadline = now_ms() + slow(WAIT_MS); inside_status(&in, name) != is; nap_ms(5))
        ck_assert_msg(now_ms() < deadline, "%s: %s is %ld, not %ld", in.engine, name, inside_status(&in, name), is);
}

/* ---- the status ---- */

/* A connection counts once, wherever it is; and when nothing is done any more, nothing is said to be. */
static void expect_counts(const char *engine, const char *lend)
{
    enum { CLIENTS = 6 };
    struct client c[CLIENTS];
    inside_start(&in, engine, "master", "on", "workers", "2", "lend", lend, NULL);
    for (int i = 0; i < CLIENTS; i++)
        send_get(&c[i], "/block/400");
    wait_status("connections", CLIENTS);
    for (int i = 0; i < CLIENTS; i++)
        ck_assert_int_eq(read_status(&c[i]), 200);
    wait_status("queued", 0);
    wait_status("connections", CLIENTS);
    wait_status("requests", CLIENTS);
    for (int i = 0; i < CLIENTS; i++)
        client_close(&c[i]);
    wait_status("connections", 0);
    inside_stop(&in);
}

START_TEST(each_counts_once)
{
    const char *engine = engine_name(_i);
    if (is_one_connection_a_worker(engine))
        return;
    expect_counts(engine, "request");
    if (has_front(engine))
        expect_counts(engine, "connection");
}
END_TEST

/* ---- what is said ---- */

/* All threads are held: how many wait, and which option says how many there are. */
START_TEST(all_threads_are_held)
{
    enum { HELD = 2, WAITING = 3 };
    const char *engine = engine_name(_i);
    struct client c[HELD + WAITING];
    const bool pool = has_loop(engine);
    if (!has_threads(engine) && !pool)
        return;
    inside_start(&in, engine, "workers", "1", "threads_max", "2", "pool_threads", pool ? "2" : "0", NULL);
    for (int i = 0; i < HELD + WAITING; i++) {
        send_get(&c[i], "/block/2500");
        nap_ms(10); /* so that the first ones have a thread */
    }
    ck_assert(inside_said(&in, pool ? "(pool_threads)" : "(threads_max)", 2400));
    ck_assert(inside_said(&in, "3 requests wait for one", 2400));
    for (int i = 0; i < HELD + WAITING; i++) {
        ck_assert_int_eq(read_status(&c[i]), 200);
        client_close(&c[i]);
    }
    inside_stop(&in);
}
END_TEST

/* And when there is no room to wait, that too. */
START_TEST(one_is_refused)
{
    const char *engine = engine_name(_i);
    struct client c[2];
    const bool pool = has_loop(engine);
    if (!has_threads(engine) && !pool)
        return;
    inside_start(&in, engine, "workers", "1", "threads_max", "1", "pool_threads", pool ? "1" : "0", "queue_max", "0",
                 "pool_queue_max", "0", NULL);
    send_get(&c[0], "/block/1500");
    nap_ms(100);
    send_get(&c[1], "/block/1");
    ck_assert_int_eq(read_status(&c[1]), 503);
    ck_assert(inside_said(&in, "refused", 1000));
    ck_assert_int_eq(read_status(&c[0]), 200);
    client_close(&c[0]);
    client_close(&c[1]);
    inside_stop(&in);
}
END_TEST

/* No thread can be started for a while: that is said, on every engine that has some, and is over when they can. */
START_TEST(no_thread_can_be_had)
{
    enum { AT_ONCE = 3 };
    const char *engine = engine_name(_i);
    struct client c[AT_ONCE];
    const bool pool = has_loop(engine);
    if ((!has_threads(engine) && !pool) || is_sanitized())
        return;
    inside_start(&in, engine, "master", "on", "workers", "1", "threads_max", "4", "pool_threads", pool ? "4" : "0", "thread_stack",
                 "64m", NULL);
    const pid_t worker = inside_worker(&in, 0).pid;
    send_get(&c[0], "/sick/threads");
    ck_assert_int_eq(read_status(&c[0]), 200);
    client_close(&c[0]);
    for (int i = 0; i < AT_ONCE; i++)
        send_get(&c[i], "/block/300");
    ck_assert(inside_said(&in, "a thread cannot be started", 2000));
    for (int i = 0; i < AT_ONCE; i++) {
        const int status = read_status(&c[i]);
        ck_assert_msg(status == 200 || status == 503, "%d", status);
        client_close(&c[i]);
    }
    inside_heal(worker);
    for (int i = 0; i < AT_ONCE; i++)
        send_get(&c[i], "/block/300");
    const int64_t begun = now_ms();
    for (int i = 0; i < AT_ONCE; i++) {
        ck_assert_int_eq(read_status(&c[i]), 200);
        client_close(&c[i]);
    }
    ck_assert_int_lt(now_ms() - begun, slow(850)); /* each had a thread of its own */
    inside_stop(&in);
}
END_TEST

/* ---- sick workers ---- */

/* More at a time than one thread of the sick worker and all of the other one can serve. */
static void ask_for_all_threads(const char *how)
{
    static struct client c[6];
    for (size_t i = 0; i < COUNT(c); i++)
        send_get(&c[i], "/block/100");
    for (size_t i = 0; i < COUNT(c); i++) {
        ck_assert_msg(read_status(&c[i]) == 200, "%s: request %zu of %zu", how, i, COUNT(c));
        client_close(&c[i]);
    }
}

/* One worker is sick: the others answer everybody, and it makes room for one that is well. */
START_TEST(a_sick_worker)
{
    static const struct {
        const char *how, *line;
        bool is_replaced; /* else it can still do something, or the end of its loop is not this test's */
    } rows[] = {
        { "/sick/link", "link to the front", true },
        { "/sick/files", "no descriptor, memory or thread", true },
        { "/sick/threads", "a thread cannot be started", false },
        { "/sick/epoll", NULL, false },
    };
    const size_t row = (size_t)_i % COUNT(rows);
    struct client c;
    if (is_sanitized() && strcmp(rows[row].how, "/sick/threads") == 0)
        return; /* a sanitizer's maps are larger than any limit */
    inside_start(&in, "process-thread", "workers", "2", "threads_max", "4", "thread_stack", "64m", NULL);
    const pid_t before[2] = { inside_worker(&in, 0).pid, inside_worker(&in, 1).pid };
    send_get(&c, rows[row].how);
    ck_assert_int_eq(read_status(&c), 200);
    client_close(&c);
    if (strcmp(rows[row].how, "/sick/threads") == 0)
        ask_for_all_threads(rows[row].how);
    bool is_replaced = false;
    const int64_t begun = now_ms();
    while (!is_replaced && now_ms() - begun < slow(5000)) {
        const int64_t asked = now_ms();
        send_get(&c, "/");
        ck_assert_int_eq(read_status(&c), 200);
        client_close(&c);
        ck_assert_msg(now_ms() - asked < slow(1500), "%s: a request took %lld ms", rows[row].how, (long long)(now_ms() - asked));
        struct inside_process all[16];
        const int n = inside_look(&in, all, 16);
        int well = 0, old = 0;
        for (int i = 0; i < n; i++) {
            well += all[i].role == CNC_ROLE_WORKER && all[i].lendable > 0;
            old += all[i].pid == before[0] || all[i].pid == before[1];
        }
        is_replaced = well == 2 && old == 1;
        inside_hear(&in);
    }
    ck_assert_msg(!rows[row].line || inside_said(&in, rows[row].line, 1000), "%s: %s", rows[row].how, in.log ? in.log : "");
    printf("%s: %s after %lld ms\n", rows[row].how, is_replaced ? "replaced" : "still there", (long long)(now_ms() - begun));
    ck_assert_msg(is_replaced || !rows[row].is_replaced, "%s", rows[row].how);
    inside_stop(&in);
}
END_TEST

/* A front that is stopped is told nothing, and nothing waits for it: all threads are free again. */
START_TEST(a_front_that_does_not_listen)
{
    enum { MANY = 400 };
    static struct client c[MANY];
    if (is_quick())
        return;
    inside_start(&in, "process-thread", "workers", "1", "threads_max", "400", "thread_stack", "64k", NULL);
    for (int i = 0; i < MANY; i++)
        send_get(&c[i], "/block/500");
    while (inside_worker(&in, 0).free > 0)
        nap_ms(5);
    ck_assert_int_eq(kill(inside_front(&in), SIGSTOP), 0);
    const int64_t begun = now_ms();
    for (int i = 0; i < MANY; i++)
        ck_assert_int_eq(read_status(&c[i]), 200);
    while (inside_worker(&in, 0).free < MANY) {
        ck_assert_msg(now_ms() - begun < slow(1800), "%u of %d are free", inside_worker(&in, 0).free, MANY);
        nap_ms(5);
    }
    (void)kill(inside_front(&in), SIGCONT);
    for (int i = 0; i < MANY; i++)
        client_close(&c[i]);
    while (inside_worker(&in, 0).lendable < MANY) {
        ck_assert_int_lt(now_ms() - begun, slow(WAIT_MS));
        nap_ms(5);
    }
    inside_stop(&in);
}
END_TEST

/* ---- everything at once ---- */

START_TEST(a_storm)
{
    storm_run(_i ? "connection" : "request", storm_seconds(5));
}
END_TEST

static void add(Suite *s)
{
    TCase *t = e2e_case(s, "inside", 60 + (unsigned)storm_seconds(5));
    tcase_add_loop_test(t, each_counts_once, 0, engine_count());
    tcase_add_loop_test(t, all_threads_are_held, 0, engine_count());
    tcase_add_loop_test(t, one_is_refused, 0, engine_count());
    tcase_add_loop_test(t, no_thread_can_be_had, 0, engine_count());
    tcase_add_loop_test(t, a_sick_worker, 0, 4);
    tcase_add_test(t, a_front_that_does_not_listen);
    tcase_add_loop_test(t, a_storm, 0, 2);
}

int main(int argc, char **argv)
{
    return e2e_main("inside", add, argc, argv);
}
