/* SPDX-License-Identifier: MIT
 *
 * What once broke on the wire, on every engine of the build: each test is the shortest sequence that showed it.
 */
#include <sys/un.h>

#include "live.h"

static struct live_latch cancelled = LIVE_LATCH, entered = LIVE_LATCH;
static atomic_int reason; /* of the last one that was cancelled */

static int hello(concur_request *r, void *arg)
{
    (void)arg;
    return concur_reply_text(r, 200, "hello");
}

static int length(concur_request *r, void *arg)
{
    size_t n;
    (void)arg;
    (void)concur_request_body(r, &n);
    return concur_reply_printf(r, 200, NULL, "%zu", n);
}

static int decline(concur_request *r, void *arg)
{
    (void)r;
    (void)arg;
    return CONCUR_DECLINE;
}

static int on_cancel(concur_request *r, int rc, void *arg)
{
    (void)r;
    (void)arg;
    atomic_store(&reason, rc);
    live_latch_add(&cancelled);
    return CONCUR_OK;
}

static int wait_long(concur_request *r, void *arg)
{
    (void)arg;
    (void)concur_request_on_cancel(r, on_cancel, NULL);
    live_latch_add(&entered);
    return concur_request_after(r, 600000, hello, NULL);
}

/* Replies while a piece is held, and reads it after the reply. */
static int reply_and_keep(concur_request *r, const void *p, size_t n, void *arg)
{
    const char *text = p;
    (void)arg;
    (void)concur_reply_text(r, 200, "early");
    ck_assert_int_eq(text[0], 'x');
    ck_assert_int_eq(text[n - 1], 'x');
    return CONCUR_AGAIN;
}

static int held(concur_request *r, void *arg)
{
    return concur_request_on_body(r, reply_and_keep, NULL, arg);
}

static int refuse(concur_request *r, const void *p, size_t n, void *arg)
{
    (void)r;
    (void)p;
    (void)n;
    (void)arg;
    return CONCUR_E_UPSTREAM;
}

static int say(concur_request *r, int rc, void *arg)
{
    (void)r;
    (void)rc;
    return *(const int *)arg;
}

/* Something else is pending: the end's word alone decides. */
static int refusing(concur_request *r, void *arg)
{
    (void)concur_request_after(r, 600000, hello, NULL);
    return concur_request_on_body(r, refuse, say, arg);
}

static int endless(concur_request *r, void *room, size_t *n, void *arg)
{
    (void)r;
    (void)arg;
    memset(room, 'x', *n);
    live_latch_add(&entered);
    return CONCUR_OK;
}

static int flood(concur_request *r, void *arg)
{
    (void)concur_request_on_cancel(r, on_cancel, NULL);
    return concur_reply_pull(r, 200, NULL, -1, endless, arg);
}

static int engines[8];

static int not_found = 404, again = CONCUR_AGAIN, ok = CONCUR_OK;

static struct live start(int i, const char *name, const char *value)
{
    struct live l = live_new(engines[i]);
    if (name)
        live_set(&l, name, value);
    live_route(&l, "GET /", 0, hello, NULL);
    live_route(&l, "POST /length", 0, length, NULL);
    live_route(&l, "POST /unread", CONCUR_ROUTE_STREAM, hello, NULL);
    live_route(&l, "GET /wait", 0, wait_long, NULL);
    live_route(&l, "POST /held", CONCUR_ROUTE_STREAM, held, NULL);
    live_route(&l, "POST /held-away", CONCUR_ROUTE_STREAM | CONCUR_ROUTE_BLOCKING, held, NULL);
    live_route(&l, "POST /declined", CONCUR_ROUTE_STREAM, decline, NULL);
    live_route(&l, "POST /declined", CONCUR_ROUTE_BLOCKING, length, NULL);
    live_route(&l, "POST /end/404", CONCUR_ROUTE_STREAM, refusing, &not_found);
    live_route(&l, "POST /end/again", CONCUR_ROUTE_STREAM, refusing, &again);
    live_route(&l, "POST /end/ok", CONCUR_ROUTE_STREAM, refusing, &ok);
    live_route(&l, "GET /flood", CONCUR_ROUTE_BLOCKING, flood, NULL);
    live_start(&l);
    return l;
}

static void expect(struct live_peer *p, int status, const char *body)
{
    struct live_answer a;
    ck_assert(live_receive(p, &a, false));
    ck_assert_int_eq(a.status, status);
    ck_assert(a.complete);
    if (body)
        ck_assert_msg(a.n == strlen(body) && memcmp(a.body, body, a.n) == 0, "%.*s", (int)a.n, a.body);
}

#define GET "GET / HTTP/1.1\r\nHost: t\r\n\r\n"

/* A head that was buffered or handed over was taken for the body's first bytes. */
START_TEST(continue_is_said_however_the_head_came)
{
    struct live l = start(_i, NULL, NULL);
    struct live_peer p = live_connect(&l);
    ck_assert(live_send(&p, "POST /length HTTP/1.1\r\nHost: t\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n"));
    expect(&p, 100, NULL);
    ck_assert(live_send(&p, "abc"));
    expect(&p, 200, "3");
    /* The first answer shows that half a head was read before the rest is sent. */
    ck_assert(live_send(&p, GET "POST /length HTTP/1.1\r\nHost: t\r\nExpect: 100-"));
    expect(&p, 200, "hello");
    ck_assert(live_send(&p, "continue\r\nContent-Length: 3\r\n\r\n"));
    expect(&p, 100, NULL);
    ck_assert(live_send(&p, "abc"));
    expect(&p, 200, "3");
    live_close(&p);
    live_end(&l, 1000);
}
END_TEST

/* A connection that failed on its thread was refused a second time by the poller. */
START_TEST(a_bad_request_behind_a_good_one_ends_only_its_connection)
{
    struct live l = start(_i, NULL, NULL);
    struct live_peer p = live_connect(&l);
    ck_assert(live_send(&p, GET "BAD\r\n\r\n"));
    expect(&p, 200, "hello");
    expect(&p, 400, NULL);
    ck_assert(live_at_end(&p));
    live_close(&p);
    ck_assert_int_eq(live_get(&l, "/", NULL, 0), 200);
    live_end(&l, 1000);
}
END_TEST

/* What was thrown away counted for the connection's whole life. */
START_TEST(small_bodies_that_nobody_reads_keep_the_connection)
{
    static char request[30100];
    struct live l = start(_i, NULL, NULL);
    struct live_peer p = live_connect(&l);
    size_t n = (size_t)snprintf(request, 100, "POST /unread HTTP/1.1\r\nHost: t\r\nContent-Length: 30000\r\n\r\n");
    memset(request + n, 'x', 30000);
    for (int i = 0; i < 30; i++) {
        ck_assert(live_send_n(&p, request, n + 30000));
        expect(&p, 200, "hello");
    }
    live_close(&p);
    live_end(&l, 1000);
}
END_TEST

/* libevent tells nobody of a reset who watches for the end alone. */
START_TEST(a_reset_is_seen_while_nothing_is_read)
{
    struct live l = start(_i, "pipeline_max", "0");
    struct live_peer p = live_connect(&l);
    unsigned before = entered.count, told = cancelled.count;
    ck_assert(live_send(&p, "GET /wait HTTP/1.1\r\nHost: t\r\n\r\n"));
    ck_assert(live_latch_wait(&entered, before + 1));
    live_reset(&p);
    ck_assert(live_latch_wait(&cancelled, told + 1));
    live_end(&l, 1000);
}
END_TEST

/* The connection waited for ever for somebody to resume; on the pool the piece was freed under its callback. */
START_TEST(a_reply_over_a_held_piece_frees_the_connection)
{
    static const char *const paths[] = { "/held", "/held-away" };
    struct live l = start(_i, NULL, NULL);
    for (unsigned i = 0; i < 2; i++) {
        struct live_peer p = live_connect(&l);
        char request[200];
        snprintf(request, sizeof request, "POST %s HTTP/1.1\r\nHost: t\r\nContent-Length: 20\r\n\r\nxxxxxxxxxxxxxxxxxxxx" GET,
                 paths[i]);
        ck_assert(live_send(&p, request));
        expect(&p, 200, "early");
        expect(&p, 200, "hello");
        live_close(&p);
    }
    live_end(&l, 1000);
}
END_TEST

/* WAITING had no way to the pool's queue. */
START_TEST(declining_to_a_blocking_route_that_wants_the_body)
{
    struct live l = start(_i, NULL, NULL);
    char body[16];
    ck_assert_int_eq(live_ask(&l, "POST /declined HTTP/1.1\r\nHost: t\r\nContent-Length: 4\r\n\r\nabcd", body, sizeof body),
                     200);
    ck_assert_str_eq(body, "4");
    live_end(&l, 1000);
}
END_TEST

/* Over body_max a status was not listened to; AGAIN left the request to wait for what else was pending. */
START_TEST(the_end_of_a_body_has_the_last_word)
{
    static const struct {
        const char *path;
        int refused, over;
    } rows[] = { { "404", 404, 404 }, { "again", 500, 500 }, { "ok", 502, 413 } };
    struct live l = start(_i, "body_max", "4");
    char request[200];
    for (unsigned i = 0; i < sizeof rows / sizeof *rows; i++)
        for (int over = 0; over < 2; over++) {
            const char *body = over ? "5\r\nabcde\r\n0\r\n\r\n" : "3\r\nabc\r\n0\r\n\r\n";
            snprintf(request, sizeof request,
                     "POST /end/%s HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n%s", rows[i].path, body);
            ck_assert_int_eq(live_ask(&l, request, NULL, 0), over ? rows[i].over : rows[i].refused);
        }
    live_end(&l, 1);
}
END_TEST

/* A thread in a write did not look up before the write timeout. */
START_TEST(a_peer_that_reads_nothing_does_not_hold_up_a_stop)
{
    struct live l = start(_i, NULL, NULL);
    struct live_peer p = live_connect(&l);
    unsigned before = entered.count;
    ck_assert(live_send(&p, "GET /flood HTTP/1.1\r\nHost: t\r\n\r\n"));
    ck_assert(live_latch_wait(&entered, before + 8));
    live_end(&l, 100);
    live_close(&p);
}
END_TEST

/* The client was said to have left; on a thread concur_reply_write() promised another code. */
START_TEST(a_peer_that_reads_nothing_is_a_timeout)
{
    struct live l = start(_i, "write_timeout", "50ms");
    struct live_peer p = live_connect(&l);
    unsigned told = cancelled.count;
    ck_assert(live_send(&p, "GET /flood HTTP/1.1\r\nHost: t\r\n\r\n"));
    ck_assert(live_latch_wait(&cancelled, told + 1));
    ck_assert_int_eq(atomic_load(&reason), CONCUR_E_TIMEOUT);
    live_close(&p);
    live_end(&l, 1000);
}
END_TEST

/* Accepted unix sockets do not inherit SO_RCVTIMEO: an idle one held its thread. */
START_TEST(idle_connections_of_a_unix_socket_hold_no_thread)
{
    struct live l = { .server = concur_server_new(CONCUR_ENGINE_THREAD, NULL), .name = "thread" };
    struct sockaddr_un un = { .sun_family = AF_UNIX };
    struct live_peer p[3];
    char address[120];
    snprintf(un.sun_path, sizeof un.sun_path, "/tmp/concur-regress-%ld.sock", (long)getpid());
    snprintf(address, sizeof address, "unix:%.100s", un.sun_path);
    live_set(&l, "environment", "off");
    live_set(&l, "threads_max", "1");
    ck_assert_int_eq(concur_server_listen(l.server, address), CONCUR_OK);
    live_route(&l, "GET /", 0, hello, NULL);
    ck_assert_int_eq(concur_server_start(l.server), CONCUR_OK);
    for (int i = 0; i < 3; i++) {
        struct timeval patience = { .tv_sec = LIVE_PATIENCE_S };
        p[i] = (struct live_peer){ .fd = socket(AF_UNIX, SOCK_STREAM, 0) };
        (void)setsockopt(p[i].fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
        ck_assert_int_eq(connect(p[i].fd, (const struct sockaddr *)&un, sizeof un), 0);
        ck_assert(live_send(&p[i], GET));
        expect(&p[i], 200, "hello");
    }
    for (int i = 0; i < 3; i++)
        live_close(&p[i]);
    live_end(&l, 1000);
}
END_TEST

int main(void)
{
    int n = (int)live_engines(engines);
    Suite *suite = suite_create("regress_wire");
    TCase *all = tcase_create("all");
    tcase_set_timeout(all, 90);
    tcase_add_loop_test(all, continue_is_said_however_the_head_came, 0, n);
    tcase_add_loop_test(all, a_bad_request_behind_a_good_one_ends_only_its_connection, 0, n);
    tcase_add_loop_test(all, small_bodies_that_nobody_reads_keep_the_connection, 0, n);
    tcase_add_loop_test(all, a_reset_is_seen_while_nothing_is_read, 0, n);
    tcase_add_loop_test(all, a_reply_over_a_held_piece_frees_the_connection, 0, n);
    tcase_add_loop_test(all, declining_to_a_blocking_route_that_wants_the_body, 0, n);
    tcase_add_loop_test(all, the_end_of_a_body_has_the_last_word, 0, n);
    tcase_add_loop_test(all, a_peer_that_reads_nothing_does_not_hold_up_a_stop, 0, n);
    tcase_add_loop_test(all, a_peer_that_reads_nothing_is_a_timeout, 0, n);
    tcase_add_test(all, idle_connections_of_a_unix_socket_hold_no_thread);
    suite_add_tcase(suite, all);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
