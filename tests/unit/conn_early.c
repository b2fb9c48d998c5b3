/* SPDX-License-Identifier: MIT
 *
 * Bodies that are read before a thread takes their request. The rig is the poller; a second one, on a home that may block, is the
 * thread, which the test runs when a connection has been handed over.
 */
#include "conn_rig.h"

#include "base/fault.h"
#include "conn/early.h"

enum { BODY_MAX = 3000, BYTES_MAX = 8000, SUM_MAX = 1 << 20 };

static struct rig rig, thread;
static struct cnc_conn *handed; /* not served yet */
static unsigned handed_count;
static struct cnc_early_terms terms;
static atomic_size_t sum;

#define GET(path) "GET " path " HTTP/1.1\r\nHost: a\r\n\r\n"
#define CHUNKED "POST /body HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
#define CONTINUE "HTTP/1.1 100 Continue\r\n\r\n"

static void on_handover(struct cnc_driver *drv, struct cnc_conn *conn)
{
    (void)drv;
    ck_assert_ptr_null(handed);
    handed = conn;
    handed_count++;
}

static bool on_early(struct cnc_driver *drv, const struct cnc_conn *conn, const struct cnc_http_head *head, const char *bytes,
                     struct cnc_early_terms *out)
{
    (void)drv;
    (void)conn;
    (void)bytes;
    *out = terms;
    return head->content_length <= terms.body_max;
}

static bool yes(void *arg)
{
    (void)arg;
    return true;
}

static void start(void)
{
    rig_init(&rig, false);
    rig_init(&thread, true);
    thread.ms = rig.ms;
    thread.ops.early = on_early;
    rig.ops.early = on_early;
    rig.ops.handover = on_handover;
    thread.limits.output_high = 1 << 20;
    handed = NULL;
    handed_count = 0;
    terms = (struct cnc_early_terms){ .body_max = BODY_MAX, .bytes_max = BYTES_MAX, .sum = &sum, .sum_max = SUM_MAX };
    rig_connect(&rig);
}

/* Nothing is counted any more. */
static void stop(void)
{
    if (handed)
        cnc_conn_end(&rig.drv, handed);
    handed = NULL;
    rig_deinit(&rig);
    thread.peer = -1;
    rig_deinit(&thread);
    ck_assert_uint_eq(atomic_load(&sum), 0);
}

/* A thread takes what was handed over, and gives it back when it is idle. False: it is gone. */
static bool serve(void)
{
    struct cnc_conn *conn = handed;
    handed = NULL;
    ck_assert_ptr_nonnull(conn);
    thread.ms = rig.ms;
    cnc_home_leave(rig.home);
    cnc_home_adopt(thread.home);
    bool is_back = cnc_block_serve(&thread.drv, conn, yes, NULL);
    cnc_home_leave(thread.home);
    cnc_home_adopt(rig.home);
    if (is_back)
        cnc_driver_take(&rig.drv, conn);
    rig_turn(&rig);
    return is_back;
}

static uint64_t seed;

static unsigned any(unsigned below)
{
    seed = seed * UINT64_C(6364136223846793005) + 1442695040888963407u;
    return (unsigned)(seed >> 33) % below;
}

/* A request with a body of n bytes; returns its length. */
static size_t make(char *out, size_t n, bool is_chunked)
{
    size_t at = (size_t)sprintf(out, is_chunked ? CHUNKED : "POST /body HTTP/1.1\r\nHost: a\r\nContent-Length: %zu\r\n\r\n", n);
    for (size_t left = n; left > 0;) {
        size_t piece = is_chunked ? 1 + any(left < 300 ? (unsigned)left : 300) : left;
        if (is_chunked)
            at += (size_t)sprintf(out + at, any(4) ? "%zx\r\n" : "%zx;a=b\r\n", piece);
        memset(out + at, 'a' + (int)(left % 26), piece);
        at += piece;
        left -= piece;
        if (is_chunked)
            at += (size_t)sprintf(out + at, "\r\n");
    }
    if (is_chunked)
        at += (size_t)sprintf(out + at, any(2) ? "0\r\n\r\n" : "0\r\nX-Sum: 1\r\n\r\n");
    return at;
}

/* However it is cut, a thread gets it once, whole; what comes behind it is not lost. */
START_TEST(whole_however_it_is_cut)
{
    static char bytes[3 * BYTES_MAX];
    const bool is_chunked = _i % 2;
    for (unsigned round = 0; round < 60; round++) {
        seed = round * 2u + (unsigned)_i;
        char length[16];
        const size_t n = 1 + any(BODY_MAX), len = make(bytes, n, is_chunked);
        const size_t end = len + (size_t)sprintf(bytes + len, GET("/now"));
        start();
        for (size_t at = 0; at < end;) {
            size_t piece = 1 + any(round % 3 == 0 ? 20 : 1500);
            if (piece > end - at)
                piece = end - at;
            ck_assert_ptr_null(at < len ? handed : NULL);
            rig_send_n(&rig, bytes + at, piece);
            at += piece;
            ck_assert_uint_eq(handed_count, at >= len);
        }
        ck_assert(serve());
        snprintf(length, sizeof length, "\r\n\r\n%zu", n);
        const char *got = rig_read(&rig);
        ck_assert_msg(strstr(got, length) != NULL, "%s", got);
        if (handed) /* the one behind it */
            ck_assert(serve());
        ck_assert_uint_eq(rig_count(rig_read(&rig), "HTTP/1.1 200 OK"), 2);
        ck_assert_uint_eq(thread.begun, 2);
        ck_assert_uint_eq(rig.begun, 0);
        stop();
    }
}
END_TEST

/* Whoever reads the body says that it may come, and nobody else. */
START_TEST(continue_is_sent_once)
{
    start();
    rig_send(&rig, "POST /body HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n");
    ck_assert_str_eq(rig_take(&rig), CONTINUE);
    rig_send(&rig, "ab");
    ck_assert_uint_eq(handed_count, 0);
    rig_send(&rig, "cd");
    ck_assert(serve());
    ck_assert(rig_is_status(rig_take(&rig), "200"));
    /* It has come at once: the thread reads it. */
    rig_send(&rig, "POST /body HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\nabcd");
    ck_assert(serve());
    ck_assert_uint_eq(rig_count(rig_take(&rig), CONTINUE), 1);
    /* It grows too large after that. */
    rig_send(&rig, "POST /body HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nTransfer-Encoding: chunked\r\n\r\n");
    ck_assert_str_eq(rig_take(&rig), CONTINUE);
    terms.body_max = 2;
    rig_send(&rig, "4\r\nabcd\r\n");
    ck_assert_uint_eq(handed_count, 2);
    rig_send(&rig, "0\r\n\r\n");
    stop();
}
END_TEST

/* The time is that of a body, by its rate, not that of a head. */
START_TEST(a_slow_body_is_408)
{
    start();
    rig_send(&rig, "POST /body HTTP/1.1\r\nHost: a\r\nContent-Length: 2000\r\n\r\n");
    for (int i = 0; i < 10; i++) { /* 300 bytes in 3 s are fast enough */
        for (int k = 0; k < 5; k++)
            rig_send(&rig, "0123456789");
        rig_pass(&rig, 500);
    }
    ck_assert_str_eq(rig_take(&rig), "");
    for (int i = 0; i < 12 && !*rig_read(&rig); i++) {
        rig_send(&rig, "0123456789");
        rig_pass(&rig, 500);
    }
    ck_assert(rig_is_status(rig_read(&rig), "408"));
    ck_assert_uint_eq(handed_count, 0);
    stop();
}
END_TEST

START_TEST(a_bad_body_is_400)
{
    start();
    rig_send(&rig, CHUNKED "2\r\nab");
    rig_send(&rig, "cd");
    ck_assert(rig_is_status(rig_read(&rig), "400"));
    rig_send(&rig, "more");
    ck_assert_uint_eq(handed_count, 0);
    rig_pass(&rig, 600);
    ck_assert_uint_eq(rig.closed, 1);
    stop();
}
END_TEST

/* Whoever leaves at any byte costs no thread and leaves nothing. */
START_TEST(leaving_costs_no_thread)
{
    static const char text[] = CHUNKED "5\r\nhello\r\n3;a=b\r\nxyz\r\n0\r\nA: b\r\n\r\n";
    for (size_t at = 0; at < sizeof text - 1; at++) {
        start();
        rig_send_n(&rig, text, at);
        close(rig.peer);
        rig.peer = -1;
        rig_turn(&rig);
        ck_assert_uint_eq(rig.closed, 1);
        ck_assert_uint_eq(handed_count, 0);
        stop();
    }
}
END_TEST

/* At the bounds a thread takes what there is. */
START_TEST(what_is_too_large_is_handed_over)
{
    static char bytes[BYTES_MAX];
    for (int more = -1; more <= 1; more++) {
        start();
        rig_send(&rig, CHUNKED "fff\r\n");
        rig_send_n(&rig, bytes, (size_t)(BODY_MAX + more)); /* of the body */
        ck_assert_uint_eq(handed_count, more > 0);
        if (handed) { /* the thread has it, and waits: the rest is sent before */
            rig_send_n(&rig, bytes, 0xfff - (size_t)(BODY_MAX + more));
            rig_send(&rig, "\r\n0\r\n\r\n");
            ck_assert(serve());
            ck_assert(strstr(rig_read(&rig), "\r\n\r\n4095") != NULL);
        }
        stop();
        start();
        terms.bytes_max = sizeof CHUNKED - 1 + 100; /* of all */
        rig_send(&rig, CHUNKED "fff\r\n");
        rig_send_n(&rig, bytes, (size_t)(95 + more));
        ck_assert_uint_eq(handed_count, more > 0);
        stop();
        start();
        char head[100];
        snprintf(head, sizeof head, "POST /body HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n", BODY_MAX + more);
        rig_send(&rig, head); /* as its head says */
        ck_assert_uint_eq(handed_count, more > 0);
        stop();
    }
}
END_TEST

/* All have one bound; those over it are handed over as they are, and those within it stay. */
START_TEST(memory_has_a_bound)
{
    enum { CLIENTS = 64 };
    static char bytes[1000];
    int peers[CLIENTS];
    unsigned over = 0;
    start();
    terms.sum_max = 32000;
    for (int i = 0; i < CLIENTS; i++) {
        rig_connect(&rig);
        peers[i] = rig.peer;
        rig.peer = -1;
        ck_assert_int_gt(send(peers[i], CHUNKED "5\r\nhello", sizeof CHUNKED + 7, MSG_NOSIGNAL), 0);
        rig_turn(&rig);
        ck_assert_uint_le(atomic_load(&sum), 32000);
        if (handed) {
            ck_assert_uint_gt(atomic_load(&sum), 30000);
            cnc_conn_end(&rig.drv, handed);
            handed = NULL;
            over++;
        }
    }
    ck_assert_msg(over > 8 && over < CLIENTS - 8, "%u", over);
    /* Those that are there grow; the first for which there is no room goes. */
    const unsigned before = handed_count;
    for (int i = 0; i < CLIENTS && handed_count == before; i++) {
        ck_assert_int_gt(send(peers[i], "\r\n3e8\r\n", 7, MSG_NOSIGNAL), 0);
        rig_turn(&rig);
        ck_assert_int_gt(send(peers[i], bytes, sizeof bytes, MSG_NOSIGNAL), 0);
        rig_turn(&rig);
        ck_assert_uint_le(atomic_load(&sum), 32000);
    }
    ck_assert_uint_eq(handed_count, before + 1);
    for (int i = 0; i < CLIENTS; i++)
        close(peers[i]);
    stop();
}
END_TEST

/* The request's time counts from its head: once it is over, a thread answers. */
START_TEST(the_request_has_its_time)
{
    start();
    terms.timeout_ms = 700;
    int64_t head_at = rig.ms;
    rig_send(&rig, CHUNKED);
    rig_pass(&rig, 699);
    rig_send(&rig, "1\r\na");
    ck_assert_uint_eq(handed_count, 0);
    rig_pass(&rig, 1);
    ck_assert_uint_eq(handed_count, 1);
    ck_assert_int_eq(handed->deadline, head_at);
    ck_assert_int_eq(cnc_early_asked_at(handed), head_at + 700);
    stop();
    start(); /* an answer ends it too */
    terms.timeout_ms = 700;
    rig_send(&rig, CHUNKED);
    rig_send(&rig, "x\r\n");
    ck_assert(rig_is_status(rig_read(&rig), "400"));
    rig_pass(&rig, 400);
    rig_pass(&rig, 400);
    ck_assert_uint_eq(handed_count, 0);
    stop();
}
END_TEST

/* A thread that keeps its connection lets go of it when the next request has a body that is not complete. */
START_TEST(a_thread_does_not_wait_for_a_body)
{
    start();
    rig_send(&rig, GET("/now") "POST /body HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhel");
    ck_assert(serve());
    ck_assert_uint_eq(thread.begun, 1);
    ck_assert_uint_eq(handed_count, 1);
    ck_assert_uint_gt(atomic_load(&sum), 0);
    rig_send(&rig, "lo");
    ck_assert_uint_eq(handed_count, 2);
    ck_assert(serve());
    ck_assert_uint_eq(rig_count(rig_read(&rig), "HTTP/1.1 200 OK"), 2);
    stop();
}
END_TEST

/* The stop treats it as a head that is not complete. */
START_TEST(a_stop_lets_it_come)
{
    start();
    rig_send(&rig, CHUNKED "5\r\nhel");
    rig.draining = thread.draining = true;
    cnc_driver_drain(&rig.drv);
    rig_pass(&rig, 400);
    rig_send(&rig, "lo\r\n0\r\n\r\n");
    ck_assert_uint_eq(handed_count, 1);
    ck_assert(serve());
    ck_assert(strstr(rig_read(&rig), "Connection: close") != NULL);
    stop();
    start();
    rig_send(&rig, CHUNKED "5\r\nhel");
    cnc_driver_refuse_early(&rig.drv, 503);
    ck_assert(rig_is_status(rig_read(&rig), "503"));
    ck_assert_uint_eq(handed_count, 0);
    stop();
    start();
    rig_send(&rig, CHUNKED "5\r\nhel");
    cnc_driver_cancel(&rig.drv, CONCUR_E_STOPPING);
    ck_assert_uint_eq(rig.closed, 1);
    stop();
}
END_TEST

#ifdef CNC_FAULTS
/* The nth allocation fails. */
START_TEST(no_memory)
{
    static char bytes[2900];
    bool untouched = false;
    for (unsigned nth = 1; !untouched; nth++) {
        ck_assert_uint_lt(nth, 50);
        start();
        cnc_fault_arm(CNC_FAULT_ALLOC, nth, false);
        (void)send(rig.peer, CHUNKED, sizeof CHUNKED - 1, MSG_NOSIGNAL);
        rig_turn(&rig);
        for (int i = 0; i < 4 && rig.closed == 0; i++) {
            (void)send(rig.peer, "2bc\r\n", 5, MSG_NOSIGNAL);
            (void)send(rig.peer, bytes, 700, MSG_NOSIGNAL);
            (void)send(rig.peer, "\r\n", 2, MSG_NOSIGNAL);
            rig_turn(&rig);
        }
        (void)send(rig.peer, "0\r\n\r\n", 5, MSG_NOSIGNAL);
        rig_turn(&rig);
        untouched = cnc_fault_count(CNC_FAULT_ALLOC) < nth;
        cnc_fault_arm(CNC_FAULT_ALLOC, 0, false);
        ck_assert(handed || rig.closed == 1);
        if (handed)
            ck_assert(serve());
        stop();
    }
}
END_TEST
#endif

int main(void)
{
    Suite *s = suite_create("conn_early");
    TCase *t = tcase_create("early");
    tcase_set_timeout(t, 60);
    tcase_add_loop_test(t, whole_however_it_is_cut, 0, 2);
    tcase_add_test(t, continue_is_sent_once);
    tcase_add_test(t, a_slow_body_is_408);
    tcase_add_test(t, a_bad_body_is_400);
    tcase_add_test(t, leaving_costs_no_thread);
    tcase_add_test(t, what_is_too_large_is_handed_over);
    tcase_add_test(t, memory_has_a_bound);
    tcase_add_test(t, the_request_has_its_time);
    tcase_add_test(t, a_thread_does_not_wait_for_a_body);
    tcase_add_test(t, a_stop_lets_it_come);
#ifdef CNC_FAULTS
    tcase_add_test(t, no_memory);
#endif
    suite_add_tcase(s, t);
    return rig_run(s);
}
