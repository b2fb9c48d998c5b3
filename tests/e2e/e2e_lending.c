/* SPDX-License-Identifier: MIT
 *
 * Threads that requests get from a front, a queue or a pool: each is counted right whatever clients do, none idles while
 * somebody waits, and a worker that can do nothing makes nobody wait.
 *
 * CONCUR_TEST_SEED: where requests are cut. It is printed.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "e2e/crowd.h"

#define GET "GET / HTTP/1.1\r\nHost: e2e\r\n\r\n"

enum { PIDS_MAX = 64 };

static struct demo demo;
static char config[] = "/tmp/concur-lending-XXXXXX";

static bool has_front(const char *engine)
{
    return strcmp(engine, "process-thread") == 0;
}

static uint64_t seed_of_run(void)
{
    const char *text = getenv("CONCUR_TEST_SEED");
    const uint64_t seed = text ? strtoull(text, NULL, 0) : 1;
    printf("CONCUR_TEST_SEED=%llu\n", (unsigned long long)seed);
    return seed;
}

static void send_get(struct client *c, const char *target)
{
    char request[128];
    snprintf(request, sizeof request, "GET %s HTTP/1.1\r\nHost: e2e\r\n\r\n", target);
    ck_assert(client_text(c, request));
}

static long read_status(struct client *c)
{
    struct reply r;
    client_read(c, &r, false, WAIT_MS);
    const long status = r.kind == REPLY_OK ? r.status : -(long)r.kind;
    reply_free(&r);
    return status;
}

static long read_pid(struct client *c)
{
    struct reply r;
    client_read(c, &r, false, WAIT_MS);
    ck_assert_msg(r.kind == REPLY_OK && r.status == 200, "%s %d", reply_kind_name(&r), r.status);
    const long pid = json_number(r.body, "pid");
    reply_free(&r);
    return pid;
}

/* ---- the front's number of free threads ---- */

enum { WORKERS = 2, THREADS = 2, ALL = WORKERS * THREADS };

/* As many requests as there are threads, each of which holds its own: every worker has just its number of them. Were the front
 * wrong about a worker, that one would have got one too many or too few. */
static void expect_each_thread_once(void)
{
    struct client c[ALL];
    long pids[ALL];
    for (int i = 0; i < ALL; i++) {
        client_open(&c[i], demo.port);
        send_get(&c[i], "/test/whoami/300");
    }
    for (int i = 0; i < ALL; i++)
        pids[i] = read_pid(&c[i]);
    int first = 0;
    for (int i = 0; i < ALL; i++) {
        first += pids[i] == pids[0];
        client_close(&c[i]);
    }
    ck_assert_msg(first == THREADS, "one worker of two got %d of %d requests at once", first, ALL);
}

static void start_two(const char *lend)
{
    demo_start(&demo, "process-thread", "--workers", "2", "--threads", "2", "--set", lend, NULL);
    expect_alive(demo.port, WAIT_MS);
}

/* A request with the first bytes of the next in the same packet, then the rest. */
static void ask_split(struct client *c, uint64_t *seed)
{
    const size_t n = sizeof GET - 1, cut = 1 + random_next(seed) % (n - 1);
    char both[2 * sizeof GET];
    memcpy(both, GET, n);
    memcpy(both + n, GET, n);
    ck_assert(client_send(c, both, n + cut));
    ck_assert_int_eq(read_status(c), 200);
    if (random_next(seed) % 2)
        nap_ms((unsigned)(random_next(seed) % 25)); /* within and after the time for which a thread stays */
    ck_assert(client_send(c, both + n + cut, n - cut));
    ck_assert_int_eq(read_status(c), 200);
}

START_TEST(split_requests)
{
    if (!has_front(engine_name(_i)))
        return;
    uint64_t seed = seed_of_run();
    start_two("lend=request");
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < 10; i++) {
            struct client c;
            client_open(&c, demo.port);
            for (int k = 0; k < 3; k++)
                ask_split(&c, &seed);
            client_close(&c);
        }
        expect_each_thread_once();
    }
    demo_stop(&demo, WAIT_MS);
}
END_TEST

/* What an ordinary client does, four times. */
START_TEST(connections_for_life)
{
    struct client c;
    if (!has_front(engine_name(_i)))
        return;
    start_two("lend=connection");
    for (int i = 0; i < 4; i++) {
        client_open(&c, demo.port);
        for (int k = 0; k < 4; k++) {
            ck_assert(client_text(&c, GET));
            ck_assert_int_eq(read_status(&c), 200);
            nap_ms(12); /* its thread lets go of it */
        }
        client_close(&c);
    }
    expect_each_thread_once();
    demo_stop(&demo, WAIT_MS);
}
END_TEST

/* ---- connections that stay with a worker count ---- */

static int count_open(struct client *c, int n)
{
    int open = 0;
    for (int i = 0; i < n; i++)
        open += client_fate(&c[i], 0) == CLIENT_OPEN;
    return open;
}

START_TEST(connections_for_life_make_room)
{
    enum { MOST = 10, CLIENTS = 24 };
    struct client c[CLIENTS];
    if (!has_front(engine_name(_i)))
        return;
    demo_start(&demo, "process-thread", "--workers", "3", "--set", "lend=connection", "--set", "connections_max=10", NULL);
    for (int i = 0; i < CLIENTS; i++) {
        client_open(&c[i], demo.port);
        ck_assert(client_text(&c[i], GET));
    }
    for (int i = 0; i < CLIENTS; i++) /* each has its turn: those that idle make room */
        ck_assert_int_eq(read_status(&c[i]), 200);
    for (const int64_t deadline = now_ms() + slow(WAIT_MS); count_open(c, CLIENTS) > MOST; nap_ms(5))
        ck_assert_msg(now_ms() < deadline, "%d are open", count_open(c, CLIENTS));
    ck_assert_int_gt(count_open(c, CLIENTS), 0);
    for (int i = 0; i < CLIENTS; i++)
        client_close(&c[i]);
    expect_alive(demo.port, WAIT_MS);
    demo_stop(&demo, WAIT_MS);
}
END_TEST

/* The same when the front has died meanwhile, and the next one knows none of them. */
START_TEST(a_new_front_counts_what_stays)
{
    enum { MOST = 6 };
    struct client old[MOST], c[MOST];
    pid_t pids[PIDS_MAX];
    if (!has_front(engine_name(_i)))
        return;
    demo_start(&demo, "process-thread", "--workers", "2", "--set", "lend=connection", "--set", "connections_max=6", NULL);
    for (int i = 0; i < MOST; i++) {
        client_open(&old[i], demo.port);
        ck_assert(client_text(&old[i], GET));
        ck_assert_int_eq(read_status(&old[i]), 200);
    }
    ck_assert_int_ge(demo_pids(&demo, pids, PIDS_MAX), 4);
    ck_assert_int_eq(kill(pids[1], SIGKILL), 0);
    for (int i = 0; i < MOST; i++) {
        client_open(&c[i], demo.port);
        ck_assert(client_text(&c[i], GET));
        ck_assert_int_eq(read_status(&c[i]), 200);
    }
    for (const int64_t deadline = now_ms() + slow(WAIT_MS); count_open(c, MOST) + count_open(old, MOST) > MOST; nap_ms(5))
        ck_assert_msg(now_ms() < deadline, "%d old ones and %d new ones are open", count_open(old, MOST), count_open(c, MOST));
    for (int i = 0; i < MOST; i++) {
        client_close(&c[i]);
        client_close(&old[i]);
    }
    demo_stop(&demo, WAIT_MS);
}
END_TEST

/* ---- time ---- */

/* request_timeout counts from the complete head, wherever the request waits for its thread. */
START_TEST(the_wait_counts)
{
    const char *engine = engine_name(_i);
    struct client holder, waiting;
    if (!has_threads(engine) && !has_loop(engine))
        return;
    int fd = mkstemp(config);
    ck_assert_int_ge(fd, 0);
    dprintf(fd, "engine = %s\nworkers = 1\nthreads_max = 1\npool_threads = %d\nroute \"GET /test/whoami/{ms}\" { request_timeout = 300ms }\n",
            engine, has_loop(engine));
    close(fd);
    demo_start_from(&demo, engine, config, NULL);
    ask_to_hold(&holder, demo.port, 2000); /* so long that the other one comes in time on a busy machine, too */
    client_open(&waiting, demo.port);
    send_get(&waiting, "/test/whoami/1");
    ck_assert_int_eq(read_status(&waiting), 504);
    ck_assert_int_eq(read_status(&holder), 200);
    client_close(&holder);
    client_close(&waiting);
    demo_stop(&demo, WAIT_MS);
    unlink(config);
}
END_TEST

/* ---- size ---- */

/* A head may be as large as head_max allows, on every engine. */
START_TEST(a_long_head)
{
    static const size_t lines[] = { 1, 3, 9, 12 };
    enum { LINE = 65536 };
    char *head = malloc(COUNT(lines) * LINE * 12);
    ck_assert_ptr_nonnull(head);
    demo_start(&demo, engine_name(_i), "--set", "head_max=1m", "--set", "line_max=128k", NULL);
    for (size_t i = 0; i < COUNT(lines); i++) {
        struct client c;
        size_t n = (size_t)sprintf(head, "GET /hello/long HTTP/1.1\r\nHost: e2e\r\n");
        for (size_t k = 0; k < lines[i]; k++) {
            n += (size_t)sprintf(head + n, "X-%zu: ", k);
            memset(head + n, 'x', LINE);
            n += LINE + (size_t)sprintf(head + n + LINE, "\r\n");
        }
        n += (size_t)sprintf(head + n, "\r\n");
        client_open(&c, demo.port);
        for (int again = 0; again < 2; again++) { /* and what follows on the connection is none the worse */
            ck_assert(client_send(&c, head, n));
            const long status = read_status(&c);
            ck_assert_msg(status == 200, "%s: %ld for a head of %zu bytes", demo.engine, status, n);
            send_get(&c, "/");
            ck_assert_int_eq(read_status(&c), 200);
        }
        client_close(&c);
    }
    free(head);
    demo_stop(&demo, WAIT_MS);
}
END_TEST

/* ---- a worker that can do nothing ---- */

/* The two workers of a demo that has just started. */
static void find_workers(pid_t out[2])
{
    pid_t pids[PIDS_MAX];
    ck_assert_int_eq(demo_pids(&demo, pids, PIDS_MAX), 4);
    out[0] = pids[2];
    out[1] = pids[3];
}

/* Everybody is answered, in time, though one worker is sick: `most` requests, on fresh connections. */
static void expect_all_answered(int most, unsigned ms)
{
    enum { AT_ONCE = 4 };
    for (int n = 0; n < most; n += AT_ONCE) {
        struct client c[AT_ONCE];
        const int64_t begun = now_ms();
        for (int i = 0; i < AT_ONCE; i++) {
            client_open(&c[i], demo.port);
            ck_assert(client_text(&c[i], GET));
        }
        for (int i = 0; i < AT_ONCE; i++) {
            const long status = read_status(&c[i]);
            ck_assert_msg(status == 200, "request %d: %ld", n + i, status);
            client_close(&c[i]);
        }
        ck_assert_msg(now_ms() - begun < slow(ms), "requests from %d on took %lld ms", n, (long long)(now_ms() - begun));
    }
}

/* What a process has of memory, in bytes. */
static long memory_of(pid_t pid)
{
    char path[64];
    long pages = 0;
    snprintf(path, sizeof path, "/proc/%ld/statm", (long)pid);
    FILE *f = fopen(path, "re");
    ck_assert(f && fscanf(f, "%ld", &pages) == 1);
    fclose(f);
    return pages * sysconf(_SC_PAGESIZE);
}

static void limit_memory(pid_t pid, rlim_t n)
{
    struct rlimit limit;
    ck_assert_int_eq(prlimit(pid, RLIMIT_AS, NULL, &limit), 0);
    limit.rlim_cur = n;
    ck_assert_int_eq(prlimit(pid, RLIMIT_AS, &limit, NULL), 0);
}

START_TEST(a_worker_without_descriptors)
{
    enum { FEW = 3, MANY = 1000 };
    pid_t workers[2];
    if (!has_front(engine_name(_i)))
        return;
    start_two("lend=request");
    find_workers(workers);
    process_limit_files(workers[0], FEW);
    expect_all_answered(200, 2000);
    process_limit_files(workers[0], MANY);
    expect_alive(demo.port, WAIT_MS);
    demo_stop(&demo, WAIT_MS);
}
END_TEST

/* Its stacks are so large that no thread can be had, though there is memory for all else. */
START_TEST(a_worker_without_threads)
{
    enum { STACK = 64 << 20 };
    pid_t workers[2];
    if (!has_front(engine_name(_i)) || is_sanitized()) /* a sanitizer's maps are larger than any limit */
        return;
    demo_start(&demo, "process-thread", "--workers", "2", "--threads", "2", "--set", "thread_stack=64m", NULL);
    find_workers(workers);
    limit_memory(workers[0], (rlim_t)memory_of(workers[0]) + STACK / 2);
    expect_all_answered(200, 2000);
    demo_stop(&demo, WAIT_MS);
}
END_TEST

/* No thread can be made for a while, on an engine that has but one process for it: it serves again by itself. */
START_TEST(threads_come_back)
{
    enum { STACK = 64 << 20 };
    const char *engine = engine_name(_i);
    pid_t pids[PIDS_MAX];
    if (!has_threads(engine) || is_sanitized())
        return;
    demo_start(&demo, engine, "--workers", "1", "--threads", "4", "--set", "thread_stack=64m", NULL);
    const int n = demo_pids(&demo, pids, PIDS_MAX);
    const pid_t server = pids[n - 1];
    limit_memory(server, (rlim_t)memory_of(server) + STACK / 2);
    for (int i = 0; i < 20; i++) /* more than there are threads */
        ask(demo.port, GET, 503, &(struct reply){ 0 });
    limit_memory(server, RLIM_INFINITY);
    expect_alive(demo.port, 1000);
    demo_stop(&demo, WAIT_MS);
}
END_TEST

/* ---- a worker that is stopped ---- */

static bool is_stopped(pid_t pid)
{
    char path[64], text[512];
    snprintf(path, sizeof path, "/proc/%ld/stat", (long)pid);
    FILE *f = fopen(path, "re");
    ck_assert_ptr_nonnull(f);
    const size_t n = fread(text, 1, sizeof text - 1, f);
    fclose(f);
    text[n] = 0;
    const char *p = strrchr(text, ')');
    return p && p[1] == ' ' && p[2] == 'T';
}

static void hold(pid_t pid)
{
    ck_assert_int_eq(kill(pid, SIGSTOP), 0);
    for (const int64_t deadline = now_ms() + slow(WAIT_MS); !is_stopped(pid); nap_ms(1))
        ck_assert_int_lt(now_ms(), deadline);
}

/* What it was given, and has not looked at, is another one's soon; and it gets nothing more. */
START_TEST(a_stopped_worker)
{
    pid_t workers[2];
    if (!has_front(engine_name(_i)))
        return;
    for (int round = 0; round < 3; round++) {
        start_two("lend=request");
        find_workers(workers);
        hold(workers[round % 2]);
        expect_all_answered(40, 1000); /* before the master looks after it */
        if (kill(workers[round % 2], SIGCONT) == 0)
            expect_all_answered(20, 1000);
        demo_stop(&demo, WAIT_MS);
    }
}
END_TEST

/* The only one dies with loans that it has never looked at: the next one gets them. */
START_TEST(what_a_dead_worker_has_not_looked_at)
{
    enum { UNREAD = 8 };
    struct client c[UNREAD];
    pid_t pids[PIDS_MAX];
    if (!has_front(engine_name(_i)))
        return;
    for (int round = 0; round < 3; round++) {
        demo_start(&demo, "process-thread", "--workers", "1", "--threads", "8", NULL);
        ck_assert_int_eq(demo_pids(&demo, pids, PIDS_MAX), 3);
        hold(pids[2]);
        for (int i = 0; i < UNREAD; i++) {
            client_open(&c[i], demo.port);
            ck_assert(client_text(&c[i], GET));
        }
        nap_ms((unsigned)round * 60); /* before and after the front takes them back */
        ck_assert_int_eq(kill(pids[2], SIGKILL), 0);
        for (int i = 0; i < UNREAD; i++) {
            ck_assert_int_eq(read_status(&c[i]), 200);
            client_close(&c[i]);
        }
        demo_stop(&demo, WAIT_MS);
    }
}
END_TEST

/* ---- a client that leaves just when it is lent ---- */

/* The front finds two things when it goes on: a thread is free, and then that the client has left. So it lends a connection
 * that the worker closes without an answer. The front hears of that; else a stop waits for a connection that nobody has. */
START_TEST(one_who_leaves_when_lent)
{
    struct client busy, left;
    pid_t pids[PIDS_MAX];
    if (!has_front(engine_name(_i)))
        return;
    demo_start(&demo, "process-thread", "--workers", "1", "--threads", "1", "--set", "stop_timeout=60s", NULL);
    ck_assert_int_eq(demo_pids(&demo, pids, PIDS_MAX), 3);
    ask_to_hold(&busy, demo.port, 400);
    client_open(&left, demo.port);
    ck_assert(client_text(&left, GET));
    nap_ms(150); /* it waits in the front, for longer than the worker takes for granted that its client is there */
    hold(pids[1]);
    ck_assert_int_eq(read_status(&busy), 200);
    nap_ms(100); /* the worker has told the front; where it has not yet, the test is easier to pass */
    client_abort(&left);
    ck_assert_int_eq(kill(pids[1], SIGCONT), 0);
    expect_alive(demo.port, WAIT_MS);
    client_close(&busy);
    demo_stop(&demo, WAIT_MS);
}
END_TEST

/* ---- a front that is stopped ---- */

/* Nothing in a worker waits for it: clients whose connections are there go on, far beyond what a link holds of notes. */
START_TEST(a_stopped_front)
{
    enum { CLIENTS = 4, EACH = 250 };
    struct client c[CLIENTS];
    pid_t pids[PIDS_MAX];
    if (!has_front(engine_name(_i)))
        return;
    demo_start(&demo, "process-thread", "--workers", "1", "--threads", "2", "--set", "lend=connection", "--set", "park_after=0",
               NULL);
    for (int i = 0; i < CLIENTS; i++) {
        client_open(&c[i], demo.port);
        ck_assert(client_text(&c[i], GET));
        ck_assert_int_eq(read_status(&c[i]), 200);
    }
    ck_assert_int_eq(demo_pids(&demo, pids, PIDS_MAX), 3);
    hold(pids[1]);
    const int64_t begun = now_ms();
    for (int k = 0; k < EACH; k++)
        for (int i = 0; i < CLIENTS; i++) {
            ck_assert(client_text(&c[i], GET));
            const long status = read_status(&c[i]);
            ck_assert_msg(status == 200, "request %d: %ld", k, status);
        }
    ck_assert_msg(now_ms() - begun < slow(1500), "they went on when the master had replaced it"); /* after two seconds */
    (void)kill(pids[1], SIGCONT);
    for (int i = 0; i < CLIENTS; i++)
        client_close(&c[i]);
    expect_alive(demo.port, WAIT_MS);
    demo_stop(&demo, WAIT_MS);
}
END_TEST

/* ---- threads that stay with a busy connection ---- */

/* One client asks again at once, always. Returns how many requests a worker answered before another one did. */
static int ask_until_another(struct client *c, int most)
{
    client_open(c, demo.port);
    send_get(c, "/whoami");
    const long first = read_pid(c);
    for (int n = 1; n < most; n++) {
        struct reply r;
        if (client_fate(c, 0) != CLIENT_OPEN) {
            client_close(c);
            client_open(c, demo.port);
        }
        send_get(c, "/whoami");
        client_read(c, &r, false, WAIT_MS);
        ck_assert_msg(r.kind == REPLY_OK && r.status == 200, "%s %d", reply_kind_name(&r), r.status);
        const long pid = json_number(r.body, "pid");
        const bool ends = r.says_close;
        reply_free(&r);
        if (pid != first)
            return n;
        if (ends) {
            client_close(c);
            client_open(c, demo.port);
        }
    }
    return most;
}

/* A worker has its share of requests, though its client leaves it no moment. */
static void expect_recycled(const char *engine, const char *lend)
{
    struct client c;
    enum { MOST = 20000 };
    demo_start(&demo, engine, "--workers", "1", "--set", "master=on", "--set", "requests_per_worker=20", "--set", lend, NULL);
    const int n = ask_until_another(&c, MOST);
    printf("%s, %s: replaced after %d requests\n", engine, lend, n);
    ck_assert_msg(n < MOST, "%s: one worker answered all of %d", engine, n);
    client_close(&c);
    demo_stop(&demo, WAIT_MS);
}

START_TEST(a_share_of_requests)
{
    expect_recycled(engine_name(_i), "lend=request");
    if (has_front(engine_name(_i)))
        expect_recycled(engine_name(_i), "lend=connection");
}
END_TEST

/* And any drain ends such a connection soon, with a reply that says so. */
static void expect_drained(const char *engine, const char *lend, bool whole)
{
    struct client c;
    pid_t pids[PIDS_MAX];
    demo_start(&demo, engine, "--set", "master=on", "--set", lend, "--set", "stop_timeout=20s", NULL);
    client_open(&c, demo.port);
    send_get(&c, "/whoami");
    const long pid = read_pid(&c);
    ck_assert_int_gt(demo_pids(&demo, pids, PIDS_MAX), 1);
    ck_assert_int_eq(kill(whole ? demo.pid : (pid_t)pid, SIGTERM), 0);
    bool ends = false;
    for (const int64_t deadline = now_ms() + slow(3000); !ends;) {
        struct reply r;
        ck_assert_msg(now_ms() < deadline, "%s, %s: the connection goes on", engine, lend);
        send_get(&c, "/whoami");
        client_read(&c, &r, false, WAIT_MS);
        ck_assert_msg(r.kind == REPLY_OK && r.status == 200, "%s %d", reply_kind_name(&r), r.status);
        ends = r.says_close || json_number(r.body, "pid") != pid; /* or it goes on elsewhere */
        reply_free(&r);
    }
    client_close(&c);
    if (whole)
        ck_assert_int_eq(demo_wait(&demo, WAIT_MS), 0);
    else
        demo_stop(&demo, WAIT_MS);
}

START_TEST(a_drain)
{
    const char *engine = engine_name(_i);
    expect_drained(engine, "lend=request", true);
    expect_drained(engine, "lend=request", false);
    if (!has_front(engine))
        return;
    expect_drained(engine, "lend=connection", true);
    expect_drained(engine, "lend=connection", false);
}
END_TEST

static void add(Suite *s)
{
    TCase *t = e2e_case(s, "lending", 90);
    tcase_add_loop_test(t, split_requests, 0, engine_count());
    tcase_add_loop_test(t, connections_for_life, 0, engine_count());
    tcase_add_loop_test(t, connections_for_life_make_room, 0, engine_count());
    tcase_add_loop_test(t, a_new_front_counts_what_stays, 0, engine_count());
    tcase_add_loop_test(t, the_wait_counts, 0, engine_count());
    tcase_add_loop_test(t, a_long_head, 0, engine_count());
    tcase_add_loop_test(t, a_worker_without_descriptors, 0, engine_count());
    tcase_add_loop_test(t, a_worker_without_threads, 0, engine_count());
    tcase_add_loop_test(t, threads_come_back, 0, engine_count());
    tcase_add_loop_test(t, a_stopped_worker, 0, engine_count());
    tcase_add_loop_test(t, what_a_dead_worker_has_not_looked_at, 0, engine_count());
    tcase_add_loop_test(t, one_who_leaves_when_lent, 0, engine_count());
    tcase_add_loop_test(t, a_stopped_front, 0, engine_count());
    tcase_add_loop_test(t, a_share_of_requests, 0, engine_count());
    tcase_add_loop_test(t, a_drain, 0, engine_count());
}

int main(int argc, char **argv)
{
    return e2e_main_apart("lending", add, argc, argv);
}
