/* SPDX-License-Identifier: MIT
 *
 * What happens to bodies: pieces that stay in place, pauses, 100 Continue, the rest that nobody wants.
 */
#include "conn_rig.h"

static struct rig rig;

static void start(void)
{
    rig_init(&rig, false);
    rig_connect(&rig);
}

static void resume(struct rig_request *q, int take)
{
    rig.take = take;
    q->stream.down->resume_body(&q->stream);
    rig_turn(&rig);
}

#define GET(path) "GET " path " HTTP/1.1\r\nHost: a\r\n\r\n"
#define POST(path, n) "POST " path " HTTP/1.1\r\nHost: a\r\nContent-Length: " n "\r\n\r\n"
#define CHUNKED(path) "POST " path " HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
#define EXPECT(path, n) "POST " path " HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: " n "\r\n\r\n"

START_TEST(a_held_piece_stays_where_it_is)
{
    start();
    rig.take = CONCUR_AGAIN;
    rig_send(&rig, POST("/hold", "10") "01234");
    struct rig_request *q = rig_last(&rig);
    ck_assert_uint_eq(q->offers, 1);
    const char *at = q->last_piece;
    rig_send(&rig, "56789"); /* not read meanwhile */
    ck_assert_mem_eq(at, "01234", 5);
    for (unsigned i = 2; i < 5; i++) {
        resume(q, CONCUR_AGAIN);
        ck_assert_uint_eq(q->offers, i);
        ck_assert_ptr_eq(q->last_piece, at);
        ck_assert_mem_eq(at, "01234", 5);
    }
    ck_assert_uint_eq(q->ends, 0);
    resume(q, CONCUR_OK);
    ck_assert_uint_eq(q->body_len, 10);
    ck_assert_mem_eq(q->body, "0123456789", 10);
    ck_assert_uint_eq(q->ends, 1);
    rig_reply(q, 200, "x", true);
    rig_turn(&rig);
    ck_assert(rig_is_status(rig_read(&rig), "200"));
    ck_assert_ptr_null(rig.conn->in);
    rig_deinit(&rig);
}
END_TEST

/* Other connections read meanwhile: the scratch buffer is theirs, the piece is not in it. */
START_TEST(a_held_piece_outlives_other_connections)
{
    start();
    rig.take = CONCUR_AGAIN;
    rig_send(&rig, CHUNKED("/hold") "5\r\nabcde\r\n3\r\nfgh\r\n0\r\n\r\n");
    struct rig_request *q = rig_last(&rig);
    const char *at = q->last_piece;
    int keep = dup(rig.peer);
    rig_connect(&rig);
    for (int i = 0; i < 3; i++)
        rig_send(&rig, GET("/now") GET("/now"));
    ck_assert_mem_eq(at, "abcde", 5);
    resume(q, CONCUR_OK);
    ck_assert_uint_eq(q->body_len, 8);
    ck_assert_mem_eq(q->body, "abcdefgh", 8);
    ck_assert_uint_eq(q->ends, 1);
    close(keep);
    rig_deinit(&rig);
}
END_TEST

/* Every chunk is refused once; pieces come in order, whole, and once each. */
START_TEST(pauses_at_every_chunk)
{
    char text[4096] = CHUNKED("/hold");
    size_t total = 0;
    start();
    for (unsigned n = 1; n < 40; n++) {
        size_t at = strlen(text);
        snprintf(text + at, sizeof text - at, "%x\r\n%.*s\r\n", n, (int)n, "0123456789abcdefghijklmnopqrstuvwxyzABCD");
        total += n;
    }
    strcat(text, "0\r\n\r\n" GET("/now"));
    rig.every_second = true;
    rig_send(&rig, text);
    struct rig_request *q = rig_last(&rig);
    for (unsigned n = 1; n < 40; n++) {
        ck_assert_uint_eq(q->offers, 2 * n - 1);
        ck_assert_mem_eq(q->last_piece, "0123456789abcdefghijklmnopqrstuvwxyzABCD", n);
        resume(q, CONCUR_OK);
    }
    ck_assert_uint_eq(q->body_len, total);
    ck_assert_uint_eq(q->ends, 1);
    rig_reply(q, 200, "x", true);
    rig_turn(&rig);
    ck_assert_uint_eq(rig_count(rig_read(&rig), "HTTP/1.1 200"), 2);
    rig_deinit(&rig);
}
END_TEST

/* The body byte by byte, whatever the framing, with a pipelined request behind it. */
START_TEST(byte_by_byte)
{
    static const char *const texts[] = { POST("/body", "11") "hello world" GET("/now"),
                                         CHUNKED("/body") "5\r\nhello\r\n6;a=b\r\n world\r\n0\r\nX: y\r\n\r\n" GET("/now"),
                                         POST("/hold", "11") "hello world" GET("/now") };
    for (unsigned i = 0; i < CNC_COUNT(texts); i++) {
        start();
        for (const char *p = texts[i]; *p; p++)
            rig_send_n(&rig, p, 1);
        struct rig_request *q = &rig.requests[0];
        ck_assert_uint_eq(q->body_len, 11);
        ck_assert_mem_eq(q->body, "hello world", 11);
        ck_assert_uint_eq(q->ends, 1);
        if (i == 2) {
            rig_reply(q, 200, "x", true);
            rig_turn(&rig);
        }
        ck_assert_uint_eq(rig_count(rig_read(&rig), "HTTP/1.1 200"), 2);
        ck_assert_ptr_null(rig.conn->in);
        rig_deinit(&rig);
    }
}
END_TEST

START_TEST(a_body_without_end_is_400_before_the_reply_and_breaks_off_after_it)
{
    for (int begun = 0; begun < 2; begun++) {
        start();
        rig_send(&rig, CHUNKED("/hold") "5\r\nabcde\r\n");
        struct rig_request *q = rig_last(&rig);
        if (begun)
            rig_reply(q, 200, "some", false);
        rig_send(&rig, "nonsense\r\n");
        ck_assert_uint_eq(q->gone_count, 1);
        ck_assert_uint_eq(q->ends, 0);
        ck_assert(rig_is_status(rig_read(&rig), begun ? "200" : "400"));
        ck_assert_ptr_null(strstr(rig.got, "\r\n0\r\n"));
        ck_assert(rig.eof);
        rig_deinit(&rig);
    }
}
END_TEST

/* ---- 100 Continue (RFC 9110 §10.1.1) ---- */

START_TEST(continue_is_sent_when_the_body_is_wanted)
{
    start();
    rig_send(&rig, EXPECT("/body", "5"));
    ck_assert_str_eq(rig_take(&rig), "HTTP/1.1 100 Continue\r\n\r\n");
    rig_send(&rig, "12345");
    ck_assert(rig_is_status(rig_take(&rig), "200"));
    /* ... and not before. */
    rig_send(&rig, EXPECT("/wait", "5"));
    ck_assert_str_eq(rig_take(&rig), "");
    struct rig_request *q = rig_last(&rig);
    q->stream.down->want_body(&q->stream, false);
    rig_turn(&rig);
    ck_assert_str_eq(rig_take(&rig), "HTTP/1.1 100 Continue\r\n\r\n");
    rig_deinit(&rig);
}
END_TEST

START_TEST(a_head_in_two_parts_gets_its_continue)
{
    start();
    rig_send(&rig, "POST /body HTTP/1.1\r\nHost: a\r\nExp");
    rig_send(&rig, "ect: 100-continue\r\nContent-Length: 5\r\n\r\n");
    ck_assert_str_eq(rig_take(&rig), "HTTP/1.1 100 Continue\r\n\r\n");
    rig_send(&rig, "12345");
    ck_assert(rig_is_status(rig_take(&rig), "200"));
    rig_deinit(&rig);
}
END_TEST

START_TEST(a_final_answer_replaces_continue_and_closes)
{
    start();
    rig_send(&rig, EXPECT("/now", "5"));
    ck_assert(rig_is_status(rig_read(&rig), "200"));
    ck_assert_ptr_null(strstr(rig.got, "100 Continue"));
    ck_assert_ptr_nonnull(strstr(rig.got, "Connection: close"));
    ck_assert(rig.eof);
    rig_send(&rig, GET("/now")); /* the body, or what looks like a request: never served */
    ck_assert_uint_eq(rig.begun, 1);
    rig_deinit(&rig);
}
END_TEST

/* ---- bodies that nobody reads ---- */

START_TEST(a_small_body_is_thrown_away_and_the_connection_goes_on)
{
    start();
    rig_send(&rig, POST("/now", "20") "GET /x HT");
    ck_assert(rig_is_status(rig_take(&rig), "200"));
    rig_send(&rig, "TP/1.1\r\n\r\n.");
    rig_send(&rig, GET("/now"));
    ck_assert(rig_is_status(rig_take(&rig), "200"));
    ck_assert_uint_eq(rig.begun, 2);
    ck_assert_str_eq(rig_last(&rig)->path, "/now");
    rig_deinit(&rig);
}
END_TEST

/* What is thrown away is counted for each request, not for the connection. */
START_TEST(many_small_bodies)
{
    char body[4000];
    memset(body, 'b', sizeof body);
    start();
    for (int i = 0; i < 20; i++) {
        rig_send(&rig, POST("/now", "4000"));
        rig_send_n(&rig, body, sizeof body);
        ck_assert(rig_is_status(rig_take(&rig), "200"));
        ck_assert(!rig.eof);
    }
    ck_assert_uint_eq(rig.begun, 20);
    rig_deinit(&rig);
}
END_TEST

START_TEST(a_large_or_endless_body_closes)
{
    static const char *const texts[] = { POST("/now", "5000"), CHUNKED("/now") };
    for (unsigned i = 0; i < CNC_COUNT(texts); i++) {
        start();
        rig_send(&rig, texts[i]);
        ck_assert(rig_is_status(rig_read(&rig), "200"));
        ck_assert_ptr_nonnull(strstr(rig.got, "Connection: close"));
        ck_assert(rig.eof);
        ck_assert_int_eq(rig.conn->state, CNC_CONN_LINGER);
        rig_deinit(&rig);
    }
}
END_TEST

START_TEST(a_request_that_wants_no_more_gets_no_more)
{
    start();
    rig.take = CONCUR_E_LIMIT;
    rig_send(&rig, POST("/hold", "30") "0123456789");
    struct rig_request *q = rig_last(&rig);
    ck_assert_uint_eq(q->offers, 1);
    rig_send(&rig, "0123456789");
    ck_assert_uint_eq(q->offers, 1);
    rig_reply(q, 413, "too much", true);
    rig_turn(&rig);
    ck_assert(rig_is_status(rig_take(&rig), "413"));
    rig_send(&rig, "0123456789");
    ck_assert_uint_eq(q->offers, 1);
    ck_assert_uint_eq(q->ends, 0);
    rig_deinit(&rig);
}
END_TEST

/* Input behind a request that waits is bounded: the rest stays with the kernel. */
START_TEST(pipelined_input_has_a_cap)
{
    static char bytes[65536];
    start();
    rig_send(&rig, GET("/wait"));
    memset(bytes, 'x', sizeof bytes);
    size_t sent = 0;
    for (int i = 0; i < 200; i++) {
        ssize_t n = send(rig.peer, bytes, sizeof bytes, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n > 0)
            sent += (size_t)n;
        rig_turn(&rig);
    }
    ck_assert_uint_lt(sent, 1 << 20);
    ck_assert_uint_eq(rig.closed, 0);
    rig_deinit(&rig);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("conn_input");
    TCase *tests = tcase_create("all");
    tcase_set_timeout(tests, 20);
    tcase_add_test(tests, a_held_piece_stays_where_it_is);
    tcase_add_test(tests, a_held_piece_outlives_other_connections);
    tcase_add_test(tests, pauses_at_every_chunk);
    tcase_add_test(tests, byte_by_byte);
    tcase_add_test(tests, a_body_without_end_is_400_before_the_reply_and_breaks_off_after_it);
    tcase_add_test(tests, continue_is_sent_when_the_body_is_wanted);
    tcase_add_test(tests, a_head_in_two_parts_gets_its_continue);
    tcase_add_test(tests, a_final_answer_replaces_continue_and_closes);
    tcase_add_test(tests, a_small_body_is_thrown_away_and_the_connection_goes_on);
    tcase_add_test(tests, many_small_bodies);
    tcase_add_test(tests, a_large_or_endless_body_closes);
    tcase_add_test(tests, a_request_that_wants_no_more_gets_no_more);
    tcase_add_test(tests, pipelined_input_has_a_cap);
    suite_add_tcase(suite, tests);
    return rig_run(suite);
}
