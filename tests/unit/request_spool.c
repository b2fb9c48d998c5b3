/* SPDX-License-Identifier: MIT
 *
 * Who writes a large body to its file, what happens meanwhile, and what follows from a write that fails. In builds with
 * faults a write can be held.
 */
#include "live.h"

#include <signal.h>
#include <sys/resource.h>

#include "base/fault.h"

#ifdef CNC_FAULTS
enum { SIZE = 300000, AT_ONCE = 65536 };

static char body[SIZE];
static struct live l;
static struct live_latch writes = LIVE_LATCH, gate = LIVE_LATCH;
static pthread_t loop;
static atomic_uint by_loop, by_others, handled;
static bool is_held;

/* On whichever thread is about to write. */
static void on_write(void)
{
    atomic_fetch_add(pthread_equal(pthread_self(), loop) ? &by_loop : &by_others, 1);
    live_latch_add(&writes);
    if (is_held)
        ck_assert(live_latch_wait(&gate, 1));
}

static int who(concur_request *r, void *arg)
{
    (void)arg;
    loop = pthread_self();
    return concur_reply_text(r, 200, "loop");
}

/* Is it what was sent, from the file's start? */
static int take(concur_request *r, void *arg)
{
    static char got[SIZE];
    size_t n, at = 0;
    (void)arg;
    atomic_fetch_add(&handled, 1);
    int fd = concur_request_body_fd(r);
    if (fd < 0 || concur_request_body(r, &n) || n > sizeof got)
        return concur_reply_text(r, 500, "no file");
    for (ssize_t some; (some = read(fd, got + at, sizeof got - at)) > 0;)
        at += (size_t)some;
    return concur_reply_text(r, 200, at == n && memcmp(got, body, n) == 0 ? "same" : "other");
}

static void get_who(struct live_peer *p)
{
    struct live_answer a;
    ck_assert(live_send(p, "GET /who HTTP/1.1\r\nHost: a\r\n\r\n") && live_receive(p, &a, false));
    ck_assert_int_eq(a.status, 200);
}

static void start(int engine, const char *pool)
{
    for (size_t i = 0; i < sizeof body; i++)
        body[i] = (char)(i * 7 + i / 251);
    l = live_new(engine);
    live_set(&l, "pool_threads", pool);
    live_set(&l, "pool_queue_max", "1"); /* is about the program's work */
    live_set(&l, "body_memory", "1k");
    live_route(&l, "GET /who", 0, who, NULL);
    live_route(&l, "POST /take", 0, take, NULL);
    cnc_fault_hear_spool(on_write);
    live_start(&l);
    struct live_peer p = live_connect(&l);
    get_who(&p);
    live_close(&p);
}

static const int engines[] = { CONCUR_ENGINE_EVENT, CONCUR_ENGINE_EVENT_POOL };

static void send_body(struct live_peer *p, size_t n)
{
    char head[128];
    snprintf(head, sizeof head, "POST /take HTTP/1.1\r\nHost: a\r\nContent-Length: %zu\r\n\r\n", n);
    ck_assert(live_send(p, head) && live_send_n(p, body, n));
}

static void expect(struct live_peer *p, int status, const char *text)
{
    struct live_answer a;
    ck_assert(live_receive(p, &a, false));
    ck_assert_int_eq(a.status, status);
    ck_assert_str_eq(a.body, text);
}

/* An upload whose first write is held. */
static struct live_peer upload_held(void)
{
    is_held = true;
    struct live_peer p = live_connect(&l);
    send_body(&p, SIZE);
    ck_assert(live_latch_wait(&writes, 1));
    return p;
}

START_TEST(others_are_answered_while_a_disk_is_slow)
{
    start(engines[_i], "2");
    struct live_peer p = upload_held(), other = live_connect(&l);
    for (int i = 0; i < 20; i++)
        get_who(&other);
    ck_assert_uint_eq(atomic_load(&handled), 0);
    ck_assert_uint_eq(atomic_load(&by_others), 1); /* one at a time */
    live_latch_add(&gate);
    expect(&p, 200, "same");
    ck_assert_uint_eq(atomic_load(&by_loop), 0);
    for (size_t n = 1025; n < SIZE; n = n * 3 / 2 + 1) { /* on the same connection, of any size */
        send_body(&p, n);
        expect(&p, 200, "same");
    }
    ck_assert_uint_eq(atomic_load(&by_loop), 0);
    live_close(&p);
    live_close(&other);
    live_end(&l, 5000);
}
END_TEST

START_TEST(large_pieces_are_written)
{
    char chunk[32];
    start(engines[_i], "2");
    struct live_peer p = live_connect(&l);
    ck_assert(live_send(&p, "POST /take HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"));
    for (size_t at = 0, n = 1; at < SIZE; at += n, n = n * 2 + 1) {
        n = n < SIZE - at ? n : SIZE - at;
        snprintf(chunk, sizeof chunk, "%zx\r\n", n);
        ck_assert(live_send(&p, chunk) && live_send_n(&p, body + at, n) && live_send(&p, "\r\n"));
    }
    ck_assert(live_send(&p, "0\r\n\r\n"));
    expect(&p, 200, "same");
    ck_assert_uint_eq(atomic_load(&by_loop), 0);
    ck_assert_uint_le(atomic_load(&by_others), SIZE / (AT_ONCE / 2) + 1);
    live_close(&p);
    live_end(&l, 5000);
}
END_TEST

/* The write ends first; then nothing is left of the request, nor of its file. */
START_TEST(a_client_leaves_while_its_body_is_written)
{
    start(engines[_i], "2");
    struct live_peer other = live_connect(&l);
    get_who(&other);
    const unsigned before = live_descriptors();
    struct live_peer p = upload_held();
    live_reset(&p);
    get_who(&other);
    live_latch_add(&gate);
    while (live_descriptors() > before + 2) /* a thread's own are kept for the next job */
        get_who(&other);
    ck_assert_uint_eq(atomic_load(&handled), 0);
    live_close(&other);
    live_end(&l, 5000);
}
END_TEST

START_TEST(a_stop_waits_for_a_write)
{
    start(engines[_i], "2");
    struct live_peer p = upload_held();
    ck_assert_int_eq(concur_server_stop(l.server, 30000), CONCUR_OK);
    live_latch_add(&gate);
    expect(&p, 200, "same");
    live_close(&p);
    ck_assert_int_eq(concur_server_wait(l.server), CONCUR_OK);
    concur_server_free(l.server);
}
END_TEST

/* EFBIG, with the signal that comes along, or ENOSPC. */
static void fail_next(void)
{
    on_write();
    cnc_fault_arm(CNC_FAULT_WRITE, 1, false);
}

START_TEST(a_failing_write_is_answered)
{
    const struct rlimit small = { 100000, RLIM_INFINITY }, none = { RLIM_INFINITY, RLIM_INFINITY };
    start(engines[_i / 2], "2");
    for (int i = 0; i < 3; i++) {
        struct live_peer p = live_connect(&l);
        if (_i % 2)
            ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &small), 0);
        else
            cnc_fault_hear_spool(fail_next);
        send_body(&p, SIZE);
        expect(&p, 503, "503 Service Unavailable\n");
        live_close(&p);
    }
    cnc_fault_hear_spool(on_write);
    cnc_fault_arm(CNC_FAULT_WRITE, 0, false);
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &none), 0);
    struct live_peer p = live_connect(&l);
    send_body(&p, SIZE);
    expect(&p, 200, "same");
    ck_assert_uint_eq(atomic_load(&by_loop), 0);
    live_close(&p);
    live_end(&l, 5000);
}
END_TEST

/* One thread was asked for, and there is one. */
START_TEST(without_a_pool_the_loop_writes)
{
    start(CONCUR_ENGINE_EVENT, "0");
    struct live_peer p = live_connect(&l);
    send_body(&p, SIZE);
    expect(&p, 200, "same");
    ck_assert_uint_gt(atomic_load(&by_loop), 0);
    ck_assert_uint_eq(atomic_load(&by_others), 0);
    live_close(&p);
    live_end(&l, 5000);
}
END_TEST
#endif

int main(void)
{
    Suite *suite = suite_create("core_spool");
    TCase *tests = tcase_create("all");
    tcase_set_timeout(tests, LIVE_PATIENCE_S);
#ifdef CNC_FAULTS
    const int n = (int)(sizeof engines / sizeof engines[0]);
    tcase_add_loop_test(tests, others_are_answered_while_a_disk_is_slow, 0, n);
    tcase_add_loop_test(tests, large_pieces_are_written, 0, n);
    tcase_add_loop_test(tests, a_client_leaves_while_its_body_is_written, 0, n);
    tcase_add_loop_test(tests, a_stop_waits_for_a_write, 0, n);
    tcase_add_loop_test(tests, a_failing_write_is_answered, 0, 2 * n);
    tcase_add_test(tests, without_a_pool_the_loop_writes);
#endif
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failures = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failures ? 1 : 0;
}
