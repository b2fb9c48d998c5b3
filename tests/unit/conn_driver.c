/* SPDX-License-Identifier: MIT
 *
 * The event driver over a socket pair, with time moved by hand: every deadline, pipelining, stop.
 */
#include "conn_rig.h"

static struct rig rig;

static void start(void)
{
    rig_init(&rig, false);
    rig_connect(&rig);
}

#define GET(path) "GET " path " HTTP/1.1\r\nHost: a\r\n\r\n"
#define POST(path, n) "POST " path " HTTP/1.1\r\nHost: a\r\nContent-Length: " n "\r\n\r\n"

/* ---- deadlines ---- */

/* Absolute: bytes that keep coming buy no time. */
START_TEST(a_slow_head_gets_408)
{
    start();
    for (int i = 0; i < 9; i++) {
        rig_send(&rig, i == 0 ? "GET / HTTP/1.1\r\n" : "X: y\r\n");
        rig_pass(&rig, 100);
        ck_assert_str_eq(rig_read(&rig), "");
    }
    rig_pass(&rig, 99);
    ck_assert_str_eq(rig_read(&rig), "");
    rig_pass(&rig, 1);
    ck_assert(rig_is_status(rig_read(&rig), "408"));
    ck_assert(rig.eof);
    ck_assert_int_eq(rig.conn->state, CNC_CONN_LINGER);
    rig_deinit(&rig);
}
END_TEST

START_TEST(a_connection_that_never_speaks_is_closed_without_a_word)
{
    start();
    rig_pass(&rig, 999);
    rig_read(&rig);
    ck_assert(!rig.eof);
    rig_pass(&rig, 1);
    ck_assert_str_eq(rig_read(&rig), "");
    ck_assert(rig.eof);
    rig_pass(&rig, 500);
    ck_assert_uint_eq(rig.closed, 1);
    rig_deinit(&rig);
}
END_TEST

/* The time of a head runs from its first byte where a request came before it. */
START_TEST(a_later_head_has_its_own_time)
{
    start();
    rig_send(&rig, GET("/now"));
    rig_take(&rig);
    rig_pass(&rig, 1500);
    rig_send(&rig, "GET");
    rig_pass(&rig, 999);
    ck_assert_str_eq(rig_read(&rig), "");
    rig_pass(&rig, 1);
    ck_assert(rig_is_status(rig_read(&rig), "408"));
    rig_deinit(&rig);
}
END_TEST

START_TEST(idle_connections_are_closed_after_keepalive)
{
    start();
    for (int i = 0; i < 3; i++) {
        rig_send(&rig, GET("/now"));
        ck_assert(rig_is_status(rig_take(&rig), "200"));
        rig_pass(&rig, 1999);
        rig_read(&rig);
        ck_assert(!rig.eof);
    }
    rig_send(&rig, "\r\n"); /* an empty line is no request */
    rig_pass(&rig, 1);
    ck_assert_str_eq(rig_read(&rig), "");
    ck_assert(rig.eof);
    rig_deinit(&rig);
}
END_TEST

static void dribble(unsigned per_second, unsigned seconds)
{
    char bytes[1000];
    memset(bytes, 'b', sizeof bytes);
    for (unsigned i = 0; i < seconds * 10; i++) {
        rig_send_n(&rig, bytes, per_second / 10);
        rig_pass(&rig, 100);
    }
}

START_TEST(a_body_below_the_rate_gets_408)
{
    start();
    rig_send(&rig, POST("/body", "60000"));
    dribble(90, 2);
    rig_read(&rig);
    ck_assert_str_eq(rig.got, "");
    dribble(90, 1);
    ck_assert(rig_is_status(rig_read(&rig), "408"));
    ck_assert_int_eq(rig_last(&rig)->gone, CONCUR_E_GONE);
    ck_assert_uint_eq(rig_last(&rig)->gone_count, 1);
    rig_deinit(&rig);
}
END_TEST

START_TEST(a_body_above_the_rate_is_read_however_long_it_takes)
{
    start();
    rig_send(&rig, POST("/body", "3300"));
    dribble(110, 30);
    ck_assert(rig_is_status(rig_read(&rig), "200"));
    ck_assert_ptr_nonnull(strstr(rig.got, "\r\n\r\n3300"));
    rig_deinit(&rig);
}
END_TEST

static size_t swallowed;

/* As a very fast peer would fill it; what is waiting at the descriptor stays there, so that it is always ready. */
static ssize_t read_at_once(int fd, void *state, void *p, size_t n, bool wait)
{
    (void)fd;
    (void)state;
    (void)wait;
    memset(p, 'x', 16);
    swallowed += n;
    return (ssize_t)n;
}

/* More in one term than 32 bits count. */
START_TEST(the_rate_of_a_fast_body_is_counted_in_full)
{
    start();
    rig.limits.body_rate_min = 1500 * 1000 * 1000;
    swallowed = 0;
    rig_send(&rig, POST("/sink", "5000000000"));
    rig.transport.read = read_at_once;
    rig_send(&rig, "x");
    while (swallowed < (size_t)4600 * 1000 * 1000)
        cnc_home_turn(rig.home, 0);
    rig.transport.read = cnc_transport_plain.read;
    rig_pass(&rig, 3000);
    ck_assert_str_eq(rig_read(&rig), "");
    ck_assert_uint_eq(rig_last(&rig)->gone_count, 0);
    rig_deinit(&rig);
}
END_TEST

START_TEST(a_body_that_stops_gets_408_even_without_a_rate)
{
    start();
    rig.limits.body_rate_min = _i;
    rig_send(&rig, POST("/body", "100"));
    rig_pass(&rig, 2999);
    ck_assert_str_eq(rig_read(&rig), "");
    rig_pass(&rig, 1);
    ck_assert(rig_is_status(rig_read(&rig), "408"));
    rig_deinit(&rig);
}
END_TEST

/* A rate so small that it rounds to nothing still asks for something. */
START_TEST(a_rate_that_rounds_to_nothing)
{
    rig_init(&rig, false);
    rig.limits.body_rate_min = 1;
    rig.limits.class_ms[CNC_CLASS_BODY] = 900;
    rig_connect(&rig);
    rig_send(&rig, POST("/body", "100"));
    rig_pass(&rig, 900);
    ck_assert(rig_is_status(rig_read(&rig), "408"));
    rig_deinit(&rig);
}
END_TEST

/* Time that the request itself spends is not the peer's. */
START_TEST(a_paused_body_has_no_deadline)
{
    start();
    rig.take = CONCUR_AGAIN;
    rig_send(&rig, POST("/hold", "10") "01234");
    rig_pass(&rig, 1000000);
    ck_assert_uint_eq(rig.closed, 0);
    ck_assert_uint_eq(rig_last(&rig)->offers, 1);
    rig.take = CONCUR_OK;
    rig_last(&rig)->stream.down->resume_body(&rig_last(&rig)->stream);
    rig_turn(&rig);
    ck_assert_uint_eq(rig_last(&rig)->body_len, 5);
    rig_pass(&rig, 3000);
    ck_assert(rig_is_status(rig_read(&rig), "408"));
    rig_deinit(&rig);
}
END_TEST

START_TEST(a_handler_at_work_has_no_deadline)
{
    start();
    rig_send(&rig, GET("/wait"));
    rig_pass(&rig, 100000000);
    ck_assert_uint_eq(rig.closed, 0);
    rig_reply(rig_last(&rig), 200, "late", true);
    rig_turn(&rig);
    ck_assert(rig_is_status(rig_read(&rig), "200"));
    rig_deinit(&rig);
}
END_TEST

/* TCP, as there are no resets elsewhere. */
START_TEST(a_peer_that_does_not_read_is_reset)
{
    int fds[2];
    rig_init(&rig, false);
    rig_pair_tcp(fds);
    rig_own(&rig, fds[0], fds[1]);
    cnc_driver_take(&rig.drv, rig.conn);
    rig.large = 1 << 20;
    int small = 4096;
    ck_assert_int_eq(setsockopt(fds[0], SOL_SOCKET, SO_SNDBUF, &small, sizeof small), 0);
    ck_assert_int_eq(setsockopt(fds[1], SOL_SOCKET, SO_RCVBUF, &small, sizeof small), 0);
    for (int i = 0; i < 8; i++)
        rig_send_n(&rig, GET("/large"), strlen(GET("/large")));
    while (!rig.begun)
        cnc_home_turn(rig.home, -1);
    rig_turn(&rig);
    ck_assert(rig.conn->out != NULL);
    rig_pass(&rig, 4000); /* what went into the socket's buffers was progress */
    ck_assert_uint_eq(rig.closed, 0);
    rig_pass(&rig, 4000);
    ck_assert_uint_eq(rig.closed, 1);
    ck_assert_uint_eq(rig.freed, rig.begun);
    rig_read(&rig);
    ck_assert(rig.reset);
    rig_deinit(&rig);
}
END_TEST

/* Whoever takes bytes, however few, is served on. */
START_TEST(a_slow_reader_is_served_to_the_end)
{
    start();
    rig.large = 900000;
    rig_send(&rig, GET("/large"));
    size_t got = 0;
    for (int i = 0; i < 1000 && got < rig.large; i++) {
        static char some[200000];
        ssize_t n = recv(rig.peer, some, sizeof some, MSG_DONTWAIT);
        ck_assert_int_gt(n, 0);
        got += (size_t)n;
        rig_pass(&rig, 2500);
    }
    ck_assert_uint_ge(got, rig.large);
    ck_assert_uint_eq(rig.freed, 1);
    rig_deinit(&rig);
}
END_TEST

/* Bytes that go in are no sign that bytes go out. */
START_TEST(a_peer_that_sends_but_does_not_read_is_not_served_on)
{
    start();
    rig.large = 900000;
    rig_send(&rig, GET("/large"));
    for (int i = 0; i < 20 && !rig.closed; i++) {
        (void)send(rig.peer, "G", 1, MSG_NOSIGNAL);
        rig_pass(&rig, 1000);
    }
    ck_assert_uint_eq(rig.closed, 1);
    rig_deinit(&rig);
}
END_TEST

START_TEST(a_body_that_comes_is_no_reader_of_the_reply)
{
    static char bytes[100000];
    start();
    rig_send(&rig, POST("/hold", "60000"));
    struct rig_request *q = rig_last(&rig);
    rig_reply(q, 200, "begin", false);
    for (int i = 0; i < 5; i++)
        rig_data(q, bytes, sizeof bytes, false);
    for (int i = 0; i < 20 && !q->gone_count; i++) {
        rig_send_n(&rig, bytes, 1000);
        rig_pass(&rig, 1000);
    }
    ck_assert_uint_eq(q->gone_count, 1);
    ck_assert_int_eq(q->gone, CONCUR_E_TIMEOUT);
    ck_assert_uint_eq(rig.closed, 1);
    rig_deinit(&rig);
}
END_TEST

/* ... nor the other way round, for a body that dribbles while its reply streams. */
START_TEST(a_reply_that_streams_buys_no_time_for_the_body)
{
    start();
    rig_send(&rig, POST("/hold", "60000"));
    struct rig_request *q = rig_last(&rig);
    rig_reply(q, 200, "begin", false);
    for (int i = 0; i < 100 && !q->gone_count; i++) {
        char some[1000] = "";
        rig_data(q, some, sizeof some, false);
        rig_pass(&rig, 100);
        rig_take(&rig);
    }
    ck_assert_uint_eq(q->gone_count, 1);
    rig_read(&rig);
    ck_assert(rig.eof);
    rig_deinit(&rig);
}
END_TEST

START_TEST(lingering_ends)
{
    start();
    rig_send(&rig, "nonsense\r\n\r\n");
    ck_assert(rig_is_status(rig_read(&rig), "400"));
    ck_assert(rig.eof);
    ck_assert_int_eq(rig.conn->state, CNC_CONN_LINGER);
    for (int i = 0; i < 4; i++) {
        rig_send(&rig, "more");
        rig_pass(&rig, 100);
        ck_assert_uint_eq(rig.closed, 0);
    }
    rig_pass(&rig, 100);
    ck_assert_uint_eq(rig.closed, 1);
    rig_deinit(&rig);
}
END_TEST

START_TEST(lingering_has_a_cap)
{
    static char bytes[4096];
    start();
    rig_send(&rig, "nonsense\r\n\r\n");
    rig_send_n(&rig, bytes, 4096);
    rig_send_n(&rig, bytes, 4000);
    ck_assert_uint_eq(rig.closed, 0);
    rig_send_n(&rig, bytes, 200);
    ck_assert_uint_eq(rig.closed, 1);
    rig_deinit(&rig);
}
END_TEST

/* ---- stop ---- */

START_TEST(idle_connections_go_after_drain_idle)
{
    start();
    rig_send(&rig, GET("/now"));
    rig_take(&rig);
    rig.draining = true;
    cnc_driver_drain(&rig.drv);
    rig_pass(&rig, 199);
    rig_read(&rig);
    ck_assert(!rig.eof);
    rig_pass(&rig, 1);
    rig_read(&rig);
    ck_assert(rig.eof);
    ck_assert_str_eq(rig.got, "");
    rig_deinit(&rig);
}
END_TEST

START_TEST(a_request_in_time_for_the_stop_is_answered_and_told)
{
    start();
    rig_send(&rig, GET("/now"));
    ck_assert_ptr_null(strstr(rig_take(&rig), "Connection: close"));
    rig.draining = true;
    cnc_driver_drain(&rig.drv);
    rig_send(&rig, GET("/now"));
    ck_assert(rig_is_status(rig_read(&rig), "200"));
    ck_assert_ptr_nonnull(strstr(rig.got, "Connection: close"));
    ck_assert(rig.eof);
    rig_deinit(&rig);
}
END_TEST

START_TEST(cancel_tells_the_request_and_closes)
{
    start();
    rig_send(&rig, GET("/wait"));
    cnc_driver_cancel(&rig.drv, CONCUR_E_STOPPING);
    ck_assert_int_eq(rig_last(&rig)->gone, CONCUR_E_STOPPING);
    ck_assert_uint_eq(rig_last(&rig)->gone_count, 1);
    ck_assert_uint_eq(rig.closed, 1);
    rig_deinit(&rig);
}
END_TEST

START_TEST(the_longest_idle_goes_first)
{
    int first, second;
    rig_init(&rig, false);
    ck_assert(!cnc_driver_reap_idle(&rig.drv, 1000));
    rig_connect(&rig);
    first = dup(rig.peer);
    rig_send(&rig, GET("/now"));
    ck_assert(!cnc_driver_reap_idle(&rig.drv, 1000)); /* not idle for a second yet */
    rig_pass(&rig, 500);
    rig_connect(&rig);
    second = dup(rig.peer);
    rig_send(&rig, GET("/now"));
    rig_connect(&rig);
    rig_send(&rig, GET("/wait"));
    rig_pass(&rig, 500);
    ck_assert(cnc_driver_reap_idle(&rig.drv, 1000));
    ck_assert_uint_eq(rig.closed, 1);
    char c[512];
    ck_assert_int_gt(recv(first, c, sizeof c, MSG_DONTWAIT), 0);
    ck_assert_int_eq(recv(first, c, sizeof c, MSG_DONTWAIT), 0);
    ck_assert(!cnc_driver_reap_idle(&rig.drv, 1000));
    rig_pass(&rig, 500);
    ck_assert(cnc_driver_reap_idle(&rig.drv, 1000));
    ck_assert_int_gt(recv(second, c, sizeof c, MSG_DONTWAIT), 0);
    ck_assert_int_eq(recv(second, c, sizeof c, MSG_DONTWAIT), 0);
    rig_pass(&rig, 1000);
    ck_assert(!cnc_driver_reap_idle(&rig.drv, 1000)); /* a request under way is not idle */
    ck_assert_uint_eq(rig.drv.count, 1);
    close(first);
    close(second);
    rig_deinit(&rig);
}
END_TEST

/* ---- replies ---- */

START_TEST(replies_of_pipelined_requests_leave_in_one_write)
{
    start();
    rig_send(&rig, GET("/now") GET("/now") GET("/now") GET("/now") GET("/now"));
    ck_assert_uint_eq(rig.begun, 5);
    ck_assert_uint_eq(rig.writes, 1);
    ck_assert_uint_eq(rig_count(rig_read(&rig), "HTTP/1.1 200"), 5);
    rig_deinit(&rig);
}
END_TEST

START_TEST(one_request_costs_one_write_and_no_buffer)
{
    start();
    rig_send(&rig, GET("/now"));
    ck_assert_uint_eq(rig.writes, 1);
    ck_assert_ptr_null(rig.conn->in);
    ck_assert_ptr_null(rig.conn->out);
    rig_deinit(&rig);
}
END_TEST

/* The second waits for the first, as do the bytes behind it. */
START_TEST(answers_keep_the_order_of_requests)
{
    start();
    rig_send(&rig, GET("/wait") GET("/now") GET("/wait"));
    ck_assert_uint_eq(rig.begun, 1);
    rig_reply(&rig.requests[0], 201, "first", true);
    rig_turn(&rig);
    ck_assert_uint_eq(rig.begun, 3);
    rig_reply(&rig.requests[2], 202, "third", true);
    rig_turn(&rig);
    const char *got = rig_read(&rig);
    const char *a = strstr(got, " 201 "), *b = strstr(got, " 200 "), *c = strstr(got, " 202 ");
    ck_assert(a && b && c && a < b && b < c);
    rig_deinit(&rig);
}
END_TEST

/* Replies that the peer does not take must not pile up. */
START_TEST(a_peer_that_does_not_read_gets_no_further_requests_served)
{
    start();
    rig.large = 1 << 20;
    for (int i = 0; i < 10; i++)
        rig_send(&rig, GET("/large"));
    ck_assert_uint_le(rig.begun, 2);
    for (int i = 0; i < 1000 && rig.freed < 10; i++) {
        rig_take(&rig);
        rig_turn(&rig);
    }
    ck_assert_uint_eq(rig.begun, 10);
    ck_assert_uint_eq(rig.freed, 10);
    rig_deinit(&rig);
}
END_TEST

/* Whether it is to be told at the low mark, or when all has left. */
static void fill_and_drain(bool whole)
{
    static char bytes[100000];
    start();
    rig_send(&rig, GET("/wait"));
    struct rig_request *q = rig_last(&rig);
    ck_assert_int_eq(rig_reply(q, 200, "", false), CONCUR_OK);
    for (int i = 0; i < 20 && !q->stream.down->is_full(&q->stream); i++) {
        ck_assert_int_eq(rig_data(q, bytes, sizeof bytes, false), CONCUR_AGAIN); /* queued, though over the mark */
        rig_turn(&rig);
    }
    ck_assert(q->stream.down->is_full(&q->stream));
    q->stream.down->want_drain(&q->stream, whole);
    rig_turn(&rig);
    ck_assert_uint_eq(q->drains, 0);
    for (int i = 0; i < 100 && q->drains == 0; i++) {
        char some[4000];
        ck_assert_int_gt(recv(rig.peer, some, sizeof some, MSG_DONTWAIT), 0);
        cnc_home_turn(rig.home, 0);
    }
    ck_assert_uint_eq(q->drains, 1);
    ck_assert_uint_le(cnc_conn_queued(rig.conn), whole ? 0 : rig.limits.output_low);
    ck_assert(q->stream.down->is_full(&q->stream) == (cnc_conn_queued(rig.conn) > 0));
    rig_turn(&rig);
    ck_assert_uint_eq(q->drains, 1);
    q->stream.down->want_drain(&q->stream, false); /* asked when there is room already: told all the same, later */
    ck_assert_uint_eq(q->drains, 1);
    rig_turn(&rig);
    ck_assert_uint_eq(q->drains, 2);
    rig_take(&rig);
    rig_data(q, "", 0, true);
    for (int i = 0; i < 5; i++) {
        rig_turn(&rig);
        rig_read(&rig);
    }
    ck_assert_uint_ge(rig.got_len, 5);
    ck_assert_str_eq(rig.got + rig.got_len - 5, "0\r\n\r\n");
    rig_deinit(&rig);
}

START_TEST(a_full_queue_is_told_and_drained_once)
{
    fill_and_drain(false);
    fill_and_drain(true);
}
END_TEST

START_TEST(a_reply_cut_short_is_seen_as_such)
{
    start();
    rig_send(&rig, GET("/wait"));
    struct rig_request *q = rig_last(&rig);
    rig_reply(q, 200, "half", false);
    q->stream.down->abort(&q->stream);
    ck_assert_ptr_null(q->stream.carrier);
    rig_turn(&rig);
    ck_assert_ptr_nonnull(strstr(rig_read(&rig), "half"));
    ck_assert_ptr_null(strstr(rig.got, "\r\n0\r\n"));
    ck_assert(rig.eof);
    ck_assert_uint_eq(q->gone_count, 0);
    rig_deinit(&rig);
}
END_TEST

START_TEST(the_last_of_requests_max_says_close)
{
    rig_init(&rig, false);
    rig.limits.requests_max = 2;
    rig_connect(&rig);
    rig_send(&rig, GET("/now"));
    ck_assert_ptr_null(strstr(rig_take(&rig), "Connection: close"));
    rig_send(&rig, GET("/now") GET("/now"));
    ck_assert_ptr_nonnull(strstr(rig_read(&rig), "Connection: close"));
    ck_assert_uint_eq(rig_count(rig.got, "HTTP/1.1"), 1);
    ck_assert(rig.eof);
    rig_deinit(&rig);
}
END_TEST

START_TEST(refusals)
{
    start();
    rig_send(&rig, GET("/no"));
    ck_assert(rig_is_status(rig_read(&rig), "503"));
    ck_assert_ptr_nonnull(strstr(rig.got, "Retry-After: 1\r\n"));
    ck_assert(rig.eof);
    rig_deinit(&rig);
}
END_TEST

/* ---- peers that leave ---- */

START_TEST(a_peer_that_leaves_is_told_to_the_request_once)
{
    static const char *const requests[] = { GET("/wait"), POST("/body", "10") "12345", POST("/hold", "10") "12345",
                                            POST("/wait", "10") "12345", GET("/wait") GET("/now") };
    for (unsigned i = 0; i < CNC_COUNT(requests); i++)
        for (int begun = 0; begun < 2; begun++) {
            start();
            rig.take = CONCUR_AGAIN;
            rig_send(&rig, requests[i]);
            struct rig_request *q = rig_last(&rig);
            if (begun)
                rig_reply(q, 200, "some", false);
            close(rig.peer);
            rig.peer = -1;
            rig_turn(&rig);
            ck_assert_int_eq(q->gone, CONCUR_E_GONE);
            ck_assert_uint_eq(q->gone_count, 1);
            ck_assert_uint_eq(rig.closed, 1);
            rig_deinit(&rig);
        }
}
END_TEST

START_TEST(half_close_is_allowed_where_it_is)
{
    rig_init(&rig, false);
    rig.limits.half_close = true;
    rig_connect(&rig);
    rig_send(&rig, POST("/hold", "5") "12345");
    shutdown(rig.peer, SHUT_WR);
    rig_turn(&rig);
    struct rig_request *q = rig_last(&rig);
    ck_assert_uint_eq(q->gone_count, 0);
    ck_assert_uint_eq(q->body_len, 5);
    rig_reply(q, 200, "answer", true);
    rig_turn(&rig);
    ck_assert_ptr_nonnull(strstr(rig_read(&rig), "answer"));
    ck_assert(rig.eof);
    ck_assert_uint_eq(rig.closed, 1);
    rig_deinit(&rig);
}
END_TEST

/* Requests that came whole before the end are answered in turn, however much of their replies waits for the peer. */
START_TEST(half_close_behind_several)
{
    static const char *const tails[] = { "", "GET /now HT", "\r\n", POST("/body", "9") "1234" };
    for (size_t i = 0; i < CNC_COUNT(tails); i++) {
        rig_init(&rig, false);
        rig.limits.half_close = true;
        rig.large = 900000;
        rig_connect(&rig);
        rig_send(&rig, GET("/wait") GET("/now") GET("/large") POST("/body", "3") "abc" GET("/now"));
        rig_send(&rig, tails[i]);
        shutdown(rig.peer, SHUT_WR);
        rig_turn(&rig);
        ck_assert_uint_eq(rig.begun, 1);
        ck_assert_uint_eq(rig_last(&rig)->gone_count, 0);
        rig_reply(rig_last(&rig), 200, "waited", true);
        for (int k = 0; k < 100 && !rig.closed; k++) {
            rig_turn(&rig);
            rig_read(&rig);
        }
        rig_read(&rig);
        ck_assert_uint_eq(rig.closed, 1);
        ck_assert(rig.eof && !rig.reset);
        size_t heads = 0;
        for (const char *p = rig.got, *end = rig.got + rig.got_len; p < end; heads++) {
            const char *length = strstr(p, "Content-Length: "), *body = strstr(p, "\r\n\r\n");
            ck_assert(rig_is_status(p, "200") && length && body);
            p = body + 4 + strtoul(length + 16, NULL, 10);
            ck_assert(p <= end);
        }
        ck_assert_uint_eq(heads, 5);
        ck_assert_uint_eq(rig.begun, i == 3 ? 6 : 5);
        ck_assert_uint_eq(rig_last(&rig)->gone_count, i == 3);
        rig_deinit(&rig);
    }
}
END_TEST

START_TEST(half_close_within_a_body_is_the_end_of_its_request)
{
    static const char *const paths[] = { "/wait", "/body" };
    for (unsigned i = 0; i < 2; i++) {
        rig_init(&rig, false);
        rig.limits.half_close = true;
        rig_connect(&rig);
        char head[128];
        snprintf(head, sizeof head, "POST %s HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n1234", paths[i]);
        rig_send(&rig, head);
        shutdown(rig.peer, SHUT_WR);
        rig_turn(&rig);
        struct rig_request *q = rig_last(&rig);
        if (i == 0) {
            ck_assert_uint_eq(q->gone_count, 0);
            q->stream.down->want_body(&q->stream, false);
            rig_turn(&rig);
        }
        ck_assert_uint_eq(q->body_len, 4);
        ck_assert_uint_eq(q->gone_count, 1);
        ck_assert_uint_eq(rig.closed, 1);
        rig_deinit(&rig);
    }
}
END_TEST

/* A body that is here already is as good as read. */
START_TEST(half_close_before_the_body_is_wanted)
{
    rig_init(&rig, false);
    rig.limits.half_close = true;
    rig_connect(&rig);
    rig_send(&rig, POST("/wait", "5") "12345");
    shutdown(rig.peer, SHUT_WR);
    rig_turn(&rig);
    struct rig_request *q = rig_last(&rig);
    ck_assert_uint_eq(q->gone_count, 0);
    q->stream.down->want_body(&q->stream, false);
    rig_turn(&rig);
    ck_assert_uint_eq(q->body_len, 5);
    ck_assert_uint_eq(q->ends, 1);
    rig_reply(q, 200, "answer", true);
    rig_turn(&rig);
    ck_assert_ptr_nonnull(strstr(rig_read(&rig), "answer"));
    rig_deinit(&rig);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("conn_driver");
    TCase *tests = tcase_create("deadlines");
    tcase_set_timeout(tests, 20);
    tcase_add_test(tests, a_slow_head_gets_408);
    tcase_add_test(tests, a_connection_that_never_speaks_is_closed_without_a_word);
    tcase_add_test(tests, a_later_head_has_its_own_time);
    tcase_add_test(tests, idle_connections_are_closed_after_keepalive);
    tcase_add_test(tests, a_body_below_the_rate_gets_408);
    tcase_add_test(tests, a_body_above_the_rate_is_read_however_long_it_takes);
    tcase_add_test(tests, the_rate_of_a_fast_body_is_counted_in_full);
    tcase_add_loop_test(tests, a_body_that_stops_gets_408_even_without_a_rate, 0, 2);
    tcase_add_test(tests, a_rate_that_rounds_to_nothing);
    tcase_add_test(tests, a_paused_body_has_no_deadline);
    tcase_add_test(tests, a_handler_at_work_has_no_deadline);
    tcase_add_test(tests, a_peer_that_does_not_read_is_reset);
    tcase_add_test(tests, a_slow_reader_is_served_to_the_end);
    tcase_add_test(tests, a_peer_that_sends_but_does_not_read_is_not_served_on);
    tcase_add_test(tests, a_body_that_comes_is_no_reader_of_the_reply);
    tcase_add_test(tests, a_reply_that_streams_buys_no_time_for_the_body);
    tcase_add_test(tests, lingering_ends);
    tcase_add_test(tests, lingering_has_a_cap);
    suite_add_tcase(suite, tests);
    tests = tcase_create("stop");
    tcase_set_timeout(tests, 20);
    tcase_add_test(tests, idle_connections_go_after_drain_idle);
    tcase_add_test(tests, a_request_in_time_for_the_stop_is_answered_and_told);
    tcase_add_test(tests, cancel_tells_the_request_and_closes);
    tcase_add_test(tests, the_longest_idle_goes_first);
    suite_add_tcase(suite, tests);
    tests = tcase_create("replies");
    tcase_set_timeout(tests, 20);
    tcase_add_test(tests, replies_of_pipelined_requests_leave_in_one_write);
    tcase_add_test(tests, one_request_costs_one_write_and_no_buffer);
    tcase_add_test(tests, answers_keep_the_order_of_requests);
    tcase_add_test(tests, a_peer_that_does_not_read_gets_no_further_requests_served);
    tcase_add_test(tests, a_full_queue_is_told_and_drained_once);
    tcase_add_test(tests, a_reply_cut_short_is_seen_as_such);
    tcase_add_test(tests, the_last_of_requests_max_says_close);
    tcase_add_test(tests, refusals);
    tcase_add_test(tests, a_peer_that_leaves_is_told_to_the_request_once);
    tcase_add_test(tests, half_close_is_allowed_where_it_is);
    tcase_add_test(tests, half_close_behind_several);
    tcase_add_test(tests, half_close_before_the_body_is_wanted);
    tcase_add_test(tests, half_close_within_a_body_is_the_end_of_its_request);
    suite_add_tcase(suite, tests);
    return rig_run(suite);
}
