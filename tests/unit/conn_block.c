/* SPDX-License-Identifier: MIT
 *
 * The blocking driver: the same machine on a thread of its own. The test's thread is the peer.
 */
#include "conn_rig.h"

static struct rig rig;

struct server {
    struct cnc_conn *conn;
    atomic_bool wanted;
    pthread_t thread;
    bool parked;
    uint8_t state;
    bool has_input, has_loop;
    unsigned begun;
};

static struct server server;

#define GET(path) "GET " path " HTTP/1.1\r\nHost: a\r\n\r\n"

static int64_t real_ms(void *arg)
{
    (void)arg;
    return cnc_clock_now(&cnc_clock_system);
}

static bool is_wanted(void *arg)
{
    return atomic_load(&((struct server *)arg)->wanted);
}

/* Serves until the driver parks the connection or it is gone; the home belongs to this thread. */
static void *serve_main(void *arg)
{
    struct server *s = arg;
    cnc_home_adopt(rig.home);
    s->parked = cnc_block_serve(&rig.drv, s->conn, is_wanted, s);
    s->has_loop = rig.home->loop != NULL;
    if (s->parked) {
        s->state = s->conn->state;
        s->has_input = s->conn->in != NULL;
    }
    return NULL;
}

static void start_over(int fds[2], int64_t receive_ms)
{
    struct timeval wait = { .tv_sec = receive_ms / 1000, .tv_usec = (receive_ms % 1000) * 1000 };
    rig_init(&rig, true);
    rig.clock.now_ms = real_ms;
    /* This driver reads blockingly. */
    ck_assert_int_eq(fcntl(fds[0], F_SETFL, 0), 0);
    ck_assert_int_eq(setsockopt(fds[0], SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof wait), 0);
    ck_assert_int_eq(fcntl(fds[1], F_SETFL, 0), 0);
    rig_own(&rig, fds[0], fds[1]);
    memset(&server, 0, sizeof server);
    server.conn = rig.conn;
}

static void start(int64_t receive_ms)
{
    int fds[2];
    rig_pair(fds);
    start_over(fds, receive_ms);
}

static void go(void)
{
    ck_assert_int_eq(pthread_create(&server.thread, NULL, serve_main, &server), 0);
}

static void say(const char *text)
{
    ck_assert_int_eq(send(rig.peer, text, strlen(text), MSG_NOSIGNAL), (ssize_t)strlen(text));
}

/* Waits until the peer has got `what`. */
static void hear(const char *what)
{
    while (rig.got[rig.got_len] = '\0', !strstr(rig.got, what)) {
        ssize_t n = recv(rig.peer, rig.got + rig.got_len, RIG_ROOM - 1 - rig.got_len, 0);
        ck_assert_msg(n > 0, "the end came before \"%s\"", what);
        rig.got_len += (size_t)n;
    }
    rig.got_len = 0;
}

/* The thread has been joined. */
static void end_joined(void)
{
    cnc_home_adopt(rig.home);
    if (server.parked) /* what a poller would do with it, short of polling */
        cnc_driver_take(&rig.drv, server.conn);
    rig_deinit(&rig);
}

static void end(void)
{
    pthread_join(server.thread, NULL);
    end_joined();
}

START_TEST(a_connection_is_served_as_long_as_it_speaks)
{
    start(20000);
    go();
    for (int i = 0; i < 50; i++) {
        say(GET("/now"));
        hear("\r\n\r\nok");
    }
    say("GET /now HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    hear("Connection: close");
    pthread_join(server.thread, NULL);
    ck_assert(!server.parked);
    ck_assert(!server.has_loop); /* nothing was ever pending */
    ck_assert_uint_eq(rig.begun, 51);
    ck_assert_uint_eq(rig.closed, 1);
    ck_assert_uint_eq(rig.drv.count, 0);
    cnc_home_adopt(rig.home);
    rig_deinit(&rig);
}
END_TEST

START_TEST(pipelined_replies_leave_in_one_write)
{
    start(20000);
    rig.clock.now_ms = rig_now_ms; /* stands still: no turn is over */
    say(GET("/now") GET("/now") GET("/now"));
    shutdown(rig.peer, SHUT_WR);
    go();
    pthread_join(server.thread, NULL);
    ck_assert_uint_eq(rig.begun, 3);
    ck_assert_uint_eq(rig_count(rig_read(&rig), "HTTP/1.1 200"), 3);
    ck_assert_uint_eq(rig.writes, 1);
    cnc_home_adopt(rig.home);
    rig_deinit(&rig);
}
END_TEST

START_TEST(a_silent_connection_is_parked)
{
    start(20);
    say(GET("/now"));
    go();
    pthread_join(server.thread, NULL);
    ck_assert(server.parked);
    ck_assert_int_eq(server.state, CNC_CONN_IDLE);
    ck_assert(!server.has_input);
    ck_assert_uint_eq(rig.drv.count, 0);
    go(); /* and can be served again */
    say(GET("/now"));
    end();
    ck_assert_uint_eq(rig.begun, 2);
}
END_TEST

static int on_request_wanted(struct cnc_conn *conn, const struct cnc_http_head *head, const char *bytes)
{
    atomic_store(&server.wanted, true);
    return rig_on_request(conn, head, bytes);
}

/* Someone else waits for a thread: the reply goes out, then the thread does not wait for this peer. */
START_TEST(a_wanted_thread_does_not_wait)
{
    start(20000);
    rig.ops.request = on_request_wanted;
    rig.clock.now_ms = rig_now_ms; /* stands still: both are of one turn */
    say(GET("/now") GET("/now"));
    go();
    pthread_join(server.thread, NULL);
    ck_assert(server.parked);
    ck_assert_uint_eq(rig_count(rig_read(&rig), "HTTP/1.1 200"), 2);
    go(); /* a second time there is nothing to read: not even that is waited for */
    end();
}
END_TEST

static int on_request_again(struct cnc_conn *conn, const struct cnc_http_head *head, const char *bytes)
{
    rig.begun = 0;
    server.begun++;
    return rig_on_request(conn, head, bytes);
}

/* The poller has read them. */
static void preload_many(unsigned n)
{
    static char all[1 << 16];
    for (char *p = all; n > 0; n--)
        p = stpcpy(p, GET("/now"));
    ck_assert_int_eq(cnc_conn_preload(server.conn, all, strlen(all)), CONCUR_OK);
}

/* What has been sent ahead keeps the thread as long as nobody else wants it; else it is given up after some of it. */
START_TEST(one_that_is_ahead_keeps_no_thread_that_is_wanted)
{
    enum { MANY = 500 };
    for (int wanted = 0; wanted < 2; wanted++) {
        start(20);
        rig.ops.request = on_request_again;
        rig.clock.now_ms = rig_now_ms; /* stands still: requests alone are counted */
        server.wanted = wanted;
        preload_many(MANY);
        unsigned parks = 0;
        do {
            const unsigned before = server.begun;
            go();
            pthread_join(server.thread, NULL);
            ck_assert(server.parked);
            ck_assert_uint_gt(server.begun, before);
            if (wanted && server.begun < MANY)
                ck_assert_uint_eq(server.begun - before, 64);
            parks++;
        } while (server.begun < MANY);
        ck_assert_uint_eq(rig_count(rig_read(&rig), "HTTP/1.1 200"), MANY);
        if (wanted)
            ck_assert_uint_ge(parks, MANY / 64);
        else
            ck_assert_uint_eq(parks, 1);
        end_joined();
    }
}
END_TEST

START_TEST(half_a_head_is_for_the_poller)
{
    start(20000);
    say(GET("/now") "GET /now HT");
    go();
    pthread_join(server.thread, NULL);
    ck_assert(server.parked);
    ck_assert_int_eq(server.state, CNC_CONN_HEAD);
    ck_assert(server.has_input);
    ck_assert(rig_is_status(rig_take(&rig), "200"));
    say("TP/1.1\r\nHost: a\r\n\r\n");
    go();
    pthread_join(server.thread, NULL);
    ck_assert(server.parked); /* nor is the other half looked for here */
    ck_assert_uint_eq(rig.begun, 1);
    cnc_home_adopt(rig.home);
    cnc_driver_take(&rig.drv, server.conn);
    ck_assert_uint_eq(rig.begun, 2);
    ck_assert(rig_is_status(rig_read(&rig), "200"));
    rig_deinit(&rig);
}
END_TEST

/* ---- requests that wait ---- */

struct late {
    struct cnc_task task;
};

static struct late late;

static void answer_late(struct cnc_task *task)
{
    (void)task;
    rig_reply(rig_last(&rig), 200, "late", true);
}

static atomic_bool pending;

static int on_request(struct cnc_conn *conn, const struct cnc_http_head *head, const char *bytes)
{
    int status = rig_on_request(conn, head, bytes);
    if (strcmp(rig_last(&rig)->path, "/wait") == 0)
        atomic_store(&pending, true);
    return status;
}

START_TEST(a_pending_request_turns_the_loop)
{
    start(20000);
    rig.ops.request = on_request;
    go();
    for (int i = 0; i < 5; i++) {
        atomic_store(&pending, false);
        say(GET("/wait"));
        while (!atomic_load(&pending))
            sched_yield();
        late.task.run = answer_late;
        ck_assert_int_eq(cnc_home_post(rig.home, &late.task), CONCUR_OK);
        hear("\r\n\r\nlate");
        say(GET("/now"));
        hear("\r\n\r\nok");
    }
    close(rig.peer);
    rig.peer = -1;
    pthread_join(server.thread, NULL);
    ck_assert(server.has_loop);
    ck_assert(!server.parked);
    ck_assert_uint_eq(rig.begun, 10);
    cnc_home_adopt(rig.home);
    rig_deinit(&rig);
}
END_TEST

START_TEST(a_peer_that_leaves_a_pending_request_frees_the_thread)
{
    start(20000);
    say(GET("/wait"));
    go();
    close(rig.peer);
    rig.peer = -1;
    pthread_join(server.thread, NULL);
    ck_assert(!server.parked);
    ck_assert_uint_eq(rig_last(&rig)->gone_count, 1);
    ck_assert_uint_eq(rig.drv.count, 0);
    cnc_home_adopt(rig.home);
    rig_deinit(&rig);
}
END_TEST

START_TEST(a_body_still_to_come_is_waited_for)
{
    start(20000);
    go();
    for (int i = 0; i < 3; i++) {
        say("POST /body HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 10\r\n\r\n");
        hear("100 Continue\r\n\r\n");
        say("01234");
        say("56789");
        hear("\r\n\r\n10");
    }
    shutdown(rig.peer, SHUT_WR);
    pthread_join(server.thread, NULL);
    ck_assert_uint_eq(rig.begun, 3);
    ck_assert_mem_eq(rig_last(&rig)->body, "0123456789", 10);
    cnc_home_adopt(rig.home);
    rig_deinit(&rig);
}
END_TEST

/* ---- writing ---- */

enum { TOTAL = 4 << 20, PIECE = 32768 };

static int stream_all(struct cnc_conn *conn, const struct cnc_http_head *head, const char *bytes)
{
    static char piece[PIECE];
    int status = rig_on_request(conn, head, bytes);
    struct rig_request *q = rig_last(&rig);
    int rc = rig_reply(q, 200, "", false);
    for (size_t at = 0; at < TOTAL && rc == CONCUR_OK; at += PIECE) {
        memset(piece, 'a' + (int)(at / PIECE % 26), PIECE);
        rc = rig_data(q, piece, PIECE, false);
        if (rc == CONCUR_OK)
            ck_assert_uint_le(cnc_conn_queued(conn), rig.limits.output_high);
    }
    if (rc == CONCUR_OK)
        rc = rig_data(q, "", 0, true);
    if (rc < 0 && q->stream.carrier)
        q->stream.down->abort(&q->stream);
    server.has_input = rc == CONCUR_OK;
    return status;
}

/* The handler writes by plain calls; they wait, and no more than the high mark is ever queued. */
START_TEST(writing_waits_for_a_slow_reader)
{
    size_t letters = 0;
    start(20000);
    rig.ops.request = stream_all;
    say("GET /wait HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    go();
    for (bool joined = false;;) {
        char some[5000];
        ssize_t n = recv(rig.peer, some, sizeof some, MSG_DONTWAIT);
        if (n == 0)
            break;
        for (ssize_t i = 0; i < n; i++)
            letters += some[i] == 'z';
        if (n > 0)
            continue;
        if (!joined && pthread_tryjoin_np(server.thread, NULL) == 0) {
            joined = true;
            cnc_home_adopt(rig.home);
            ck_assert_int_eq(cnc_driver_need_loop(&rig.drv), CONCUR_OK);
            if (server.parked) /* the last of it goes with the poller */
                cnc_driver_take(&rig.drv, server.conn);
        } else if (joined) {
            rig_turn(&rig);
        } else {
            sched_yield();
        }
    }
    ck_assert_uint_eq(letters, TOTAL / PIECE / 26 * PIECE);
    if (!rig.home->loop) {
        pthread_join(server.thread, NULL);
        cnc_home_adopt(rig.home);
    }
    rig_deinit(&rig);
}
END_TEST

START_TEST(a_peer_that_does_not_read_is_given_up)
{
    start(20000);
    rig.limits.class_ms[CNC_CLASS_WRITE] = 60;
    rig.ops.request = stream_all;
    say(GET("/wait"));
    int64_t began = real_ms(NULL);
    go();
    pthread_join(server.thread, NULL);
    ck_assert_int_ge(real_ms(NULL) - began, 55);
    ck_assert(!server.parked);
    ck_assert_uint_eq(rig.closed, 1);
    ck_assert_uint_eq(rig_last(&rig)->gone_count, 1);
    ck_assert_int_eq(rig_last(&rig)->gone, CONCUR_E_TIMEOUT);
    ck_assert_ptr_null(rig_last(&rig)->stream.carrier);
    cnc_home_adopt(rig.home);
    rig_deinit(&rig);
}
END_TEST

START_TEST(a_handler_can_look_whether_its_peer_has_left)
{
    start(20000);
    say(GET("/wait"));
    cnc_home_adopt(rig.home);
    rig.conn->drv = &rig.drv;
    struct rig_request q = { .rig = &rig };
    q.stream = (struct cnc_stream){ .down = &cnc_conn_carrier, .up = &rig_up, .carrier = rig.conn };
    char some[64];
    ck_assert_int_eq(cnc_conn_carrier.check(&q.stream), 0);
    ck_assert_int_gt(recv(cnc_io_fd(&rig.conn->io), some, sizeof some, 0), 0);
    ck_assert_int_eq(cnc_conn_carrier.check(&q.stream), 0);
    close(rig.peer);
    rig.peer = -1;
    ck_assert_int_eq(cnc_conn_carrier.check(&q.stream), CONCUR_E_GONE);
    cnc_driver_take(&rig.drv, rig.conn);
    rig_deinit(&rig);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("conn_block");
    TCase *tests = tcase_create("all");
    tcase_set_timeout(tests, 30);
    tcase_add_test(tests, a_connection_is_served_as_long_as_it_speaks);
    tcase_add_test(tests, pipelined_replies_leave_in_one_write);
    tcase_add_test(tests, a_silent_connection_is_parked);
    tcase_add_test(tests, a_wanted_thread_does_not_wait);
    tcase_add_test(tests, one_that_is_ahead_keeps_no_thread_that_is_wanted);
    tcase_add_test(tests, half_a_head_is_for_the_poller);
    tcase_add_test(tests, a_pending_request_turns_the_loop);
    tcase_add_test(tests, a_peer_that_leaves_a_pending_request_frees_the_thread);
    tcase_add_test(tests, a_body_still_to_come_is_waited_for);
    tcase_add_test(tests, writing_waits_for_a_slow_reader);
    tcase_add_test(tests, a_peer_that_does_not_read_is_given_up);
    tcase_add_test(tests, a_handler_can_look_whether_its_peer_has_left);
    suite_add_tcase(suite, tests);
    return rig_run(suite);
}
