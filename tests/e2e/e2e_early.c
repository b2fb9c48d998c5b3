/* SPDX-License-Identifier: MIT
 *
 * Bodies that come slowly to a route that wants them whole. On no engine does that change what is answered; where requests have
 * threads, it takes none, up to the bounds.
 *
 * CONCUR_TEST_SEED: how the requests are cut. It is printed.
 */
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "e2e/client.h"
#include "e2e/harness.h"

enum { SLOW = 8, ROOM = 300000 };

#define POST "POST /test/body HTTP/1.1\r\nHost: e2e\r\n"
#define GET "GET / HTTP/1.1\r\nHost: e2e\r\n\r\n"

static struct demo demo;
static char bytes[ROOM];

static uint64_t take_seed(void)
{
    const char *text = getenv("CONCUR_TEST_SEED");
    uint64_t seed = text && *text ? strtoull(text, NULL, 0) : (uint64_t)now_ms();
    printf("CONCUR_TEST_SEED=%llu\n", (unsigned long long)seed);
    return seed;
}

static unsigned any(uint64_t *seed, unsigned below)
{
    return (unsigned)(random_next(seed) % below);
}

static uint64_t fnv(uint64_t sum, const char *p, size_t n)
{
    for (size_t i = 0; i < n; i++)
        sum = (sum ^ (unsigned char)p[i]) * UINT64_C(0x100000001b3);
    return sum;
}

/* A request with a body of n bytes in `bytes`; returns its length. answer: what the route says of it. */
static size_t make(size_t n, bool is_chunked, size_t memory, uint64_t *seed, char answer[80])
{
    size_t at = is_chunked ? (size_t)sprintf(bytes, POST "Transfer-Encoding: chunked\r\n\r\n")
                           : (size_t)sprintf(bytes, POST "Content-Length: %zu\r\n\r\n", n);
    uint64_t sum = UINT64_C(0xcbf29ce484222325);
    for (size_t left = n; left > 0;) {
        const size_t piece = is_chunked ? 1 + any(seed, left < 5000 ? (unsigned)left : 5000) : left;
        if (is_chunked)
            at += (size_t)sprintf(bytes + at, "%zx\r\n", piece);
        for (size_t i = 0; i < piece; i++)
            bytes[at + i] = (char)any(seed, 256);
        sum = fnv(sum, bytes + at, piece);
        at += piece;
        left -= piece;
        if (is_chunked)
            at += (size_t)sprintf(bytes + at, "\r\n");
    }
    if (is_chunked)
        at += (size_t)sprintf(bytes + at, "0\r\n\r\n");
    ck_assert_uint_lt(at, ROOM);
    snprintf(answer, 80, "%zu in %s %016llx\n", n, n > memory ? "file" : "memory", (unsigned long long)sum);
    return at;
}

static void expect(struct client *c, int status, const char *body)
{
    struct reply r;
    client_read(c, &r, false, WAIT_MS);
    ck_assert_msg(r.kind == REPLY_OK && r.status == status, "%s %d: %s", reply_kind_name(&r), r.status, r.body);
    if (body)
        ck_assert_str_eq(r.body, body);
    reply_free(&r);
}

/* Four times as many as there are threads, of each kind; others are answered after each byte. */
static void hold_nobody(const char *engine, const char *lend)
{
    static const char *const begins[] = {
        POST "Content-Length: 12\r\n\r\n",
        POST "Transfer-Encoding: chunked\r\n\r\n7\r\n",
        GET POST "Content-Length: 12\r\n\r\n", /* on a connection that a thread has */
        POST "Expect: 100-continue\r\nContent-Length: 12\r\n\r\n",
    };
    static const char text[] = "0123456\r\n5\r\n789ab\r\n0\r\n\r\n", plain[] = "0123456789ab";
    struct client c[SLOW];
    demo_start(&demo, engine, "--threads", "2", "--set", lend, "--workers", is_one_connection_a_worker(engine) ? "10" : "1", "--set",
               "body_timeout=10m", NULL);
    for (int i = 0; i < SLOW; i++) {
        client_open(&c[i], demo.port);
        ck_assert(client_text(&c[i], begins[i % 4]));
        if (i % 4 == 2)
            expect(&c[i], 200, "Hello, World!");
    }
    for (size_t at = 0; at < sizeof text - 1; at++) {
        for (int i = 0; i < SLOW; i++)
            if (i % 4 == 1 || at < sizeof plain - 1)
                ck_assert(client_send(&c[i], (i % 4 == 1 ? text : plain) + at, 1));
        expect_alive(demo.port, WAIT_MS);
    }
    for (int i = 0; i < SLOW; i++) {
        struct reply r;
        client_read(&c[i], &r, false, WAIT_MS);
        ck_assert_msg(r.kind == REPLY_OK && r.status == 200 && strncmp(r.body, "12 in memory ", 13) == 0, "%s %d: %s",
                      reply_kind_name(&r), r.status, r.body);
        ck_assert_int_eq(r.continues, i % 4 == 3);
        reply_free(&r);
        ck_assert(client_text(&c[i], GET));
        expect(&c[i], 200, "Hello, World!");
        client_close(&c[i]);
    }
    expect_balanced(demo.port, WAIT_MS);
    demo_stop(&demo, WAIT_MS);
}

START_TEST(they_hold_nobody)
{
    hold_nobody(engine_name(_i), "lend=request");
}
END_TEST

/* A worker keeps its connections, and its poller reads what comes after the first request. */
START_TEST(they_hold_nobody_in_a_worker)
{
    if (strcmp(engine_name(_i), "process-thread") == 0)
        hold_nobody(engine_name(_i), "lend=connection");
}
END_TEST

/* A body that has begun when the stop begins may become complete; one that does not is told so at the deadline. */
START_TEST(a_stop)
{
    const char *engine = engine_name(_i);
    struct client c[2];
    demo_start(&demo, engine, "--threads", "2", "--workers", workers_for(engine, 2), "--set", "stop_timeout=1500ms", NULL);
    for (int i = 0; i < 2; i++) {
        client_open(&c[i], demo.port);
        ck_assert(client_text(&c[i], POST "Expect: 100-continue\r\nContent-Length: 12\r\n\r\n"));
        ck_assert(client_wait_bytes(&c[i], 1, WAIT_MS)); /* its head was read */
        ck_assert(client_text(&c[i], "01234"));
    }
    demo_signal(&demo, SIGTERM);
    ck_assert(client_text(&c[0], "56789ab"));
    struct reply r;
    client_read(&c[0], &r, false, WAIT_MS);
    ck_assert_msg(r.kind == REPLY_OK && r.status == 200, "%s %d", reply_kind_name(&r), r.status);
    reply_free(&r);
    expect(&c[1], 503, NULL);
    client_close(&c[0]);
    client_close(&c[1]);
    ck_assert_int_eq(demo_wait(&demo, WAIT_MS), 0);
}
END_TEST

/* Where the front reads them they outlive the workers. */
START_TEST(a_dead_worker_costs_nothing)
{
    enum { BODIES = 20 };
    struct client c[BODIES];
    pid_t pids[8];
    if (strcmp(engine_name(_i), "process-thread") != 0)
        return;
    demo_start(&demo, engine_name(_i), "--threads", "2", "--workers", "1", "--unsafe", NULL);
    for (int i = 0; i < BODIES; i++) {
        client_open(&c[i], demo.port);
        ck_assert(client_text(&c[i], POST "Expect: 100-continue\r\nContent-Length: 12\r\n\r\n"));
        ck_assert(client_wait_bytes(&c[i], 1, WAIT_MS));
        ck_assert(client_text(&c[i], "01234"));
    }
    const int n = demo_pids(&demo, pids, COUNT(pids));
    struct client crash;
    client_open(&crash, demo.port);
    ck_assert(client_text(&crash, "GET /crash HTTP/1.1\r\nHost: e2e\r\n\r\n"));
    expect(&crash, 502, NULL);
    client_close(&crash);
    ck_assert_int_eq(n, 3); /* master, front, the worker that has just died */
    for (int i = 0; i < BODIES; i++) {
        ck_assert(client_text(&c[i], "56789ab"));
        expect(&c[i], 200, NULL);
        client_close(&c[i]);
    }
    demo_stop(&demo, WAIT_MS);
}
END_TEST

static void send_cut(struct client *c, size_t n, uint64_t *seed)
{
    for (size_t at = 0, piece; at < n; at += piece) {
        piece = 1 + any(seed, any(seed, 4) ? 30000 : 100);
        piece = piece < n - at ? piece : n - at;
        ck_assert(client_send_pieces(c, bytes + at, piece, piece));
    }
}

/* One byte less, that many, one byte more: of what is kept in memory, and of what a front reads. */
START_TEST(bodies_at_the_bounds)
{
    enum { MEMORY = 20000, LARGE = 65536 };
    uint64_t seed = take_seed();
    char answer[80];
    for (int kind = 0; kind < 2; kind++) {
        struct client c;
        const size_t memory = kind ? LARGE : MEMORY, head = kind ? strlen(POST "Content-Length: 65535\r\n\r\n") : 0;
        demo_start(&demo, engine_name(_i), "--threads", "2", "--set", kind ? "body_memory=64k" : "body_memory=20000", NULL);
        client_open(&c, demo.port);
        for (size_t i = 0; i < 6; i++) {
            const size_t n = memory - (i < 3 ? head : 0) - 1 + i % 3, len = make(n, i >= 3, memory, &seed, answer);
            send_cut(&c, len, &seed);
            expect(&c, 200, answer);
        }
        client_close(&c);
        expect_balanced(demo.port, WAIT_MS);
        demo_stop(&demo, WAIT_MS);
    }
}
END_TEST

/* Whole, however it is cut; requests behind it are answered after it. */
START_TEST(cut_anywhere)
{
    uint64_t seed = take_seed();
    char answer[80];
    struct client c;
    demo_start(&demo, engine_name(_i), "--threads", "2", NULL);
    client_open(&c, demo.port);
    for (int i = 0; i < (is_quick() ? 20 : 100); i++) {
        size_t len = make(1 + any(&seed, any(&seed, 2) ? 3000 : 60000), any(&seed, 2), LONG_MAX, &seed, answer);
        memcpy(bytes + len, GET, sizeof GET - 1);
        send_cut(&c, len + sizeof GET - 1, &seed);
        expect(&c, 200, answer);
        expect(&c, 200, "Hello, World!");
    }
    client_close(&c);
    expect_balanced(demo.port, WAIT_MS);
    demo_stop(&demo, WAIT_MS);
}
END_TEST

/* A body that is too large is refused as soon as that is known, and none of it is asked for. */
START_TEST(too_large)
{
    struct client c;
    struct reply r;
    demo_start(&demo, engine_name(_i), "--threads", "2", "--set", "body_max=1000", NULL);
    client_open(&c, demo.port);
    ck_assert(client_text(&c, POST "Expect: 100-continue\r\nContent-Length: 1001\r\n\r\n"));
    client_read(&c, &r, false, WAIT_MS);
    ck_assert_msg(r.kind == REPLY_OK && r.status == 413 && r.continues == 0, "%s %d", reply_kind_name(&r), r.status);
    reply_free(&r);
    client_close(&c);
    for (int more = 0; more < 2; more++) {
        client_open(&c, demo.port);
        ck_assert(client_text(&c, POST "Transfer-Encoding: chunked\r\n\r\n64\r\n"));
        for (int i = 0; i < 10; i++) {
            ck_assert(client_text(&c, "0123456789012345678901234567890123456789012345678901234567890123456789"));
            ck_assert(client_text(&c, i < 9 ? "012345678901234567890123456789\r\n64\r\n" : "012345678901234567890123456789\r\n"));
        }
        ck_assert(client_text(&c, more ? "1\r\na\r\n" : "0\r\n\r\n"));
        expect(&c, more ? 413 : 200, NULL);
        client_close(&c);
    }
    expect_balanced(demo.port, WAIT_MS);
    demo_stop(&demo, WAIT_MS);
}
END_TEST

/* The time of a request counts from its head, wherever its body is read. */
START_TEST(the_request_has_its_time)
{
    struct client c;
    demo_start(&demo, engine_name(_i), "--threads", "2", "--set", "request_timeout=400ms", NULL);
    client_open(&c, demo.port);
    const int64_t begun = now_ms();
    ck_assert(client_text(&c, POST "Content-Length: 10\r\n\r\nab"));
    expect(&c, 504, NULL);
    ck_assert_int_ge(now_ms() - begun, 390);
    client_close(&c);
    expect_balanced(demo.port, WAIT_MS);
    demo_stop(&demo, WAIT_MS);
}
END_TEST

/* Opens them until n have sent a head and so much of a body; returns how many there are. */
static unsigned open_many(struct client *c, unsigned n, size_t part)
{
    memset(bytes, 'a', part);
    for (unsigned i = 0; i < n; i++) {
        client_open(&c[i], demo.port);
        ck_assert(client_text(&c[i], POST "Content-Length: 60000\r\n\r\n"));
        ck_assert(client_send(&c[i], bytes, part));
    }
    return n;
}

static unsigned close_many(struct client *c, unsigned n)
{
    unsigned refused = 0;
    for (unsigned i = 0; i < n; i++) {
        refused += client_fate(&c[i], 0) == CLIENT_BYTES;
        client_close(&c[i]);
    }
    return refused;
}

/* Two thousand of them hold nobody, and their memory is theirs alone. */
START_TEST(many_are_within_the_bound)
{
    static struct client c[2000];
    const char *engine = engine_name(_i);
    const unsigned n = is_sanitized() ? 200 : COUNT(c);
    if (!has_threads(engine))
        return;
    demo_start(&demo, engine, "--threads", "2", "--workers", "1", "--set", "body_timeout=10m", NULL);
    expect_alive(demo.port, WAIT_MS);
    const long before = demo_memory_kib(&demo);
    (void)open_many(c, n, 1200);
    for (int i = 0; i < 10; i++)
        expect_alive(demo.port, WAIT_MS);
    const long more = demo_memory_kib(&demo) - before;
    printf("%s: %u bodies take %ld KiB\n", engine, n, more);
    ck_assert_msg(is_sanitized() || more < 16384, "%ld KiB", more);
    ck_assert_uint_eq(close_many(c, n), 0);
    expect_balanced(demo.port, WAIT_MS);
    demo_stop(&demo, WAIT_MS);
}
END_TEST

/* Clients have left, and it is seen one by one: until then there may be no room. */
static void await_room(void)
{
    for (const int64_t deadline = now_ms() + slow(WAIT_MS);;) {
        struct client c;
        struct reply r;
        client_open(&c, demo.port);
        ck_assert(client_text(&c, GET));
        client_read(&c, &r, false, WAIT_MS);
        ck_assert_msg(r.kind == REPLY_OK && (r.status == 200 || (r.status == 503 && now_ms() < deadline)), "%s %d",
                      reply_kind_name(&r), r.status);
        const bool is_served = r.status == 200;
        reply_free(&r);
        client_close(&c);
        if (is_served)
            return;
    }
}

/* Where their memory is used up, the others wait for threads, or are refused, as if there were none. */
START_TEST(others_wait_for_threads)
{
    static struct client c[2000];
    const char *engine = engine_name(_i);
    const unsigned n = is_sanitized() ? 200 : COUNT(c);
    if (!has_threads(engine))
        return;
    demo_start(&demo, engine, "--threads", "2", "--workers", "1", "--set", "body_timeout=10m", "--set", "queue_max=20", "--set",
               "queue_timeout=0", "--set", "early_body_max=3m", NULL);
    expect_alive(demo.port, WAIT_MS);
    const long before = demo_memory_kib(&demo);
    (void)open_many(c, n, 30000);
    for (unsigned i = 0; i < n; i++) /* those that are over it have their answer before the last of all */
        if (i >= n - 10)
            expect(&c[i], 503, NULL);
    const long more = demo_memory_kib(&demo) - before;
    printf("%s: %u bodies take %ld KiB\n", engine, n, more);
    ck_assert_msg(is_sanitized() || more < 3072 + 8192, "%ld KiB", more);
    ck_assert_uint_gt(close_many(c, n - 10), n - 10 - 22 - 3072 / 32);
    await_room();
    expect_balanced(demo.port, WAIT_MS);
    demo_stop(&demo, WAIT_MS);
}
END_TEST

/* Returns when the worker has another front. */
static void kill_front(pid_t worker)
{
    pid_t pids[8];
    const int n = demo_pids(&demo, pids, COUNT(pids));
    ck_assert_int_eq(n, 3); /* the master and its two children */
    const pid_t front = pids[1] == worker ? pids[2] : pids[1];
    ck_assert_int_eq(kill(front, SIGKILL), 0);
    for (const int64_t deadline = now_ms() + slow(WAIT_MS);; nap_ms(2)) {
        ck_assert_msg(now_ms() < deadline, "no other front");
        if (demo_pids(&demo, pids, COUNT(pids)) == 3 && pids[1] != front && pids[2] != front)
            return;
    }
}

static void expect_cut(struct client *c, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        const enum client_fate fate = client_fate(&c[i], WAIT_MS);
        ck_assert_msg(fate == CLIENT_EOF || fate == CLIENT_RESET, "connection %u of %u: %d", i, n, fate);
        client_close(&c[i]);
    }
}

/* The front dies with bodies that take most of early_body_max, again and again: they are cut off, nothing of them is left, and
 * there is as much room at the next front. Were there less, those that have none would take the two threads, for good. */
START_TEST(a_dead_front_leaves_all_its_room)
{
    enum { BODIES = 40, PART = 30000, ROUNDS = 3 }; /* 64 KiB each */
    static struct client c[BODIES];
    pid_t pids[8];
    if (strcmp(engine_name(_i), "process-thread") != 0)
        return;
    demo_start(&demo, engine_name(_i), "--threads", "2", "--workers", "1", "--set", "body_timeout=10m", "--set", "early_body_max=3m",
               NULL);
    ck_assert_int_eq(demo_pids(&demo, pids, COUNT(pids)), 3); /* in the order in which they were started: the worker is the last */
    expect_alive(demo.port, WAIT_MS);
    const long files = demo_files(&demo);
    for (int round = 0; round <= ROUNDS; round++) {
        (void)open_many(c, BODIES, PART);
        for (int i = 0; i < 4; i++)
            expect_alive(demo.port, WAIT_MS);
        if (round == ROUNDS)
            break;
        kill_front(pids[2]);
        expect_cut(c, BODIES);
    }
    for (unsigned i = 0; i < BODIES; i++) {
        ck_assert(client_send(&c[i], bytes, 60000 - PART));
        expect(&c[i], 200, NULL);
        client_close(&c[i]);
    }
    expect_balanced(demo.port, WAIT_MS);
    for (const int64_t deadline = now_ms() + slow(WAIT_MS); demo_files(&demo) > files + BODIES / 4; nap_ms(10))
        ck_assert_msg(now_ms() < deadline, "%ld descriptors, %ld at first", demo_files(&demo), files);
    demo_stop(&demo, WAIT_MS);
}
END_TEST

static void add(Suite *s)
{
    TCase *t = e2e_case(s, "early", 60);
    tcase_add_loop_test(t, they_hold_nobody, 0, engine_count());
    tcase_add_loop_test(t, they_hold_nobody_in_a_worker, 0, engine_count());
    tcase_add_loop_test(t, a_stop, 0, engine_count());
    tcase_add_loop_test(t, a_dead_worker_costs_nothing, 0, engine_count());
    tcase_add_loop_test(t, bodies_at_the_bounds, 0, engine_count());
    tcase_add_loop_test(t, cut_anywhere, 0, engine_count());
    tcase_add_loop_test(t, too_large, 0, engine_count());
    tcase_add_loop_test(t, the_request_has_its_time, 0, engine_count());
    tcase_add_loop_test(t, many_are_within_the_bound, 0, engine_count());
    tcase_add_loop_test(t, others_wait_for_threads, 0, engine_count());
    tcase_add_loop_test(t, a_dead_front_leaves_all_its_room, 0, engine_count());
}

int main(int argc, char **argv)
{
    return e2e_main_apart("early", add, argc, argv);
}
