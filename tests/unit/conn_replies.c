/* SPDX-License-Identifier: MIT
 *
 * Replies on the event driver over a socket pair: their order, how many writes they cost, and peers that leave before them.
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
    Suite *suite = suite_create("conn_replies");
    TCase *tests = tcase_create("replies");
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
