/* SPDX-License-Identifier: MIT
 *
 * What greedy peers can make the server spend: memory, descriptors, queues, processor time.
 */
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "e2e/crowd.h"

#define GET "GET / HTTP/1.1\r\nHost: e2e\r\n\r\n"

static struct demo demo;

/* Sanitizers keep freed memory: there the numbers say nothing. */
static void expect_memory(long before_kib, long most_kib)
{
    const long delta = demo_memory_kib(&demo) - before_kib;
    ck_assert_msg(is_sanitized() || delta < most_kib, "%s: grew by %ld KiB", demo.engine, delta);
}

/* Clients that ask for much and read nothing: each holds the high mark and what goes with it, no more. */
START_TEST(clients_that_do_not_read)
{
    enum { EACH_KIB = 256 + 192, SLACK_KIB = 8192 };
    static const char *const targets[] = { "/bytes/5000000", "/stream/1000000", "/test/pull/5000000" };
    static struct client clients[100];
    char request[128];
    const char *engine = engine_name(_i);
    const int count = is_one_connection_a_worker(engine) && is_sanitized() ? 16 : COUNT(clients);
    demo_start(&demo, engine, "--threads", "128", "--workers", workers_for(engine, (unsigned)count + 2), NULL);
    expect_alive(demo.port, WAIT_MS);
    const long before = demo_memory_kib(&demo);
    for (size_t t = 0; t < COUNT(targets); t++) {
        snprintf(request, sizeof request, "GET %s HTTP/1.1\r\nHost: e2e\r\n\r\n", targets[t]);
        for (int i = 0; i < count; i++) {
            client_open_small(&clients[i], demo.port, 16384);
            ck_assert(client_text(&clients[i], request));
        }
        for (int i = 0; i < count; i++) {
            struct pollfd p = { .fd = clients[i].fd, .events = POLLIN };
            ck_assert_msg(poll(&p, 1, (int)slow(4 * WAIT_MS)) == 1, "%s: nothing for %d", targets[t], i);
        }
        for (int64_t begun = now_ms(); now_ms() - begun < 500; nap_ms(20))
            expect_memory(before, count * EACH_KIB + SLACK_KIB);
        expect_alive(demo.port, WAIT_MS);
        for (int i = 0; i < count; i++)
            client_close(&clients[i]);
        expect_balanced(demo.port, WAIT_MS);
    }
    demo_stop(&demo, WAIT_MS);
}
END_TEST

/* A handler that does not look at what it is told fills the memory up to output_max where it is on a loop: then its reply
 * ends so that the client sees it. Elsewhere it waits for the client, and all arrives. */
static void flood_once(const char *target, long mb, long most_mb, bool is_cut)
{
    enum { SLACK_KIB = 4096 };
    char request[128];
    struct client c;
    struct reply r;
    const long before = demo_memory_kib(&demo);
    snprintf(request, sizeof request, "GET /test/%s/%ld HTTP/1.1\r\nHost: e2e\r\n\r\n", target, mb);
    client_open_small(&c, demo.port, 16384);
    ck_assert(client_text(&c, request));
    struct pollfd p = { .fd = c.fd, .events = POLLIN };
    ck_assert_int_eq(poll(&p, 1, (int)slow(WAIT_MS)), 1);
    for (int64_t begun = now_ms(); now_ms() - begun < slow(400); nap_ms(20))
        expect_memory(before, most_mb * 1024 + SLACK_KIB);
    expect_alive(demo.port, WAIT_MS);
    client_read(&c, &r, false, WAIT_MS);
    const bool cut = r.kind == REPLY_TRUNCATED || r.kind == REPLY_RESET;
    ck_assert_msg(is_cut ? cut : r.kind == REPLY_OK && r.body_len == (size_t)mb << 20, "%s: %s: %s, %zu bytes",
                  demo.engine, target, reply_kind_name(&r), r.body_len);
    ck_assert_msg(r.body_len >= (size_t)(most_mb - 1) << 20, "%s: %s: only %zu bytes", demo.engine, target, r.body_len);
    reply_free(&r);
    client_close(&c);
}

START_TEST(handlers_that_do_not_wait)
{
    static const struct {
        const char *option;
        long most_mb, mb;
    } rows[] = { { "output_max=2m", 2, 8 }, { "output_max=16m", 16, 24 } };
    for (size_t i = 0; i < (is_sanitized() ? 1 : COUNT(rows)); i++) {
        const char *engine = variant_engine(_i);
        const bool loop = has_loop(engine), pool = strcmp(variant_pool(_i), "0") != 0;
        demo_start(&demo, engine, "--pool", variant_pool(_i), "--threads", "4", "--workers", workers_for(engine, 4),
                   "--set", rows[i].option, NULL);
        expect_alive(demo.port, WAIT_MS);
        for (int repeat = 0; repeat < (is_sanitized() ? 1 : 2); repeat++) {
            flood_once("flood", rows[i].mb, rows[i].most_mb, loop);
            flood_once("flood-later", rows[i].mb, rows[i].most_mb, loop);
            flood_once("flood-away", rows[i].mb, rows[i].most_mb, loop && !pool);
        }
        expect_balanced(demo.port, WAIT_MS);
        ck_assert_int_eq(counter(demo.port, "misuse"), 0);
        demo_stop(&demo, WAIT_MS);
    }
}
END_TEST

/* What an earlier request has left pending has its turn, however busily its client goes on asking: one request after the
 * other, or as many as fit at a time. */
static void ask_on(struct client *c, int at_a_time)
{
    enum { REQUESTS_MAX = 3000 };
    const long long before = counter(demo.port, "timers_run");
    long long now = before;
    struct reply first;
    ck_assert(client_text(c, "GET /test/leave/0 HTTP/1.1\r\nHost: e2e\r\n\r\n"));
    client_read(c, &first, false, WAIT_MS);
    ck_assert_msg(first.kind == REPLY_OK && first.status == 200, "%s", reply_kind_name(&first));
    reply_free(&first);
    for (int asked = 0; now == before; asked += at_a_time) {
        struct reply r;
        ck_assert_msg(asked < REQUESTS_MAX, "%s: a timer of 0 ms has not run within %d requests", demo.engine, asked);
        for (int i = 0; i < at_a_time; i++)
            ck_assert(client_text(c, "GET /test/counts HTTP/1.1\r\nHost: e2e\r\n\r\n"));
        for (int i = 0; i < at_a_time; i++) {
            client_read(c, &r, false, WAIT_MS);
            ck_assert_msg(r.kind == REPLY_OK, "%s", reply_kind_name(&r));
            now = strtoll(strstr(r.body, "\"timers_run\":") + 13, NULL, 10);
            reply_free(&r);
        }
    }
}

START_TEST(what_is_pending_has_its_turn)
{
    struct client c;
    demo_start(&demo, engine_name(_i), "--workers", workers_for(engine_name(_i), 3), NULL);
    client_open(&c, demo.port);
    ask_on(&c, 1);
    ask_on(&c, 20);
    client_close(&c);
    expect_balanced(demo.port, WAIT_MS);
    demo_stop(&demo, WAIT_MS);
}
END_TEST

/* A body over the limit in chunks, never ending: cut off, and not collected. */
START_TEST(endless_body)
{
    static const char *const targets[] = { "/submit", "/test/body" };
    char request[256], chunk[4096 + 16];
    memcpy(chunk, "1000\r\n", 6);
    memset(chunk + 6, 'x', 4096);
    memcpy(chunk + 6 + 4096, "\r\n", 2);
    demo_start(&demo, engine_name(_i), "--set", "body_max=1m", NULL);
    const long before = demo_memory_kib(&demo);
    for (size_t t = 0; t < COUNT(targets); t++) {
        struct client c;
        struct reply r;
        snprintf(request, sizeof request, "POST %s HTTP/1.1\r\nHost: e2e\r\nTransfer-Encoding: chunked\r\n\r\n",
                 targets[t]);
        client_open(&c, demo.port);
        ck_assert(client_text(&c, request));
        for (int i = 0; i < 2000 && client_fate(&c, 0) == CLIENT_OPEN; i++)
            client_send(&c, chunk, 6 + 4096 + 2);
        client_read(&c, &r, false, WAIT_MS);
        ck_assert_msg(r.kind == REPLY_OK && r.status == 413, "%s: %s %d", targets[t], reply_kind_name(&r), r.status);
        reply_free(&r);
        client_close(&c);
        expect_memory(before, 8192);
    }
    expect_balanced(demo.port, WAIT_MS);
    demo_stop(&demo, WAIT_MS);
}
END_TEST

/* More blocking requests than threads and places to wait: the rest get 503 and are told when to come again. */
static void expect_overload(void)
{
    enum { CLIENTS = 12 };
    struct client clients[CLIENTS];
    int good = 0, refused = 0;
    for (int i = 0; i < CLIENTS; i++) {
        client_open(&clients[i], demo.port);
        ck_assert(client_text(&clients[i], "GET /block/700 HTTP/1.1\r\nHost: e2e\r\n\r\n"));
    }
    for (int i = 0; i < CLIENTS; i++) {
        struct reply r;
        size_t n;
        client_read(&clients[i], &r, false, WAIT_MS);
        ck_assert_msg(r.kind == REPLY_OK, "%s", reply_kind_name(&r));
        ck_assert_msg(r.status == 200 || r.status == 503, "%d", r.status);
        ck_assert_msg(r.status == 200 || reply_field(&r, "Retry-After", &n), "%s", r.head);
        good += r.status == 200;
        refused += r.status == 503;
        reply_free(&r);
        client_close(&clients[i]);
    }
    ck_assert_msg(good >= 4 && refused >= 1, "%d served, %d refused", good, refused);
    expect_alive(demo.port, WAIT_MS);
    expect_balanced(demo.port, WAIT_MS);
    demo_stop(&demo, WAIT_MS);
}

START_TEST(too_many_for_the_threads)
{
    if (!has_threads(engine_name(_i)))
        return; /* no queue for threads on the others */
    demo_start(&demo, engine_name(_i), "--threads", "2", "--set", "queue_max=2", NULL);
    expect_overload();
}
END_TEST

START_TEST(too_many_for_the_pool)
{
    if (!has_loop(engine_name(_i)))
        return; /* blocking routes run on the threads that there are */
    demo_start(&demo, engine_name(_i), "--pool", "2", "--set", "pool_queue_max=2", NULL);
    expect_overload();
}
END_TEST

static void read_good(struct client *c, const char *body)
{
    struct reply r;
    client_read(c, &r, false, WAIT_MS);
    ck_assert_msg(r.kind == REPLY_OK && r.status == 200, "%s %d", reply_kind_name(&r), r.status);
    ck_assert_str_eq(r.body, body);
    reply_free(&r);
}

/* One request at a time that may block; false: nobody waits for a thread on this engine. */
static bool start_one_thread(const char *engine, const char *key_value)
{
    if (!has_threads(engine) && !has_loop(engine))
        return false;
    const char *pool = has_loop(engine) ? "1" : "0";
    demo_start(&demo, engine, "--workers", "1", "--threads", "1", "--pool", pool, "--set", key_value, NULL);
    return true;
}

static void open_and_get(struct client *c, const char *target)
{
    char request[128];
    snprintf(request, sizeof request, "GET %s HTTP/1.1\r\nHost: e2e\r\n\r\n", target);
    client_open(c, demo.port);
    ck_assert(client_text(c, request));
}

/* Who has waited for a thread long enough is told so, in time, and is not served afterwards. */
START_TEST(too_long_in_the_queue)
{
    enum { WAITING = 3, TIMEOUT = 300 };
    struct client holder, waiting[WAITING];
    if (!start_one_thread(engine_name(_i), "queue_timeout=300ms"))
        return;
    ask_to_hold(&holder, demo.port, 2000);
    const int64_t begun = now_ms();
    for (int i = 0; i < WAITING; i++)
        open_and_get(&waiting[i], "/test/gone/1");
    for (int i = 0; i < WAITING; i++) {
        struct reply r;
        size_t n;
        client_read(&waiting[i], &r, false, WAIT_MS);
        ck_assert_msg(r.kind == REPLY_OK && r.status == 503, "%s %d", reply_kind_name(&r), r.status);
        ck_assert_msg(reply_field(&r, "Retry-After", &n) != NULL, "%s", r.head);
        ck_assert_int_ge(now_ms() - begun, TIMEOUT - 10);
        reply_free(&r);
        client_close(&waiting[i]);
    }
    read_good(&holder, "blocked 2000 ms\n");
    ck_assert(client_text(&holder, GET)); /* and the next one need not wait */
    read_good(&holder, "Hello, World!");
    client_close(&holder);
    ck_assert_int_eq(counter(demo.port, "requests"), 1); /* the holder's */
    demo_stop(&demo, WAIT_MS);
}
END_TEST

/* The handler of one who has left while it waited is not run. One who has only shut its side may still listen, unless an
 * option says otherwise. */
static void leave_in_the_queue(const char *engine, const char *half_close, void (*leave)(struct client *))
{
    struct client holder, leaver, stayer;
    char text[32];
    const unsigned held = is_sanitized() ? 5000 : 1500; /* longer than a busy machine takes for the others */
    snprintf(text, sizeof text, "blocked %u ms\n", held);
    if (!start_one_thread(engine, half_close))
        return;
    ask_to_hold(&holder, demo.port, held);
    open_and_get(&leaver, "/test/gone/1");
    open_and_get(&stayer, "/test/gone/1");
    leave(&leaver);
    read_good(&holder, text);
    read_good(&stayer, "stayed\n");
    ck_assert_int_eq(counter(demo.port, "requests"), 2); /* without the leaver's */
    client_close(&holder);
    client_close(&stayer);
    expect_balanced(demo.port, WAIT_MS);
    demo_stop(&demo, WAIT_MS);
}

START_TEST(left_in_the_queue)
{
    leave_in_the_queue(engine_name(_i), "half_close=allow", client_abort);
    leave_in_the_queue(engine_name(_i), "half_close=cancel", client_abort);
    leave_in_the_queue(engine_name(_i), "half_close=cancel", client_close);
}
END_TEST

/* As many connections as there may be. Idle ones make room; busy ones do not, and who comes then waits. */
START_TEST(too_many_connections)
{
    enum { MOST = 20 };
    struct client clients[MOST], late[3];
    demo_start(&demo, engine_name(_i), "--set", "connections_max=20", "--workers", workers_for(engine_name(_i), MOST),
               NULL);
    for (int i = 0; i < MOST; i++) {
        client_open(&clients[i], demo.port);
        ck_assert(client_text(&clients[i], GET));
        read_good(&clients[i], "Hello, World!");
    }
    expect_alive(demo.port, WAIT_MS);
    for (int i = 0; i < MOST; i++)
        client_close(&clients[i]);
    for (int i = 0; i < MOST; i++) {
        client_open(&clients[i], demo.port);
        ck_assert(client_text(&clients[i], "GET /sleep/800 HTTP/1.1\r\nHost: e2e\r\n\r\n"));
    }
    for (int i = 0; i < 3; i++) {
        client_open(&late[i], demo.port);
        ck_assert(client_text(&late[i], GET));
    }
    for (int i = 0; i < MOST; i++)
        read_good(&clients[i], "slept 800 ms\n");
    for (int i = 0; i < 3; i++)
        read_good(&late[i], "Hello, World!");
    for (int i = 0; i < MOST; i++)
        client_close(&clients[i]);
    for (int i = 0; i < 3; i++)
        client_close(&late[i]);
    demo_stop(&demo, WAIT_MS);
}
END_TEST

/* Who connects and never asks keeps nobody out for longer than a second or two, though he may stay for a minute. */
START_TEST(silent_ones_make_room)
{
    enum { MOST = 20 };
    struct client clients[MOST];
    demo_start(&demo, engine_name(_i), "--set", "connections_max=20", "--set", "header_timeout=1m", "--workers",
               workers_for(engine_name(_i), MOST), NULL);
    for (int i = 0; i < MOST; i++)
        client_open(&clients[i], demo.port);
    expect_alive(demo.port, WAIT_MS);
    for (int i = 0; i < MOST; i++)
        client_close(&clients[i]);
    demo_stop(&demo, WAIT_MS);
}
END_TEST

/* Says who has it, and is busy from then on. */
static long open_busy(struct client *c)
{
    struct reply r;
    client_open(c, demo.port);
    ck_assert(client_text(c, "GET /whoami HTTP/1.1\r\nHost: e2e\r\n\r\nGET /sleep/60000 HTTP/1.1\r\nHost: e2e\r\n\r\n"));
    client_read(c, &r, false, WAIT_MS);
    ck_assert_msg(r.kind == REPLY_OK && r.status == 200, "%s %d", reply_kind_name(&r), r.status);
    const long pid = json_number(r.body, "pid");
    reply_free(&r);
    return pid;
}

/* One worker is full and looks in vain now and then, the other one has room: who comes alone is served at once, though the
 * kernel wakes but one for him, and now and then the wrong one. */
START_TEST(a_full_worker_takes_nobodys_place)
{
    enum { EACH = 20, PAUSE_MS = 50 };
    struct client clients[2 * EACH];
    long pids[2 * EACH];
    int count[2] = { 0 };
    if (strcmp(engine_name(_i), "process-event") != 0)
        return;
    demo_start(&demo, engine_name(_i), "--workers", "2", "--set", "connections_max=40", "--set", "stop_timeout=0", NULL);
    for (int i = 0; i < 2 * EACH; i++) {
        pids[i] = open_busy(&clients[i]);
        count[pids[i] != pids[0]]++;
    }
    ck_assert_int_eq(count[0], count[1]);
    const long roomy = pids[0];
    for (int i = 0; i < 2 * EACH; i++)
        if (pids[i] == roomy)
            client_abort(&clients[i]); /* a plain close might be the end of what it sends, and no more */
    for (int i = 0; i < 2 * EACH; i++) {
        if (pids[i] != roomy)
            continue;
        nap_ms(2 * PAUSE_MS); /* for the full one to look again */
        ck_assert_int_eq(open_busy(&clients[i]), roomy);
    }
    for (int i = 0; i < 2 * EACH; i++)
        client_close(&clients[i]);
    demo_stop(&demo, WAIT_MS);
}
END_TEST

/* No descriptor left for half of the clients: the server neither spins nor dies, and serves again when they leave. */
START_TEST(out_of_descriptors)
{
    enum { CLIENTS = 128, SATURATED_MS = 2000, SHORT = 60 };
    static struct client clients[CLIENTS];
    const char *engine = engine_name(_i);
    const bool varies = is_one_connection_a_worker(engine);
    /* There it is the master that runs out: it holds two for each worker, and wants one for each client. */
    demo_start(&demo, engine, "--threads", "8", "--workers", varies ? "auto" : workers_for(engine, 1), "--set",
               "workers_start=24", NULL);
    expect_alive(demo.port, WAIT_MS);
    demo_limit_files(&demo, 64);
    for (int i = 0; i < CLIENTS; i++) {
        client_open(&clients[i], demo.port);
        ck_assert(client_text(&clients[i], "GET / HTTP/1.1\r\n")); /* a head begun: not idle */
    }
    const int processes = strcmp(engine, "process-event") == 0 ? workers_usually(engine) : 1; /* that accept */
    for (int64_t deadline = now_ms() + slow(WAIT_MS); demo_count_with_files(&demo, SHORT) < processes; nap_ms(5))
        ck_assert_msg(now_ms() < deadline, "%ld descriptors", demo_files(&demo));
    const long before = demo_cpu_ms(&demo);
    nap_ms(SATURATED_MS); /* what is observed is that nothing happens for a while */
    const long spent = demo_cpu_ms(&demo) - before;
    printf("%s: %ld ms of processor time in %d ms without descriptors\n", engine, spent, SATURATED_MS);
    ck_assert_msg(spent < SATURATED_MS / 20, "%ld ms of processor time in %d", spent, SATURATED_MS);
    for (int i = 0; i < CLIENTS; i++)
        client_close(&clients[i]);
    expect_alive(demo.port, WAIT_MS);
    demo_stop(&demo, WAIT_MS);
}
END_TEST

/* The limit falls below what the master watches already: it does not spin, replaces a process when it may, and stops. */
START_TEST(a_limit_below_what_is_watched)
{
    enum { WORKERS = 20, LIMIT = 16, QUIET_MS = 1000 };
    pid_t pids[WORKERS + 8];
    demo_start(&demo, engine_name(_i), "--workers", "20", "--set", "master=on", NULL);
    expect_alive(demo.port, WAIT_MS);
    const int count = demo_pids(&demo, pids, (int)COUNT(pids));
    demo_limit_files(&demo, LIMIT);
    const long before = demo_cpu_ms(&demo);
    nap_ms(QUIET_MS); /* what is observed is that nothing happens for a while */
    const long spent = demo_cpu_ms(&demo) - before;
    ck_assert_msg(is_sanitized() || spent < QUIET_MS / 20, "%s: %ld ms of processor time in %d", demo.engine, spent, QUIET_MS);
    demo_kill_process(pids[count - 1], WAIT_MS);
    demo_limit_files(&demo, 1024);
    for (int64_t deadline = now_ms() + slow(WAIT_MS); demo_pids(&demo, pids, (int)COUNT(pids)) < count; nap_ms(5))
        ck_assert_msg(now_ms() < deadline, "%s: nothing comes in place of a process that has died", demo.engine);
    demo_limit_files(&demo, LIMIT);
    demo_stop(&demo, WAIT_MS);
}
END_TEST

/* The master, the front and one worker; false: there is no front. */
static bool start_one_worker(const char *engine, pid_t pids[3])
{
    if (strcmp(engine, "process-thread") != 0)
        return false;
    demo_start(&demo, engine, "--workers", "1", "--set", "queue_timeout=1m", NULL);
    expect_alive(demo.port, WAIT_MS);
    ck_assert_int_eq(demo_pids(&demo, pids, 3), 3);
    return true;
}

enum { FEW = 3, MANY = 1000, WATCH_MS = 500 };

/* The front has no descriptor left when a new worker comes: it gets its link when there is room again. */
START_TEST(no_descriptor_for_a_link)
{
    pid_t before[3], now[3];
    struct client c;
    if (!start_one_worker(engine_name(_i), before))
        return;
    client_open(&c, demo.port);
    ck_assert(client_text(&c, GET));
    read_good(&c, "Hello, World!");
    process_limit_files(before[1], FEW);
    ck_assert_int_eq(kill(before[2], SIGKILL), 0);
    for (int64_t deadline = now_ms() + slow(WAIT_MS); demo_pids(&demo, now, 3) < 3 || now[2] == before[2]; nap_ms(1))
        ck_assert_int_lt(now_ms(), deadline);
    ck_assert(client_text(&c, GET));
    ck_assert_int_eq(client_fate(&c, WATCH_MS), CLIENT_OPEN); /* waits for a worker that the front does not have */
    process_limit_files(before[1], MANY);
    read_good(&c, "Hello, World!");
    client_close(&c);
    demo_stop(&demo, WAIT_MS);
}
END_TEST

/* The worker has none left for a connection that it is lent: the front answers in its place. */
START_TEST(no_descriptor_for_a_loan)
{
    pid_t pids[3];
    size_t n;
    struct reply r;
    if (!start_one_worker(engine_name(_i), pids))
        return;
    process_limit_files(pids[2], FEW);
    for (int i = 0; i < 20; i++) { /* more than there are threads */
        ask(demo.port, GET, 503, &r);
        ck_assert_msg(reply_field(&r, "Retry-After", &n) != NULL, "%s", r.head);
        reply_free(&r);
    }
    process_limit_files(pids[2], MANY);
    expect_alive(demo.port, WAIT_MS);
    demo_stop(&demo, WAIT_MS);
}
END_TEST

static void add(Suite *s)
{
    TCase *t = e2e_case(s, "limits", 90);
    tcase_add_loop_test(t, clients_that_do_not_read, 0, engine_count());
    tcase_add_loop_test(t, handlers_that_do_not_wait, 0, variant_count());
    tcase_add_loop_test(t, endless_body, 0, engine_count());
    tcase_add_loop_test(t, too_many_for_the_threads, 0, engine_count());
    tcase_add_loop_test(t, too_many_for_the_pool, 0, engine_count());
    tcase_add_loop_test(t, too_long_in_the_queue, 0, engine_count());
    tcase_add_loop_test(t, left_in_the_queue, 0, engine_count());
    tcase_add_loop_test(t, too_many_connections, 0, engine_count());
    tcase_add_loop_test(t, silent_ones_make_room, 0, engine_count());
    tcase_add_loop_test(t, a_full_worker_takes_nobodys_place, 0, engine_count());
    tcase_add_loop_test(t, out_of_descriptors, 0, engine_count());
    tcase_add_loop_test(t, a_limit_below_what_is_watched, 0, engine_count());
    tcase_add_loop_test(t, no_descriptor_for_a_link, 0, engine_count());
    tcase_add_loop_test(t, no_descriptor_for_a_loan, 0, engine_count());
    t = e2e_case(s, "pending", 30);
    tcase_add_loop_test(t, what_is_pending_has_its_turn, 0, engine_count());
}

int main(int argc, char **argv)
{
    return e2e_main_apart("limits", add, argc, argv);
}
