/* SPDX-License-Identifier: MIT
 *
 * Whole conversations in which the nth allocation, read, write, open or watch fails, for n = 1, 2, ... until one passes
 * untouched. A connection may close; nothing may crash, leak, hang or be told twice, and the next connection is served.
 */
#include "conn_rig.h"

#include "base/fault.h"

#ifdef CNC_FAULTS
static struct rig rig;

#define GET(path) "GET " path " HTTP/1.1\r\nHost: a\r\n\r\n"
#define POST(path, n) "POST " path " HTTP/1.1\r\nHost: a\r\nContent-Length: " n "\r\n\r\n"

static void say(const char *text)
{
    (void)send(rig.peer, text, strlen(text), MSG_NOSIGNAL);
    rig_turn(&rig);
}

static void reconnect(void)
{
    int fds[2];
    rig_pair(fds);
    close(rig.peer);
    rig.peer = fds[1];
    struct cnc_conn *conn = cnc_conn_create(fds[0], &rig.transport, NULL);
    if (conn)
        cnc_driver_take(&rig.drv, conn);
    else
        close(fds[0]);
}

/* The request that waits, if its connection is still there. */
static struct rig_request *waiting(void)
{
    struct rig_request *q = rig.begun ? rig_last(&rig) : NULL;
    return q && q->stream.carrier ? q : NULL;
}

static void plain(void)
{
    say(GET("/now"));
    say(GET("/now") GET("/now"));
}

static void in_parts(void)
{
    say("GET /no");
    say("w HTTP/1.1\r\nHo");
    say("st: a\r\n\r\nGET /now HTTP/1.1\r\nHost: a\r\n\r\n");
}

static void body(void)
{
    say("POST /body HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nTransfer-Encoding: chunked\r\n\r\n");
    say("5\r\nhello\r\n");
    say("0\r\n\r\n" GET("/now"));
}

static void held(void)
{
    rig.every_second = true;
    say(POST("/hold", "10") "01234");
    for (int i = 0; i < 2; i++) {
        if (waiting())
            waiting()->stream.down->resume_body(&waiting()->stream);
        say(i ? "" : "56789");
    }
    if (waiting())
        rig_failed(waiting(), rig_reply(waiting(), 200, "held", true));
    rig_turn(&rig);
}

static void large(void)
{
    rig.large = 700000;
    say(GET("/large") GET("/large"));
    for (int i = 0; i < 20; i++) {
        rig_take(&rig);
        rig_turn(&rig);
    }
}

static void streamed(void)
{
    static char bytes[90000];
    say(GET("/wait"));
    if (waiting())
        rig_failed(waiting(), rig_reply(waiting(), 200, "begin", false));
    for (int i = 0; i < 8 && waiting(); i++) {
        rig_failed(waiting(), rig_data(waiting(), bytes, sizeof bytes, i == 7));
        rig_turn(&rig);
        rig_take(&rig);
    }
    rig_turn(&rig);
}

static void refused(void)
{
    say(GET("/no"));
    reconnect();
    say("nonsense\r\n\r\n");
    reconnect();
    say("GET / HTTP/1.1\r\n");
    rig_pass(&rig, 1000);
}

static void stopped(void)
{
    say(GET("/wait"));
    cnc_driver_drain(&rig.drv);
    if (waiting())
        rig_failed(waiting(), rig_reply(waiting(), 200, "last", true));
    rig_pass(&rig, 200);
}

static void (*const talks[])(void) = { plain, in_parts, body, held, large, streamed, refused, stopped };

static bool run(void (*talk)(void), enum cnc_fault_kind kind, unsigned nth, bool and_after)
{
    int fds[2];
    rig_init(&rig, false);
    rig_pair(fds);
    rig_own(&rig, fds[0], fds[1]);
    cnc_fault_arm(kind, nth, and_after);
    cnc_driver_take(&rig.drv, rig.conn);
    rig_turn(&rig);
    talk();
    bool untouched = cnc_fault_count(kind) < nth;
    cnc_fault_arm(kind, 0, false);
    for (unsigned i = 0; i < rig.begun; i++)
        ck_assert_uint_le(rig.requests[i].gone_count, 1);
    /* The driver is whole: a connection that comes now is served. */
    rig.draining = false;
    rig.every_second = false;
    rig_turn(&rig);
    rig_connect(&rig);
    rig_send(&rig, GET("/now"));
    ck_assert(rig_is_status(rig_read(&rig), "200"));
    ck_assert_uint_eq(rig_count(rig.got, "HTTP/1.1"), 1); /* and gets no bytes of another's */
    unsigned large_ones = 0;
    for (unsigned i = 0; i < rig.begun; i++)
        large_ones += strcmp(rig.requests[i].path, "/large") == 0;
    rig_deinit(&rig);
    ck_assert_uint_eq(rig.freed, large_ones);
    return untouched;
}

START_TEST(the_nth_call_fails)
{
    static const enum cnc_fault_kind kinds[] = { CNC_FAULT_ALLOC, CNC_FAULT_READ, CNC_FAULT_WRITE, CNC_FAULT_OPEN,
                                                 CNC_FAULT_WAIT };
    for (unsigned k = 0; k < CNC_COUNT(kinds); k++)
        for (int and_after = 0; and_after < 2; and_after++) {
            unsigned nth = 1;
            while (!run(talks[_i], kinds[k], nth, and_after)) {
                nth++;
                ck_assert_uint_lt(nth, 500);
            }
        }
}
END_TEST
#endif

int main(void)
{
    Suite *suite = suite_create("conn_faults");
    TCase *tests = tcase_create("all");
    tcase_set_timeout(tests, 60);
#ifdef CNC_FAULTS
    tcase_add_loop_test(tests, the_nth_call_fails, 0, (int)CNC_COUNT(talks));
#endif
    suite_add_tcase(suite, tests);
    return rig_run(suite);
}
