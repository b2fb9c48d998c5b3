/* SPDX-License-Identifier: MIT
 *
 * Many requests on one connection before a reply is read: what is kept of them is bounded whatever their length, and each
 * one is answered, whenever the peer takes how much of the output.
 *
 * CONCUR_TEST_SEED: where the drawn runs begin.
 */
#include "conn_rig.h"

#include "conn/input.h"

static struct rig rig;
static uint64_t seed;
static unsigned answered;

static unsigned below(unsigned n)
{
    seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (unsigned)((seed >> 33) % n);
}

static void seed_from(unsigned run)
{
    const char *text = getenv("CONCUR_TEST_SEED");
    seed = (text ? strtoull(text, NULL, 0) : UINT64_C(20261128)) * 1000 + run;
    for (int i = 0; i < 4; i++)
        below(2);
}

/* As many as there are: a request that has its reply makes room for the next one. */
static int on_request(struct cnc_conn *conn, const struct cnc_http_head *head, const char *bytes)
{
    rig.begun = 0;
    answered++;
    return rig_on_request(conn, head, bytes);
}

/* What the peer takes is drawn: nothing, some, or all. */
static ssize_t write_some(int fd, void *state, const struct iovec *iov, int count)
{
    struct iovec first = iov[0];
    switch (below(3)) {
    case 0:
        return -EAGAIN;
    case 1:
        first.iov_len = 1 + below((unsigned)first.iov_len);
        return cnc_transport_plain.write(fd, state, &first, 1);
    default:
        return cnc_transport_plain.write(fd, state, iov, count);
    }
}

static size_t put_request(char *out, size_t length)
{
    static const char before[] = "GET /now?", behind[] = " HTTP/1.1\r\nHost:e\r\n\r\n";
    const size_t fixed = sizeof before - 1 + sizeof behind - 1;
    memcpy(out, before, sizeof before - 1);
    memset(out + sizeof before - 1, 'q', length - fixed);
    memcpy(out + length - (sizeof behind - 1), behind, sizeof behind - 1);
    return length;
}

enum { SHORTEST = 30, LONGEST = 200, REQUESTS = 3000 };

static void start(bool fickle)
{
    rig_init(&rig, false);
    rig.ops.request = on_request;
    if (fickle)
        rig.transport.write = write_some;
    answered = 0;
    rig_connect(&rig);
}

/* ---- a thread beside the loop, which is then its poller; both are played by the test's thread ---- */

static struct cnc_home *thread_home;
static struct cnc_driver thread_drv;
static struct cnc_conn_ops thread_ops;
static struct cnc_conn *handed;

static void handover(struct cnc_driver *drv, struct cnc_conn *conn)
{
    (void)drv;
    handed = conn;
}

static bool is_wanted(void *arg)
{
    (void)arg;
    return below(4) == 0;
}

static ssize_t read_at_once(int fd, void *state, void *p, size_t n, bool wait)
{
    (void)wait;
    return cnc_transport_plain.read(fd, state, p, n, false);
}

static void start_thread(void)
{
    start(true);
    thread_ops = rig.ops;
    rig.ops.handover = handover;
    rig.transport.read = read_at_once;
    ck_assert_int_eq(cnc_desk_create(&thread_home, &rig.clock, rig.limits.http.fields_max, true), CONCUR_OK);
    cnc_driver_init(&thread_drv, thread_home, &rig.limits, &thread_ops, &rig, &rig.draining);
}

static void end_thread(void)
{
    ck_assert_uint_eq(thread_drv.count, 0);
    ck_assert_uint_eq(thread_drv.illegal, 0);
    cnc_driver_deinit(&thread_drv);
    cnc_home_close(&thread_home);
}

static void turn(bool threaded)
{
    cnc_home_turn(rig.home, 0);
    struct cnc_conn *conn = handed;
    handed = NULL;
    if (threaded && conn && cnc_block_serve(&thread_drv, conn, is_wanted, NULL))
        cnc_driver_take(&rig.drv, conn);
}

/* What the poller has parsed the thread does not parse again: it would find no head in these bytes any more. */
static void spoil_kept_head(void)
{
    struct cnc_input *in = handed->in;
    ck_assert(in->has_head);
    ck_assert_uint_eq(in->head.field_count, 2);
    memset(in->data, '\0', 3); /* the method: it was recognised already */
}

static int on_request_kept(struct cnc_conn *conn, const struct cnc_http_head *head, const char *bytes)
{
    const struct cnc_http_field *f = &head->fields[1];
    ck_assert_int_eq(head->method, CNC_HTTP_GET);
    ck_assert_uint_eq(f->name_len, 5);
    ck_assert_int_eq(memcmp(bytes + f->name, "X-One", 5), 0);
    ck_assert_int_eq(memcmp(bytes + f->value, "first", f->value_len), 0);
    return rig_on_request(conn, head, bytes);
}

static void hand_over_kept(const char *first, const char *second)
{
    start_thread();
    thread_ops.request = on_request_kept;
    rig.ops.keeps_head = true;
    rig_send(&rig, first);
    if (second) {
        ck_assert_ptr_null(handed);
        rig_send(&rig, second);
    }
    ck_assert_ptr_nonnull(handed);
    spoil_kept_head();
    while (handed)
        turn(true);
    rig_turn(&rig);
    ck_assert_uint_eq(rig.begun, 1);
    ck_assert_ptr_nonnull(strstr(rig_read(&rig), "HTTP/1.1 200"));
    end_thread();
    rig_deinit(&rig);
}

START_TEST(a_head_is_parsed_once_in_a_process)
{
    static const char whole[] = "GET /now HTTP/1.1\r\nHost: a\r\nX-One: first\r\n\r\n";
    hand_over_kept(whole, NULL);
    for (size_t i = 1; i < sizeof whole - 1; i++) {
        char first[sizeof whole];
        snprintf(first, sizeof first, "%.*s", (int)i, whole);
        hand_over_kept(first, whole + i);
    }
}
END_TEST

/* Nobody reads: the server stops to read soon, and keeps no more than one read and what may wait behind a request. */
static void flood(size_t length)
{
    static char all[1 << 20];
    size_t n = 0, sent = 0;
    start(false);
    while (n + length <= sizeof all)
        n += put_request(all + n, length);
    for (int quiet = 0; quiet < 3; quiet++) {
        ssize_t some = send(rig.peer, all + sent % n, n - sent % n, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (some > 0) {
            sent += (size_t)some;
            quiet = 0;
        }
        rig_turn(&rig);
        const size_t kept = cnc_conn_input(rig.conn).n;
        ck_assert_msg(kept <= CNC_DESK_SCRATCH, "requests of %zu bytes: %zu bytes kept", length, kept);
        ck_assert_msg(sent < 16 << 20, "requests of %zu bytes: %zu bytes taken", length, sent);
    }
    const size_t queued = cnc_conn_queued(rig.conn);
    ck_assert_msg(queued <= 2 * CNC_DESK_SCRATCH, "requests of %zu bytes: %zu bytes of output queued", length, queued);
    rig_deinit(&rig);
}

START_TEST(nobody_reads)
{
    for (size_t length = SHORTEST; length <= LONGEST; length++)
        flood(length);
}
END_TEST

/* All requests are there before the first reply leaves, so that nothing but the library itself can go on with them. */
static void answer_all(unsigned run, bool threaded)
{
    static char all[REQUESTS * LONGEST];
    static const char answer[] = "\r\n\r\nok";
    unsigned got = 0;
    size_t n = 0, sent = 0, looked_at = 0;
    seed_from(run);
    const size_t fixed = below(2) ? 0 : SHORTEST + below(LONGEST - SHORTEST + 1);
    for (int i = 0; i < REQUESTS; i++)
        n += put_request(all + n, fixed ? fixed : SHORTEST + below(LONGEST - SHORTEST + 1));
    if (threaded)
        start_thread();
    else
        start(true);
    for (int quiet = 0; quiet < 200 && got < REQUESTS; quiet++) {
        ssize_t some = sent < n ? send(rig.peer, all + sent, n - sent, MSG_NOSIGNAL | MSG_DONTWAIT) : 0;
        if (some > 0)
            sent += (size_t)some;
        turn(threaded);
        if (sent < n && below(3)) /* replies pile up while requests still come */
            continue;
        const unsigned more = rig_count(rig_read(&rig) + looked_at, answer);
        looked_at = rig.got_len > sizeof answer - 2 ? rig.got_len - (sizeof answer - 2) : 0; /* one may be there in part */
        if (more || some > 0)
            quiet = 0;
        got += more;
        ck_assert_msg(!rig.eof && !rig.reset, "run %u: ended after %u", run, got);
    }
    ck_assert_msg(got == REQUESTS && answered == REQUESTS, "run %u: %u sent, %u begun, %u answered", run, REQUESTS, answered,
                  got);
    rig_deinit(&rig);
    if (threaded)
        end_thread();
}

START_TEST(every_request_is_answered)
{
    for (unsigned run = 0; run < 100; run++)
        answer_all(run, _i);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("conn_pipeline");
    TCase *tests = tcase_create("all");
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, nobody_reads);
    tcase_add_test(tests, a_head_is_parsed_once_in_a_process);
    tcase_add_loop_test(tests, every_request_is_answered, 0, 2);
    suite_add_tcase(suite, tests);
    return rig_run(suite);
}
