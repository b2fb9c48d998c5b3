/* SPDX-License-Identifier: MIT
 *
 * The event driver over a socket pair, with time moved by hand: every deadline, and the stop.
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
    return rig_run(suite);
}
