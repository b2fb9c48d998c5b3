/* SPDX-License-Identifier: MIT
 *
 * A connection after an upgrade, on a loop whose clock the test sets, and in a poller that hands it over.
 */
#include "conn_rig.h"


static struct rig rig;

/* A protocol that only notes what it is told, and what is asked of it comes from the test. */
static struct {
    struct cnc_stream stream;
    char got[65536];
    size_t got_len, last_offer;
    int take; /* what it answers to a piece */
    bool talks; /* drain() sends one byte and asks for another drain */
    unsigned offers, ends, drains, stops, gone_count;
    int gone;
} proto;

static int on_body(struct cnc_stream *s, const char *p, size_t n)
{
    ck_assert_ptr_eq(s, &proto.stream);
    proto.offers++;
    proto.last_offer = n;
    if (proto.take != CONCUR_OK)
        return proto.take;
    memcpy(proto.got + proto.got_len, p, n);
    proto.got_len += n;
    return CONCUR_OK;
}

static void on_body_end(struct cnc_stream *s)
{
    (void)s;
    proto.ends++;
}

static int put(const char *text, bool last)
{
    struct cnc_piece piece = { .p = text, .n = strlen(text) };
    return proto.stream.down->data(&proto.stream, &piece, last);
}

static void on_drain(struct cnc_stream *s)
{
    proto.drains++;
    if (!proto.talks)
        return;
    ck_assert_int_eq(put("t", false), CONCUR_OK);
    s->down->want_drain(s, false);
}

static void on_stop(struct cnc_stream *s)
{
    (void)s;
    proto.stops++;
}

static void on_gone(struct cnc_stream *s, int reason)
{
    ck_assert_ptr_null(s->carrier);
    proto.gone_count++;
    proto.gone = reason;
}

static const struct cnc_stream_ops ops = {
    .body = on_body, .body_end = on_body_end, .drain = on_drain, .gone = on_gone, .stop = on_stop
};

static int upgrade(struct rig_request *q)
{
    struct cnc_http_pair field = { CNC_SLICE("Upgrade"), CNC_SLICE("x") };
    struct cnc_http_reply r = { .status = 101, .length = -1, .fields = { &field, 1, (uint32_t)cnc_http_pair_size(&field) },
                                .date = cnc_desk_date(rig.home), .method = q->method, .minor = q->minor };
    return q->stream.down->upgrade(&q->stream, &r, &proto.stream);
}

static void begin(void)
{
    memset(&proto, 0, sizeof proto);
    proto.stream.up = &ops;
    rig_init(&rig, false);
    rig.limits.class_ms[CNC_CLASS_UPGRADED] = 2000;
    rig_connect(&rig);
    rig_send(&rig, "GET /wait HTTP/1.1\r\nHost: a\r\n\r\n");
}

static void begin_upgraded(void)
{
    begin();
    ck_assert_int_eq(upgrade(rig_last(&rig)), CONCUR_OK);
    ck_assert_ptr_null(rig_last(&rig)->stream.carrier); /* the request is over */
    rig_turn(&rig);
    ck_assert(rig_is_status(rig_take(&rig), "101"));
}

static void end(void)
{
    rig_deinit(&rig);
}

/* ---- both ways ---- */

START_TEST(bytes_go_both_ways)
{
    begin();
    rig_send(&rig, "behind the head ");
    ck_assert_int_eq(upgrade(rig_last(&rig)), CONCUR_OK);
    rig_turn(&rig);
    rig_send(&rig, "and later");
    ck_assert_str_eq(proto.got, "behind the head and later");
    ck_assert_int_eq(put("an answer", false), CONCUR_OK);
    rig_turn(&rig);
    const char *got = rig_read(&rig);
    ck_assert(rig_is_status(got, "101") && strstr(got, "\r\n\r\nan answer") != NULL);
    ck_assert_ptr_null(strstr(got, "Connection: close"));
    ck_assert_int_eq(put("goodbye", true), CONCUR_OK);
    ck_assert_ptr_null(proto.stream.carrier);
    rig_turn(&rig);
    ck_assert_ptr_nonnull(strstr(rig_read(&rig), "goodbye"));
    ck_assert(rig.eof);
    ck_assert_uint_eq(proto.gone_count, 0); /* it knows */
    end();
}
END_TEST

START_TEST(a_piece_that_is_left_is_offered_with_what_follows)
{
    begin_upgraded();
    proto.take = CONCUR_AGAIN;
    rig_send(&rig, "one ");
    rig_send(&rig, "two");
    ck_assert_uint_eq(proto.offers, 1); /* nothing more is read either */
    proto.take = CONCUR_OK;
    proto.stream.down->resume_body(&proto.stream);
    rig_turn(&rig);
    ck_assert_str_eq(proto.got, "one two");
    end();
}
END_TEST

START_TEST(who_wants_no_more_gets_none)
{
    begin_upgraded();
    proto.take = CONCUR_E_CANCELLED;
    rig_send(&rig, "one");
    rig_send(&rig, "two");
    ck_assert_uint_eq(proto.offers, 1);
    ck_assert_int_eq(put("still", false), CONCUR_OK);
    rig_turn(&rig);
    ck_assert_str_eq(rig_take(&rig), "still");
    for (int i = 0; i < 100 && !proto.gone_count; i++) /* what is thrown away has a bound */
        rig_send(&rig, "0123456789012345678901234567890123456789012345678901234567890123456789"
                       "0123456789012345678901234567890123456789012345678901234567890123456789");
    ck_assert_uint_eq(proto.gone_count, 1);
    end();
}
END_TEST

START_TEST(room_is_told_of)
{
    static char much[400000];
    struct cnc_piece piece = { .p = much, .n = sizeof much };
    begin_upgraded();
    ck_assert_int_eq(proto.stream.down->data(&proto.stream, &piece, false), CONCUR_AGAIN);
    ck_assert(proto.stream.down->is_full(&proto.stream));
    proto.stream.down->want_drain(&proto.stream, false);
    rig_turn(&rig);
    ck_assert_uint_eq(proto.drains, 0);
    for (int i = 0; i < 100 && !proto.drains; i++) {
        rig_take(&rig);
        rig_turn(&rig);
    }
    ck_assert_uint_eq(proto.drains, 1);
    proto.stream.down->want_drain(&proto.stream, true); /* there is room already */
    rig_turn(&rig);
    for (int i = 0; i < 100 && proto.drains < 2; i++) {
        rig_take(&rig);
        rig_turn(&rig);
    }
    ck_assert_uint_eq(proto.drains, 2);
    end();
}
END_TEST

/* One that sends whenever it may keeps nobody out: it has one drain in a turn. */
START_TEST(one_drain_in_a_turn)
{
    begin_upgraded();
    proto.talks = true;
    proto.stream.down->want_drain(&proto.stream, false);
    cnc_home_turn(rig.home, 0);
    cnc_home_turn(rig.home, 0);
    ck_assert_uint_ge(proto.drains, 1);
    ck_assert_uint_le(proto.drains, 3);
    end();
}
END_TEST

/* ---- ends ---- */

START_TEST(the_peer_may_shut_its_side)
{
    begin_upgraded();
    proto.take = CONCUR_AGAIN;
    rig_send(&rig, "last words");
    shutdown(rig.peer, SHUT_WR);
    rig_turn(&rig);
    ck_assert_uint_eq(proto.ends, 0);
    proto.take = CONCUR_OK;
    proto.stream.down->resume_body(&proto.stream);
    rig_turn(&rig);
    ck_assert_str_eq(proto.got, "last words");
    ck_assert_uint_eq(proto.ends, 1);
    ck_assert_int_eq(put("answer", true), CONCUR_OK);
    rig_turn(&rig);
    ck_assert_str_eq(rig_read(&rig), "answer");
    ck_assert_uint_eq(rig.closed, 1);
    end();
}
END_TEST

START_TEST(silence_has_a_deadline)
{
    begin_upgraded();
    rig_pass(&rig, 1900);
    rig_send(&rig, "a byte");
    rig_pass(&rig, 1900); /* the first term is over, and a byte has passed in it */
    ck_assert_uint_eq(proto.gone_count, 0);
    rig_pass(&rig, 2100);
    ck_assert_uint_eq(proto.gone_count, 1);
    ck_assert_int_eq(proto.gone, CONCUR_E_TIMEOUT);
    ck_assert_uint_eq(rig.closed, 1);
    end();
}
END_TEST

START_TEST(an_abort_and_a_peer_that_leaves)
{
    begin_upgraded();
    proto.stream.down->abort(&proto.stream);
    ck_assert_ptr_null(proto.stream.carrier);
    rig_turn(&rig);
    ck_assert_uint_eq(rig.closed, 1);
    ck_assert_uint_eq(proto.gone_count, 0);
    end();
    begin_upgraded();
    ck_assert(!cnc_driver_reap_idle(&rig.drv, 0)); /* it is not idle */
    cnc_driver_cancel(&rig.drv, CONCUR_E_STOPPING);
    ck_assert_int_eq(proto.gone, CONCUR_E_STOPPING);
    end();
}
END_TEST

START_TEST(a_stop_is_told_once)
{
    begin_upgraded();
    atomic_store(&rig.draining, true);
    cnc_driver_drain(&rig.drv);
    ck_assert_uint_eq(proto.stops, 1); /* at once: no turn may come before the deadline */
    cnc_driver_drain(&rig.drv);
    rig_turn(&rig);
    ck_assert_uint_eq(proto.stops, 1);
    ck_assert_int_eq(put("bye", true), CONCUR_OK);
    rig_turn(&rig);
    ck_assert_str_eq(rig_read(&rig), "bye");
    end();
    begin(); /* a stop that has begun before */
    atomic_store(&rig.draining, true);
    ck_assert_int_eq(upgrade(rig_last(&rig)), CONCUR_OK);
    rig_turn(&rig);
    ck_assert_uint_eq(proto.stops, 1);
    end();
}
END_TEST

START_TEST(a_body_comes_first)
{
    begin();
    rig_connect(&rig);
    rig_send(&rig, "POST /wait HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\n");
    ck_assert_int_eq(upgrade(rig_last(&rig)), CONCUR_E_STATE);
    ck_assert_int_eq(rig_reply(rig_last(&rig), 200, "no", true), CONCUR_OK); /* nothing was said */
    rig_turn(&rig);
    ck_assert(rig_is_status(rig_take(&rig), "200"));
    end();
}
END_TEST

/* ---- a poller ---- */

static struct cnc_conn *handed;
static unsigned handovers;

static void on_handover(struct cnc_driver *drv, struct cnc_conn *conn)
{
    (void)drv;
    handed = conn;
    handovers++;
}

/* From here on the driver is a poller's. */
static void begin_polled(void)
{
    begin_upgraded();
    rig.ops.handover = on_handover;
    handed = NULL;
    handovers = 0;
}

/* What a thread would do: the callbacks that are due, at a driver that hands nothing over. */
static void serve(void)
{
    struct cnc_conn *conn = handed;
    ck_assert_ptr_nonnull(conn);
    handed = NULL;
    rig.ops.handover = NULL;
    conn->flags &= (uint32_t)~CNC_CONN_READY;
    if (conn->state == CNC_CONN_CLOSED)
        cnc_upgraded_lose(conn, conn->exchange.lost);
    cnc_driver_take(&rig.drv, conn);
    rig.ops.handover = on_handover;
}

START_TEST(a_poller_calls_nothing)
{
    begin_polled();
    rig_send(&rig, "some");
    ck_assert_uint_eq(proto.offers, 0);
    ck_assert_uint_eq(handovers, 1);
    serve();
    ck_assert_str_eq(proto.got, "some");
    shutdown(rig.peer, SHUT_WR);
    rig_turn(&rig);
    ck_assert_uint_eq(proto.ends, 0);
    serve();
    ck_assert_uint_eq(proto.ends, 1);
    ck_assert_uint_eq(handovers, 2);
    rig.ops.handover = NULL;
    end();
}
END_TEST

START_TEST(a_poller_tells_no_end)
{
    begin_polled();
    rig_pass(&rig, 2100);
    ck_assert_uint_eq(proto.gone_count, 0);
    ck_assert_uint_eq(rig.closed, 0);
    serve();
    ck_assert_uint_eq(proto.gone_count, 1);
    ck_assert_int_eq(proto.gone, CONCUR_E_TIMEOUT);
    ck_assert_uint_eq(rig.closed, 1);
    rig.ops.handover = NULL;
    end();
    begin_polled();
    atomic_store(&rig.draining, true);
    cnc_driver_drain(&rig.drv);
    ck_assert_uint_eq(proto.stops, 0);
    serve();
    ck_assert_uint_eq(proto.stops, 1);
    rig.ops.handover = NULL;
    end();
}
END_TEST

int main(void)
{
    Suite *s = suite_create("conn_upgraded");
    TCase *t = tcase_create("upgraded");
    suite_add_tcase(s, t);
    tcase_add_test(t, bytes_go_both_ways);
    tcase_add_test(t, a_piece_that_is_left_is_offered_with_what_follows);
    tcase_add_test(t, who_wants_no_more_gets_none);
    tcase_add_test(t, room_is_told_of);
    tcase_add_test(t, one_drain_in_a_turn);
    tcase_add_test(t, the_peer_may_shut_its_side);
    tcase_add_test(t, silence_has_a_deadline);
    tcase_add_test(t, an_abort_and_a_peer_that_leaves);
    tcase_add_test(t, a_stop_is_told_once);
    tcase_add_test(t, a_body_comes_first);
    tcase_add_test(t, a_poller_calls_nothing);
    tcase_add_test(t, a_poller_tells_no_end);
    return rig_run(s);
}
