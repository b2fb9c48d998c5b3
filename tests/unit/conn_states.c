/* SPDX-License-Identifier: MIT
 *
 * The state table, pair by pair, against a second writing of it.
 */
#include "conn_rig.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>

#define ILLEGAL (-1)

/* What each pair leads to; a plain connection without output, its body complete, half_close off. */
static const int expected[CNC_CONN_STATES][CNC_CONN_EVENTS] = {
#define I CNC_CONN_IDLE
#define H CNC_CONN_HEAD
#define B CNC_CONN_BUSY
#define U CNC_CONN_UPGRADED
#define F CNC_CONN_FLUSH
#define L CNC_CONN_LINGER
#define G CNC_CONN_GREET
#define C CNC_CONN_CLOSED
#define X ILLEGAL
    /*        bytes head  bad   keep  close read  abort upgr. flush greet fini. eof   error deadl drain */
    [I] = {   H,    B,    F,    X,    X,    X,    X,    X,    I,    X,    X,    C,    C,    L,    I },
    [H] = {   H,    B,    F,    X,    X,    X,    X,    X,    H,    X,    X,    C,    C,    F,    H },
    [B] = {   X,    X,    F,    I,    F,    I,    F,    U,    B,    X,    X,    C,    C,    F,    B },
    [U] = {   X,    X,    X,    X,    F,    X,    C,    X,    U,    X,    X,    U,    C,    C,    U },
    [F] = {   X,    X,    X,    X,    X,    X,    X,    X,    C,    X,    X,    C,    C,    C,    F },
    [L] = {   X,    X,    X,    X,    X,    X,    X,    X,    L,    X,    C,    C,    C,    C,    L },
    [G] = {   X,    X,    C,    X,    X,    X,    X,    X,    X,    I,    X,    C,    C,    C,    G },
    [C] = {   X,    X,    X,    X,    X,    X,    X,    X,    C,    X,    X,    C,    C,    X,    C },
#undef I
#undef H
#undef B
#undef U
#undef F
#undef L
#undef G
#undef C
#undef X
};

static struct rig rig;

static void enter(int state, uint32_t flags)
{
    cnc_driver_cancel(&rig.drv, CONCUR_E_STOPPING);
    rig_connect(&rig);
    rig.conn->state = (uint8_t)state;
    rig.conn->flags |= flags;
    rig.conn->exchange.status = 400;
    cnc_http_body_init(&rig.conn->exchange.machine, &(struct cnc_http_head){ .content_length = -1 });
    rig.drv.current = rig.conn;
}

/* A body of n bytes has not come yet. */
static void enter_with_body(int state, int body, int64_t n)
{
    enter(state, 0);
    rig.conn->exchange.body = (uint8_t)body;
    cnc_http_body_init(&rig.conn->exchange.machine, &(struct cnc_http_head){ .content_length = n });
}

/* The reply's head is out. */
static void enter_replying(int framing)
{
    enter(CNC_CONN_BUSY, 0);
    rig.conn->exchange.reply = CNC_EXCHANGE_REPLY_BEGUN;
    rig.conn->exchange.framing = (uint8_t)framing;
}

static int after(int event)
{
    cnc_conn_step(rig.conn, (enum cnc_conn_event)event);
    rig.drv.scratch_len = 0;
    return rig.conn->state;
}

static bool has(uint32_t flag)
{
    return (rig.conn->flags & flag) != 0;
}

START_TEST(legal_pairs_lead_where_they_should)
{
    rig_init(&rig, false);
    for (int s = 0; s < CNC_CONN_STATES; s++)
        for (int e = 0; e < CNC_CONN_EVENTS; e++) {
            if (expected[s][e] == ILLEGAL)
                continue;
            enter(s, 0);
            int to = after(e);
            ck_assert_msg(to == expected[s][e], "%s, event %d: %s", cnc_conn_state_name(s), e, cnc_conn_state_name(to));
            cnc_driver_cancel(&rig.drv, CONCUR_E_STOPPING);
        }
    rig_deinit(&rig);
}
END_TEST

#ifdef NDEBUG
static void see_illegal(int s, int e)
{
    enter(s, 0);
    uint32_t flags = rig.conn->flags;
    ck_assert_int_eq(after(e), s);
    ck_assert_uint_eq(rig.conn->flags, flags);
    ck_assert_uint_eq(rig.drv.illegal, 1);
    rig.drv.illegal = 0;
    cnc_driver_cancel(&rig.drv, CONCUR_E_STOPPING);
}
#else
static void see_illegal(int s, int e)
{
    int status = 0;
    pid_t child = fork();
    ck_assert_int_ge(child, 0);
    if (child == 0) {
        int null = open("/dev/null", O_WRONLY);
        dup2(null, STDERR_FILENO);
        enter(s, 0);
        (void)after(e);
        _exit(0);
    }
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert_msg(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT, "%s, event %d", cnc_conn_state_name(s), e);
}
#endif

START_TEST(other_pairs_assert_or_are_counted)
{
    rig_init(&rig, false);
    for (int s = 0; s < CNC_CONN_STATES; s++)
        for (int e = 0; e < CNC_CONN_EVENTS; e++)
            if (expected[s][e] == ILLEGAL)
                see_illegal(s, e);
    rig_deinit(&rig);
}
END_TEST

START_TEST(what_flags_change)
{
    rig_init(&rig, false);
    /* Deadlines while idle or in a head. */
    enter(CNC_CONN_IDLE, 0);
    ck_assert_int_eq(after(CNC_CONN_ON_DRAIN), CNC_CONN_IDLE);
    ck_assert(has(CNC_CONN_LAST));
    enter(CNC_CONN_HEAD, 0);
    ck_assert_int_eq(after(CNC_CONN_ON_DEADLINE), CNC_CONN_FLUSH);
    ck_assert(has(CNC_CONN_LAST) && has(CNC_CONN_MUST_LINGER));
    ck_assert_int_eq(rig.conn->exchange.status, 408);
    /* The rest of a body is read before the next request, or lingered for. */
    enter_with_body(CNC_CONN_BUSY, CNC_EXCHANGE_BODY_UNREAD, 10);
    ck_assert_int_eq(after(CNC_CONN_ON_REPLY_KEEP), CNC_CONN_BUSY);
    ck_assert_int_eq(rig.conn->exchange.body, CNC_EXCHANGE_BODY_REST);
    enter_with_body(CNC_CONN_BUSY, CNC_EXCHANGE_BODY_UNREAD, 10);
    ck_assert_int_eq(after(CNC_CONN_ON_REPLY_CLOSE), CNC_CONN_FLUSH);
    ck_assert(has(CNC_CONN_MUST_LINGER));
    enter(CNC_CONN_FLUSH, CNC_CONN_MUST_LINGER);
    ck_assert_int_eq(after(CNC_CONN_ON_FLUSHED), CNC_CONN_LINGER);
    enter(CNC_CONN_LINGER, CNC_CONN_MUST_LINGER);
    ck_assert_int_eq(after(CNC_CONN_ON_FINISHED), CNC_CONN_LINGER);
    enter(CNC_CONN_LINGER, CNC_CONN_MUST_LINGER | CNC_CONN_EOF);
    ck_assert_int_eq(after(CNC_CONN_ON_FINISHED), CNC_CONN_CLOSED);
    /* Only a reset shows that a reply was cut short whose end is the connection's end. */
    enter_replying(CNC_HTTP_FRAME_CLOSE);
    ck_assert_int_eq(after(CNC_CONN_ON_BAD), CNC_CONN_FLUSH);
    ck_assert(has(CNC_CONN_RESET));
    enter_replying(CNC_HTTP_FRAME_LENGTH);
    ck_assert_int_eq(after(CNC_CONN_ON_BAD), CNC_CONN_FLUSH);
    ck_assert(!has(CNC_CONN_RESET));
    enter(CNC_CONN_BUSY, 0);
    rig.conn->exchange.framing = CNC_HTTP_FRAME_CLOSE;
    ck_assert_int_eq(after(CNC_CONN_ON_ABORT), CNC_CONN_FLUSH);
    ck_assert(has(CNC_CONN_RESET));
    enter(CNC_CONN_BUSY, 0);
    rig.conn->exchange.framing = CNC_HTTP_FRAME_CHUNKED;
    ck_assert_int_eq(after(CNC_CONN_ON_ABORT), CNC_CONN_FLUSH);
    ck_assert(!has(CNC_CONN_RESET));
    enter(CNC_CONN_FLUSH, 0);
    ck_assert_int_eq(after(CNC_CONN_ON_DEADLINE), CNC_CONN_CLOSED);
    ck_assert(has(CNC_CONN_RESET));
    cnc_driver_cancel(&rig.drv, CONCUR_E_STOPPING);
    rig_deinit(&rig);
}
END_TEST

START_TEST(a_peer_that_closes_its_side)
{
    rig_init(&rig, false);
    rig.limits.half_close = true;
    enter(CNC_CONN_BUSY, 0);
    ck_assert_int_eq(after(CNC_CONN_ON_EOF), CNC_CONN_BUSY);
    ck_assert(!has(CNC_CONN_LAST) && has(CNC_CONN_EOF)); /* requests that have come are still answered */
    enter_with_body(CNC_CONN_BUSY, CNC_EXCHANGE_BODY_WANTED, 10);
    ck_assert_int_eq(after(CNC_CONN_ON_EOF), CNC_CONN_CLOSED);
    static const int states[] = { CNC_CONN_IDLE, CNC_CONN_HEAD, CNC_CONN_BUSY };
    for (size_t i = 0; i < CNC_COUNT(states); i++)
        for (int half_close = 0; half_close < 2; half_close++) {
            rig.limits.half_close = half_close;
            bool drops = states[i] == CNC_CONN_BUSY && !half_close; /* who is in the middle of a request has left then */
            enter_with_body(states[i], CNC_EXCHANGE_BODY_WANTED, 10);
            ck_assert_int_eq(after(CNC_CONN_ON_EOF), CNC_CONN_CLOSED);
            enter_with_body(states[i], CNC_EXCHANGE_BODY_WANTED, 10);
            ck_assert_int_eq(cnc_conn_put(rig.conn, "reply", 5), CONCUR_OK); /* in the scratch buffer */
            ck_assert_int_eq(after(CNC_CONN_ON_EOF), drops ? CNC_CONN_CLOSED : CNC_CONN_FLUSH);
            enter_with_body(states[i], CNC_EXCHANGE_BODY_WANTED, 10);
            rig.drv.current = NULL;
            rig.drv.borrowed = false;
            rig.home->blocking = true; /* and in the queue */
            ck_assert_int_eq(cnc_conn_put(rig.conn, "reply", 5), CONCUR_OK);
            rig.home->blocking = false;
            ck_assert_ptr_nonnull(rig.conn->out);
            ck_assert_int_eq(after(CNC_CONN_ON_EOF), drops ? CNC_CONN_CLOSED : CNC_CONN_FLUSH);
        }
    cnc_driver_cancel(&rig.drv, CONCUR_E_STOPPING);
    rig_deinit(&rig);
}
END_TEST

/* A write side that cannot be shut needs no lingering. */
static int cannot_finish(int fd, void *state)
{
    (void)fd;
    (void)state;
    return -ENOTCONN;
}

START_TEST(a_goodbye_that_fails_closes)
{
    rig_init(&rig, false);
    rig.transport.finish = cannot_finish;
    enter(CNC_CONN_IDLE, 0);
    ck_assert_int_eq(after(CNC_CONN_ON_DEADLINE), CNC_CONN_CLOSED);
    cnc_driver_cancel(&rig.drv, CONCUR_E_STOPPING);
    rig_deinit(&rig);
}
END_TEST

/* One connection through all of it, seen from outside. */
START_TEST(from_idle_to_closed)
{
    rig_init(&rig, false);
    rig_connect(&rig);
    ck_assert_int_eq(rig.conn->state, CNC_CONN_IDLE);
    rig_send(&rig, "GET /wa");
    ck_assert_int_eq(rig.conn->state, CNC_CONN_HEAD);
    rig_send(&rig, "it HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\nmore");
    ck_assert_int_eq(rig.conn->state, CNC_CONN_BUSY);
    rig_reply(rig_last(&rig), 200, "done", true);
    ck_assert_int_eq(rig.conn->state, CNC_CONN_FLUSH);
    rig_turn(&rig);
    ck_assert_int_eq(rig.conn->state, CNC_CONN_LINGER); /* there was more to read */
    ck_assert(rig_is_status(rig_read(&rig), "200"));
    ck_assert(rig.eof);
    ck_assert_ptr_nonnull(strstr(rig.got, "\r\n\r\ndone"));
    ck_assert_uint_eq(rig.closed, 0);
    close(rig.peer);
    rig.peer = -1;
    rig_turn(&rig);
    ck_assert_uint_eq(rig.closed, 1);
    ck_assert_uint_eq(rig_last(&rig)->gone_count, 0);
    rig_deinit(&rig);
}
END_TEST

#define NONE 0
#define BODY(state) (1 + CNC_EXCHANGE_BODY_##state)
#define REPLY(state) (1 + CNC_EXCHANGE_REPLY_##state)

static const int expected_body[CNC_EXCHANGE_BODY_STATES][CNC_EXCHANGE_BODY_EVENTS] = {
    /* want, piece, resume, refuse, complete, skip */
    { BODY(WANTED), NONE, BODY(UNREAD), BODY(UNREAD), NONE, BODY(REST) },                       /* unread */
    { BODY(WANTED), BODY(PAUSED), BODY(WANTED), BODY(UNREAD), BODY(TOLD), BODY(REST) },         /* wanted */
    { BODY(PAUSED), NONE, BODY(WANTED), BODY(UNREAD), NONE, BODY(REST) },                       /* paused */
    { BODY(TOLD), NONE, BODY(TOLD), NONE, NONE, NONE },                                         /* told */
    { NONE, NONE, BODY(REST), BODY(REST), NONE, NONE },                                         /* rest */
};

static const int expected_reply[CNC_EXCHANGE_REPLY_STATES][CNC_EXCHANGE_REPLY_EVENTS] = {
    /* begin, end, abort */
    { REPLY(BEGUN), REPLY(ENDED), REPLY(ABORTED) }, /* none */
    { NONE, REPLY(ENDED), REPLY(ABORTED) }, /* begun */
    { NONE, NONE, NONE },                   /* ended */
    { NONE, NONE, NONE },                   /* aborted */
};

START_TEST(pairs_of_the_exchange_lead_where_they_should)
{
    for (int s = 0; s < CNC_EXCHANGE_BODY_STATES; s++)
        for (int e = 0; e < CNC_EXCHANGE_BODY_EVENTS; e++) {
            struct cnc_exchange x = { .body = (uint8_t)s };
            if (!expected_body[s][e])
                continue;
            unsigned todo = cnc_exchange_step_body(&x, (enum cnc_exchange_body_event)e);
            ck_assert_int_eq(x.body, expected_body[s][e] - 1);
            ck_assert_uint_eq(todo, e == CNC_EXCHANGE_ON_COMPLETE ? CNC_EXCHANGE_DO_TELL_END : 0);
        }
    for (int s = 0; s < CNC_EXCHANGE_REPLY_STATES; s++)
        for (int e = 0; e < CNC_EXCHANGE_REPLY_EVENTS; e++) {
            struct cnc_exchange x = { .reply = (uint8_t)s };
            if (!expected_reply[s][e])
                continue;
            unsigned todo = cnc_exchange_step_reply(&x, (enum cnc_exchange_reply_event)e);
            ck_assert_int_eq(x.reply, expected_reply[s][e] - 1);
            ck_assert_uint_eq(todo, e == CNC_EXCHANGE_ON_BEGIN ? 0 : CNC_EXCHANGE_DO_LET_GO);
        }
}
END_TEST

/* True: the pair is refused, and the exchange stays as it is. */
static bool is_refused(int body, int reply, int event)
{
    struct cnc_exchange x = { .body = (uint8_t)(body >= 0 ? body : 0), .reply = (uint8_t)(reply >= 0 ? reply : 0) };
#ifdef NDEBUG
    struct cnc_exchange before = x;
    unsigned todo = body >= 0 ? cnc_exchange_step_body(&x, (enum cnc_exchange_body_event)event)
                              : cnc_exchange_step_reply(&x, (enum cnc_exchange_reply_event)event);
    return todo == 0 && x.body == before.body && x.reply == before.reply;
#else
    int status = 0;
    pid_t child = fork();
    ck_assert_int_ge(child, 0);
    if (child == 0) {
        dup2(open("/dev/null", O_WRONLY), STDERR_FILENO);
        (void)(body >= 0 ? cnc_exchange_step_body(&x, (enum cnc_exchange_body_event)event)
                         : cnc_exchange_step_reply(&x, (enum cnc_exchange_reply_event)event));
        _exit(0);
    }
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    return WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT;
#endif
}

START_TEST(other_pairs_of_the_exchange_are_refused)
{
    for (int s = 0; s < CNC_EXCHANGE_BODY_STATES; s++)
        for (int e = 0; e < CNC_EXCHANGE_BODY_EVENTS; e++)
            ck_assert(expected_body[s][e] || is_refused(s, -1, e));
    for (int s = 0; s < CNC_EXCHANGE_REPLY_STATES; s++)
        for (int e = 0; e < CNC_EXCHANGE_REPLY_EVENTS; e++)
            ck_assert(expected_reply[s][e] || is_refused(-1, s, e));
}
END_TEST

/* Asked for once, and only before the reply. */
START_TEST(who_wants_a_body_asks_for_it)
{
    struct cnc_exchange x = { .flags = CNC_EXCHANGE_EXPECT };
    ck_assert_uint_eq(cnc_exchange_step_body(&x, CNC_EXCHANGE_ON_WANT), CNC_EXCHANGE_DO_CONTINUE);
    ck_assert_uint_eq(cnc_exchange_step_body(&x, CNC_EXCHANGE_ON_WANT), 0);
    x = (struct cnc_exchange){ .flags = CNC_EXCHANGE_EXPECT, .reply = CNC_EXCHANGE_REPLY_BEGUN };
    ck_assert_uint_eq(cnc_exchange_step_body(&x, CNC_EXCHANGE_ON_WANT), 0);
    ck_assert_int_eq(x.body, CNC_EXCHANGE_BODY_WANTED);
}
END_TEST

START_TEST(states_have_names)
{
    for (int i = 0; i < CNC_EXCHANGE_BODY_STATES; i++)
        ck_assert_str_ne(cnc_exchange_body_name(i), "?");
    for (int i = 0; i < CNC_EXCHANGE_REPLY_STATES; i++)
        ck_assert_str_ne(cnc_exchange_reply_name(i), "?");
    ck_assert_str_eq(cnc_exchange_body_name(CNC_EXCHANGE_BODY_STATES), "?");
    ck_assert_str_eq(cnc_exchange_reply_name(-1), "?");
    for (int i = 0; i < CNC_CONN_STATES; i++)
        ck_assert_str_ne(cnc_conn_state_name(i), "?");
    ck_assert_str_eq(cnc_conn_state_name(CNC_CONN_STATES), "?");
    ck_assert_str_eq(cnc_conn_state_name(-1), "?");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("conn_states");
    TCase *tests = tcase_create("all");
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, legal_pairs_lead_where_they_should);
    tcase_add_test(tests, other_pairs_assert_or_are_counted);
    tcase_add_test(tests, what_flags_change);
    tcase_add_test(tests, a_peer_that_closes_its_side);
    tcase_add_test(tests, a_goodbye_that_fails_closes);
    tcase_add_test(tests, from_idle_to_closed);
    tcase_add_test(tests, pairs_of_the_exchange_lead_where_they_should);
    tcase_add_test(tests, other_pairs_of_the_exchange_are_refused);
    tcase_add_test(tests, who_wants_a_body_asks_for_it);
    tcase_add_test(tests, states_have_names);
    suite_add_tcase(suite, tests);
    return rig_run(suite);
}
