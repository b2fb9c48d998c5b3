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

/* Where the connection was given up the last one may be short, but nothing else is within it: its body is zeros. */
static size_t replies_in(const char *wire, size_t n, bool is_over)
{
    size_t count = 0;
    while (n) {
        const char *end = strstr(wire, "\r\n\r\n"), *length = strstr(wire, "Content-Length: ");
        ck_assert_msg(end && length && length < end, "%.100s", wire);
        size_t head = (size_t)(end - wire) + 4, whole = head + strtoul(length + 16, NULL, 10);
        if (n < whole && is_over) {
            for (size_t i = head; i < n; i++)
                ck_assert_msg(wire[i] == '\0', "%zu bytes of %zu: %.200s", n, whole, wire + i);
            break;
        }
        ck_assert_msg(n >= whole, "%zu bytes of %zu: %.100s", n, whole, wire);
        wire += whole;
        n -= whole;
        count++;
    }
    return count;
}

/* Where there is no memory for a reply nothing of it is said, so that another one can be: the wire has whole replies and
 * nothing else, whatever was in the buffers before. */
static bool reply_without_memory(size_t n, bool copies, const char *text, unsigned asked, unsigned nth)
{
    int fds[2];
    rig_init(&rig, false);
    rig.large = n;
    rig.copies = copies;
    rig.insists = true;
    rig_pair(fds);
    rig_own(&rig, fds[0], fds[1]);
    cnc_driver_take(&rig.drv, rig.conn);
    rig_turn(&rig);
    cnc_fault_arm(CNC_FAULT_ALLOC, nth, false);
    say(text);
    for (int i = 0; i < 40; i++) {
        rig_read(&rig);
        rig_turn(&rig);
    }
    bool untouched = cnc_fault_count(CNC_FAULT_ALLOC) < nth;
    cnc_fault_arm(CNC_FAULT_ALLOC, 0, false);
    rig_read(&rig);
    size_t whole = replies_in(rig.got, rig.got_len, rig.eof);
    ck_assert_msg(whole == asked || rig.eof, "%zu replies to %u requests, and no end", whole, asked);
    if (untouched)
        ck_assert_msg(whole == asked && !strstr(rig.got, "503"), "%zu replies", whole);
    rig_deinit(&rig);
    return untouched;
}

START_TEST(a_reply_for_which_memory_lacks_is_not_begun)
{
    static const size_t sizes[] = { 10, 16384, 16385, 60000, 65536, 100000, 700000 };
    static const struct {
        const char *text;
        unsigned asked;
    } talks_of[] = { { GET("/large"), 1 }, { GET("/now") GET("/large"), 2 }, { GET("/large") GET("/large"), 2 } };
    for (size_t i = 0; i < CNC_COUNT(sizes); i++)
        for (size_t k = 0; k < CNC_COUNT(talks_of); k++)
            for (int copies = 0; copies < 2; copies++)
                for (unsigned nth = 1; !reply_without_memory(sizes[i], copies, talks_of[k].text, talks_of[k].asked, nth);)
                    ck_assert_uint_lt(++nth, 100);
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
    tcase_add_test(tests, a_reply_for_which_memory_lacks_is_not_begun);
#endif
    suite_add_tcase(suite, tests);
    return rig_run(suite);
}
