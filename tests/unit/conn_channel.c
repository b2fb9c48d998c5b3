/* SPDX-License-Identifier: MIT
 *
 * A request on one thread, its connection on the loop of another. The request's thread plays a script; the loop's thread,
 * which is the test's own, turns until the script has posted its end.
 */
#include "conn/channel.h"

#include "base/fault.h"
#include "conn_rig.h"

static struct rig rig;

struct remote {
    struct cnc_task ended; /* posted to the loop when the script is over */
    struct cnc_channel *ch;
    struct rig_request *q;
    struct cnc_home *home; /* the thread's */
    void (*script)(struct remote *);
    pthread_t thread;
    atomic_size_t sent;
    bool started, is_over;
    unsigned fail_nth; /* allocation, once the thread is ready */
    int rc;
};

static struct remote remote;

#define GET(path) "GET " path " HTTP/1.1\r\nHost: a\r\n\r\n"

static void on_ended(struct cnc_task *task)
{
    CNC_CONTAINER(task, struct remote, ended)->is_over = true;
}

static void *remote_main(void *arg)
{
    struct remote *r = arg;
    ck_assert_int_eq(cnc_desk_create(&r->home, &cnc_clock_system, 8, true), CONCUR_OK);
    ck_assert_int_eq(cnc_home_need_loop(r->home), CONCUR_OK);
#ifdef CNC_FAULTS
    if (r->fail_nth)
        cnc_fault_arm(CNC_FAULT_ALLOC, r->fail_nth, false);
#endif
    r->started = cnc_channel_start(r->ch, r->home);
    ck_assert(r->started == (r->q->stream.carrier != NULL));
    if (r->started)
        r->script(r);
    cnc_home_close(&r->home);
    r->ended.run = on_ended;
    ck_assert_int_eq(cnc_home_post(rig.home, &r->ended), CONCUR_OK);
    return NULL;
}

/* ---- on the request's thread ---- */

static int remote_reply(struct remote *r, int64_t len, const char *p, size_t n, bool last)
{
    char name[] = "X-From", value[] = "there"; /* gone as soon as the call returns, as is the array */
    struct cnc_http_pair field = { { name, strlen(name) }, { value, strlen(value) } };
    struct cnc_http_reply reply = { .status = 200, .length = len, .type = CNC_SLICE("text/plain"),
                                    .fields = { &field, 1, (uint32_t)cnc_http_pair_size(&field) }, .minor = 1,
                                    .method = CNC_HTTP_GET, .keep_alive = true };
    struct cnc_piece piece = { .p = p, .n = n }, none = { 0 };
    if (last)
        return r->q->stream.down->reply(&r->q->stream, &reply, &piece, true);
    int rc = r->q->stream.down->reply(&r->q->stream, &reply, &none, false);
    return rc < 0 || !n ? rc : r->q->stream.down->data(&r->q->stream, &piece, false);
}

static void answer(struct remote *r)
{
    char text[] = "from there"; /* gone as soon as the call returns */
    r->rc = remote_reply(r, 10, text, 10, true);
    memset(text, 'x', sizeof text);
    rig_failed(r->q, r->rc);
}

static void wait_gone(struct remote *r)
{
    while (!r->q->gone_count)
        cnc_home_turn(r->home, -1);
}

static void wait_gone_in_check(struct remote *r)
{
    while (r->q->stream.down->check(&r->q->stream) == 0)
        sched_yield();
    wait_gone(r);
}

enum { TOTAL = 4 << 20, PIECE = 16384, BOUND = 65536 };

static void pour(struct remote *r)
{
    static char piece[PIECE];
    r->rc = remote_reply(r, TOTAL, NULL, 0, false);
    for (size_t at = 0; at < TOTAL && r->rc >= 0; at += PIECE) {
        memset(piece, 'a' + (int)(at / PIECE % 26), PIECE);
        r->rc = rig_data(r->q, piece, PIECE, at + PIECE == TOTAL);
        if (r->rc >= 0)
            atomic_fetch_add(&r->sent, PIECE);
    }
    if (r->q->stream.carrier) {
        ck_assert_int_lt(r->rc, 0);
        r->q->stream.down->abort(&r->q->stream);
    }
}

static void start_and_abort(struct remote *r)
{
    r->rc = remote_reply(r, 100, "some", 4, false);
    r->q->stream.down->abort(&r->q->stream);
    ck_assert_ptr_null(r->q->stream.carrier);
}

static void read_body(struct remote *r)
{
    struct rig_request *q = r->q;
    unsigned resumed = 0;
    q->stream.down->want_body(&q->stream, true);
    while (!q->ends && !q->gone_count) {
        cnc_home_turn(r->home, -1);
        if (rig.every_second && q->offers % 2 && q->offers > resumed && !q->ends && q->stream.carrier) {
            resumed = q->offers;
            q->stream.down->resume_body(&q->stream);
        }
    }
    if (q->stream.carrier) {
        char text[24];
        int n = snprintf(text, sizeof text, "%zu", q->body_len);
        r->rc = remote_reply(r, n, text, (size_t)n, true);
        rig_failed(q, r->rc);
    }
}

static void ask_for_drain(struct remote *r)
{
    r->q->stream.down->want_drain(&r->q->stream, false);
    ck_assert_uint_eq(r->q->drains, 0);
    ck_assert(!r->q->stream.down->is_full(&r->q->stream));
    while (!r->q->drains && !r->q->gone_count)
        cnc_home_turn(r->home, -1);
    if (r->q->gone_count)
        return;
    char peer[96];
    ck_assert_uint_gt(r->q->stream.down->peer(&r->q->stream, peer, sizeof peer), 0);
    ck_assert_uint_eq(r->q->stream.down->peer(&r->q->stream, peer, 2), 0);
    answer(r);
}

/* ---- on the loop's thread ---- */

static bool open_channel(const char *text, void (*script)(struct remote *), size_t bytes_max)
{
    rig_init(&rig, false);
    rig_connect(&rig);
    rig_send(&rig, text);
    remote = (struct remote){ .q = rig_last(&rig), .script = script };
    return cnc_channel_open(&remote.ch, &remote.q->stream, rig.home, bytes_max) == CONCUR_OK;
}

static void go(void)
{
    ck_assert_int_eq(pthread_create(&remote.thread, NULL, remote_main, &remote), 0);
}

static void join(void)
{
    while (!remote.is_over)
        cnc_home_turn(rig.home, -1);
    pthread_join(remote.thread, NULL);
    rig_turn(&rig);
}

static void end(void)
{
    ck_assert_uint_eq(cnc_desk_of(rig.home)->live, 0);
    rig_deinit(&rig);
}

static void leave(void)
{
    close(rig.peer);
    rig.peer = -1;
}

START_TEST(a_reply_comes_back)
{
    ck_assert(open_channel(GET("/wait"), answer, BOUND));
    ck_assert_uint_eq(cnc_desk_of(rig.home)->live, 1);
    go();
    join();
    ck_assert_int_eq(remote.rc, CONCUR_OK);
    ck_assert(rig_is_status(rig_read(&rig), "200"));
    ck_assert_ptr_nonnull(strstr(rig.got, "X-From: there\r\n"));
    ck_assert_ptr_nonnull(strstr(rig.got, "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n"));
    ck_assert_str_eq(strstr(rig.got, "\r\n\r\n"), "\r\n\r\nfrom there");
    rig_send(&rig, GET("/now")); /* the connection goes on */
    ck_assert_uint_eq(rig.begun, 2);
    end();
}
END_TEST

START_TEST(drains_and_addresses)
{
    ck_assert(open_channel(GET("/wait"), ask_for_drain, BOUND));
    go();
    join();
    ck_assert_uint_eq(remote.q->drains, 1);
    ck_assert(rig_is_status(rig_read(&rig), "200"));
    end();
}
END_TEST

/* What is under way never exceeds the socket's buffer, the connection's mark and the channel's bound. */
START_TEST(a_writer_waits_for_a_slow_reader)
{
    static char some[8192];
    size_t got = 0, head = 0;
    ck_assert(open_channel(GET("/wait"), pour, BOUND));
    int room = 65536;
    ck_assert_int_eq(setsockopt(cnc_io_fd(&rig.conn->io), SOL_SOCKET, SO_SNDBUF, &room, sizeof room), 0);
    go();
    while (got < TOTAL) {
        cnc_home_turn(rig.home, 0);
        size_t sent = atomic_load(&remote.sent);
        ck_assert_uint_le(sent > got ? sent - got : 0, 4 * 65536 + rig.limits.output_high + BOUND + 2 * PIECE);
        ssize_t n = recv(rig.peer, some, head ? sizeof some : 1024, MSG_DONTWAIT);
        if (n <= 0)
            continue;
        char *at = some;
        if (!head) { /* the head comes in one piece */
            at = memmem(some, (size_t)n, "\r\n\r\n", 4);
            ck_assert_ptr_nonnull(at);
            at += 4;
            head = (size_t)(at - some);
        }
        for (; at < some + n; at++, got++)
            if (*at != 'a' + (int)(got / PIECE % 26))
                ck_abort_msg("byte %zu is %d", got, *at);
    }
    join();
    ck_assert_int_eq(remote.rc, CONCUR_OK);
    ck_assert_uint_eq(got, TOTAL);
    end();
}
END_TEST

START_TEST(an_abort_cuts_the_reply)
{
    ck_assert(open_channel(GET("/wait"), start_and_abort, BOUND));
    go();
    join();
    ck_assert_ptr_nonnull(strstr(rig_read(&rig), "\r\n\r\nsome"));
    ck_assert(rig.eof);
    end();
}
END_TEST

START_TEST(a_peer_that_leaves_before_the_start)
{
    ck_assert(open_channel(GET("/wait"), answer, BOUND));
    leave();
    rig_turn(&rig);
    ck_assert_uint_eq(rig.closed, 1);
    go();
    join();
    ck_assert(!remote.started);
    ck_assert_uint_eq(remote.q->gone_count, 0); /* told by the start */
    end();
}
END_TEST

START_TEST(a_peer_that_leaves_while_the_request_waits)
{
    void (*scripts[])(struct remote *) = { wait_gone, wait_gone_in_check };
    for (unsigned i = 0; i < CNC_COUNT(scripts); i++) {
        ck_assert(open_channel(GET("/wait"), scripts[i], BOUND));
        go();
        leave();
        join();
        if (remote.started) {
            ck_assert_uint_eq(remote.q->gone_count, 1);
            ck_assert_int_eq(remote.q->gone, CONCUR_E_GONE);
        }
        ck_assert_ptr_null(remote.q->stream.carrier);
        end();
    }
}
END_TEST

START_TEST(a_peer_that_leaves_while_the_writer_waits)
{
    ck_assert(open_channel(GET("/wait"), pour, BOUND));
    go();
    while (atomic_load(&remote.sent) < 2 * BOUND)
        cnc_home_turn(rig.home, 0);
    leave();
    join();
    ck_assert_int_eq(remote.rc, CONCUR_E_GONE);
    ck_assert_uint_lt(remote.sent, TOTAL);
    end();
}
END_TEST

/* Reply and departure cross in every way; nothing is told twice, nothing is left. */
START_TEST(replies_race_with_departures)
{
    for (int i = 0; i < 300; i++) {
        ck_assert(open_channel(GET("/wait"), i % 2 ? answer : start_and_abort, BOUND));
        go();
        for (int k = 0; k < i % 7; k++)
            cnc_home_turn(rig.home, 0);
        leave();
        join();
        ck_assert_uint_eq(remote.q->gone_count, 0); /* it had its last word before it could hear of it */
        ck_assert_ptr_null(remote.q->stream.carrier);
        end();
    }
}
END_TEST

enum { BODY = 60000 };

static char body_byte(size_t at)
{
    return (char)('A' + at / 7 % 23);
}

/* Sends the body as fast as it is taken; returns what was sent. */
static size_t send_body(size_t stop_at)
{
    size_t at = 0;
    while (at < stop_at && !remote.is_over) {
        char some[1000];
        size_t n = stop_at - at < sizeof some ? stop_at - at : sizeof some;
        for (size_t i = 0; i < n; i++)
            some[i] = body_byte(at + i);
        ssize_t put = send(rig.peer, some, n, MSG_NOSIGNAL | MSG_DONTWAIT);
        at += put > 0 ? (size_t)put : 0;
        cnc_home_turn(rig.home, 0);
    }
    return at;
}

#define POST "POST /wait HTTP/1.1\r\nHost: a\r\nContent-Length: 60000\r\n\r\n"

START_TEST(a_body_comes_up_whole_and_in_order)
{
    ck_assert(open_channel(POST, read_body, 4096));
    rig.every_second = _i;
    go();
    ck_assert_uint_eq(send_body(BODY), BODY);
    join();
    struct rig_request *q = remote.q;
    ck_assert_uint_eq(q->ends, 1);
    ck_assert_uint_eq(q->body_len, BODY);
    for (size_t i = 0; i < BODY; i++)
        if (q->body[i] != body_byte(i))
            ck_abort_msg("byte %zu", i);
    ck_assert_ptr_nonnull(strstr(rig_read(&rig), "\r\n\r\n60000"));
    end();
}
END_TEST

START_TEST(a_peer_that_leaves_within_its_body)
{
    ck_assert(open_channel(POST, read_body, 4096));
    rig.every_second = _i;
    go();
    send_body(BODY / 2);
    leave();
    join();
    if (remote.started)
        ck_assert_uint_eq(remote.q->gone_count, 1);
    ck_assert_uint_eq(remote.q->ends, 0);
    end();
}
END_TEST

/* ---- a request that wants no more of its body ---- */

static void refuse_body(struct remote *r)
{
    struct rig_request *q = r->q;
    q->stream.down->want_body(&q->stream, true);
    while (!q->offers)
        cnc_home_turn(r->home, -1);
    for (int i = 0; i < 1000 && !q->gone_count; i++)
        cnc_home_turn(r->home, 0);
    if (q->stream.carrier)
        r->rc = remote_reply(r, 8, "too much", 8, true);
}

START_TEST(a_request_that_wants_no_more_gets_no_more)
{
    ck_assert(open_channel(POST, refuse_body, 4096));
    strcpy(remote.q->path, "/hold");
    rig.take = CONCUR_E_LIMIT;
    go();
    send_body(20000);
    join();
    ck_assert_uint_eq(remote.q->offers, 1);
    ck_assert_uint_eq(remote.q->ends, 0);
    ck_assert_ptr_nonnull(strstr(rig_read(&rig), "too much"));
    end();
}
END_TEST

#ifdef CNC_FAULTS
/* Without memory a request fails, and both sides get to know; whoever would wait for ever would hang here. */
START_TEST(no_memory_ends_the_request_on_both_sides)
{
    static const struct {
        const char *text;
        void (*script)(struct remote *);
        size_t body;
        bool every_second;
    } rows[] = {
        { GET("/wait"), answer, 0, false },         { GET("/wait"), start_and_abort, 0, false },
        { POST, read_body, BODY, false },           { POST, read_body, BODY, true },
        { GET("/wait"), ask_for_drain, 0, false },
    };
    for (unsigned i = 0; i < CNC_COUNT(rows); i++)
        for (unsigned nth = 1; nth < 60; nth++) {
            ck_assert(open_channel(rows[i].text, rows[i].script, 4096));
            rig.every_second = rows[i].every_second;
            ck_assert_int_eq(cnc_desk_need_scratch(rig.home), CONCUR_OK);
            remote.fail_nth = nth;
            go();
            if (rows[i].body)
                send_body(rows[i].body);
            join();
            bool untouched = cnc_fault_count(CNC_FAULT_ALLOC) < nth;
            cnc_fault_arm(CNC_FAULT_ALLOC, 0, false);
            if (remote.q->stream.carrier)
                ck_abort_msg("row %u, allocation %u: still attached", i, nth);
            end();
            if (untouched)
                break;
        }
}
END_TEST
#endif

int main(void)
{
    Suite *suite = suite_create("conn_channel");
    TCase *tests = tcase_create("all");
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, a_reply_comes_back);
    tcase_add_test(tests, drains_and_addresses);
    tcase_add_test(tests, a_writer_waits_for_a_slow_reader);
    tcase_add_test(tests, an_abort_cuts_the_reply);
    tcase_add_test(tests, a_peer_that_leaves_before_the_start);
    tcase_add_test(tests, a_peer_that_leaves_while_the_request_waits);
    tcase_add_test(tests, a_peer_that_leaves_while_the_writer_waits);
    tcase_add_test(tests, replies_race_with_departures);
    tcase_add_loop_test(tests, a_body_comes_up_whole_and_in_order, 0, 2);
    tcase_add_loop_test(tests, a_peer_that_leaves_within_its_body, 0, 2);
    tcase_add_test(tests, a_request_that_wants_no_more_gets_no_more);
#ifdef CNC_FAULTS
    tcase_add_test(tests, no_memory_ends_the_request_on_both_sides);
#endif
    suite_add_tcase(suite, tests);
    return rig_run(suite);
}
