/* SPDX-License-Identifier: MIT
 *
 * A transport with a state of its own on both drivers, step by step: the test says what it answers next. Bytes pass it unchanged,
 * through a buffer of its own.
 */
#include "conn_rig.h"

#include <fcntl.h>
#include <poll.h>

static struct rig rig;

/* What the transport answers. */
static struct script {
    int greets[8]; /* what each call of greet waits for; 0: it is over; negative: it fails */
    unsigned greeted, greets_called;
    bool writes_first;  /* a read says that it has to write, until there was another one */
    bool reads_first;   /* the same of a write */
    bool stays;         /* and of each further one, or the same of greet */
    size_t piece;       /* reads give no more than so many bytes; 0: what is here */
    bool is_strict;     /* counts writes that come without anything to read, though one asked for that */
    bool asked;
    unsigned early;
    unsigned finishes;  /* calls of finish that say -EAGAIN */
    int want_read, want_write;
    unsigned reads, destroyed;
    char data[4096];
    size_t at, end;
} script;

static int script_greet(int fd, void *state)
{
    int next = script.greets[script.greeted];
    (void)fd;
    (void)state;
    script.greets_called++;
    if (next > 0) {
        script.greeted += !script.stays;
        script.want_read = next;
        return -EAGAIN;
    }
    return next < 0 ? next : 1;
}

static ssize_t script_read(int fd, void *state, void *p, size_t n, bool wait)
{
    (void)state;
    script.reads++;
    script.want_read = CNC_WANT_READ;
    if (script.writes_first) {
        script.writes_first = script.stays;
        script.want_read = CNC_WANT_WRITE;
        return -EAGAIN;
    }
    if (script.at == script.end) {
        ssize_t got = recv(fd, script.data, sizeof script.data, wait ? 0 : MSG_DONTWAIT);
        if (got <= 0)
            return got < 0 ? -errno : 0;
        script.at = 0;
        script.end = (size_t)got;
    }
    size_t have = script.end - script.at, some = script.piece && script.piece < have ? script.piece : have;
    some = some < n ? some : n;
    memcpy(p, script.data + script.at, some);
    script.at += some;
    return (ssize_t)some;
}

static ssize_t script_write(int fd, void *state, const struct iovec *iov, int count)
{
    script.want_write = CNC_WANT_WRITE;
    if (script.reads_first) {
        script.reads_first = script.stays;
        script.want_write = CNC_WANT_READ;
        script.asked = script.is_strict;
        return -EAGAIN;
    }
    if (script.asked) {
        char byte;
        script.early += recv(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) != 1;
    }
    return cnc_transport_plain.write(fd, state, iov, count);
}

static size_t script_pending(void *state)
{
    (void)state;
    return script.end - script.at;
}

static int script_wants(void *state, bool reading)
{
    (void)state;
    return reading ? script.want_read : script.want_write;
}

static int script_finish(int fd, void *state)
{
    if (script.finishes) {
        script.finishes--;
        script.want_write = CNC_WANT_WRITE;
        return -EAGAIN;
    }
    return cnc_transport_plain.finish(fd, state);
}

static void script_destroy(void *state)
{
    (void)state;
    script.destroyed++;
}

static const struct cnc_transport_ops scripted = {
    .name = "scripted", .greet = script_greet, .read = script_read, .write = script_write, .pending = script_pending,
    .wants = script_wants, .finish = script_finish, .destroy = script_destroy
};

static void *make(void *arg, int fd)
{
    (void)fd;
    return arg;
}

static const struct cnc_transport_factory factory = { &scripted, make, &script };

#define GET(path) "GET " path " HTTP/1.1\r\nHost: a\r\n\r\n"
#define LAST(path) "GET " path " HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"

static void open_scripted(int fds[2])
{
    rig.peer = fds[1];
    rig.conn = cnc_conn_create_with(fds[0], &factory);
    ck_assert_ptr_nonnull(rig.conn);
}

static void start(void)
{
    memset(&script, 0, sizeof script);
    rig_init(&rig, false);
}

static void begin(void)
{
    int fds[2];
    rig_pair(fds);
    open_scripted(fds);
    cnc_driver_take(&rig.drv, rig.conn);
}

static void end(void)
{
    rig_deinit(&rig);
    ck_assert_uint_eq(script.destroyed, 1);
}

/* Exactly this, and no event of the other kind is watched for: that would be a spin. */
static void expect_watched(unsigned mask)
{
    ck_assert_uint_eq(rig.conn->mask, mask);
}

START_TEST(a_greeting_waits_for_what_it_says)
{
    start();
    script.greets[0] = CNC_WANT_READ;
    script.greets[1] = CNC_WANT_WRITE;
    script.greets[2] = CNC_WANT_READ;
    begin();
    ck_assert_uint_eq(script.greeted, 1);
    ck_assert_int_eq(rig.conn->state, CNC_CONN_GREET);
    expect_watched(CNC_IO_READ);
    rig_turn(&rig);
    ck_assert_uint_eq(script.greeted, 1);
    rig_send(&rig, GET("/now")); /* it reads none of it before it is over; each call has an event of its own */
    ck_assert_uint_eq(script.greeted, 3);
    ck_assert_int_eq(rig.conn->state, CNC_CONN_IDLE);
    rig_turn(&rig);
    ck_assert(rig_is_status(rig_take(&rig), "200"));
    expect_watched(CNC_IO_READ);
    end();
}
END_TEST

START_TEST(a_greeting_waits_to_write)
{
    start();
    script.greets[0] = CNC_WANT_WRITE;
    begin();
    expect_watched(CNC_IO_WRITE);
    rig_turn(&rig);
    ck_assert_int_eq(rig.conn->state, CNC_CONN_IDLE);
    expect_watched(CNC_IO_READ);
    end();
}
END_TEST

/* Whoever greets for ever is as one who is silent. */
START_TEST(a_greeting_has_the_time_of_a_new_connection)
{
    start();
    script.greets[0] = CNC_WANT_READ;
    script.stays = true;
    begin();
    rig_pass(&rig, rig.limits.class_ms[CNC_CLASS_FRESH] - 1);
    rig_send(&rig, "x");
    ck_assert_uint_gt(script.greets_called, 1);
    ck_assert_uint_eq(rig.closed, 0);
    rig_pass(&rig, 1);
    ck_assert_uint_eq(rig.closed, 1);
    ck_assert_uint_eq(script.reads, 0);
    ck_assert_str_eq(rig_read(&rig), "");
    end();
}
END_TEST

START_TEST(a_greeting_that_fails_closes)
{
    start();
    script.greets[0] = -EPROTO;
    begin();
    ck_assert_uint_eq(rig.closed, 1);
    ck_assert_str_eq(rig_read(&rig), "");
    end();
}
END_TEST

START_TEST(a_stop_ends_a_greeting)
{
    start();
    script.greets[0] = CNC_WANT_READ;
    begin();
    cnc_driver_drain(&rig.drv);
    ck_assert_uint_eq(rig.closed, 0);
    rig_pass(&rig, rig.limits.class_ms[CNC_CLASS_DRAIN]);
    ck_assert_uint_eq(rig.closed, 1);
    end();
}
END_TEST

START_TEST(a_greeting_that_waits_longest_makes_room)
{
    start();
    script.greets[0] = CNC_WANT_READ;
    begin();
    rig_pass(&rig, 5);
    ck_assert(cnc_driver_reap_silent(&rig.drv, 5));
    ck_assert_uint_eq(rig.closed, 1);
    end();
}
END_TEST

START_TEST(a_read_that_writes_first_waits_to_write)
{
    start();
    script.writes_first = script.stays = true;
    begin();
    expect_watched(CNC_IO_WRITE);
    script.stays = false;
    rig_send(&rig, GET("/now"));
    ck_assert(rig_is_status(rig_take(&rig), "200"));
    expect_watched(CNC_IO_READ);
    /* In a head. */
    script.writes_first = script.stays = true;
    rig_send(&rig, "GET /n");
    expect_watched(CNC_IO_WRITE);
    script.stays = false;
    rig_turn(&rig);
    ck_assert_int_eq(rig.conn->state, CNC_CONN_HEAD);
    expect_watched(CNC_IO_READ);
    end();
}
END_TEST

START_TEST(a_write_that_reads_first_waits_to_read)
{
    start();
    begin();
    script.reads_first = script.stays = true;
    rig_send(&rig, GET("/now"));
    ck_assert_ptr_nonnull(rig.conn->out);
    expect_watched(CNC_IO_READ | CNC_IO_CLOSED);
    rig_turn(&rig);
    ck_assert_str_eq(rig_read(&rig), "");
    script.stays = script.reads_first = false;
    rig_turn(&rig);
    ck_assert_str_eq(rig_read(&rig), "");
    rig_send(&rig, GET("/now"));
    rig_turn(&rig);
    ck_assert_uint_eq(rig_count(rig_read(&rig), "200 OK"), 2);
    expect_watched(CNC_IO_READ);
    end();
}
END_TEST

/* No event comes for them. */
START_TEST(bytes_that_are_held_are_gone_on_with)
{
    start();
    script.piece = 1;
    begin();
    rig_send(&rig, GET("/now"));
    for (size_t i = 0; i < sizeof GET("/now"); i++)
        rig_turn(&rig);
    ck_assert(rig_is_status(rig_take(&rig), "200"));
    ck_assert_uint_eq(script.at, script.end);
    end();
}
END_TEST

/* A piece at each turn of the loop, and no more: the others have theirs between. */
START_TEST(bytes_that_are_held_have_turns)
{
    start();
    script.piece = 1;
    begin();
    ck_assert_int_eq(send(rig.peer, GET("/now"), strlen(GET("/now")), MSG_NOSIGNAL), (ssize_t)strlen(GET("/now")));
    unsigned before = script.reads;
    for (unsigned turns = 0; script.at == script.end || script.reads == before; turns++) {
        ck_assert_uint_lt(turns, 4);
        cnc_home_turn(rig.home, 0);
    }
    for (unsigned i = 0; i < 8; i++) {
        before = script.reads;
        cnc_home_turn(rig.home, 0);
        ck_assert_uint_ge(script.reads, before + 1);
        ck_assert_uint_le(script.reads, before + 2);
    }
    end();
}
END_TEST

/* A request that is not answered yet, and as much behind it as is taken ahead: what is left is read when the reply has gone. */
START_TEST(bytes_that_are_held_wait_for_the_reply)
{
    start();
    rig.limits.pipeline_max = 8;
    script.piece = strlen(GET("/wait"));
    begin();
    rig_send(&rig, GET("/wait") GET("/now") GET("/now"));
    ck_assert_uint_lt(script.at, script.end);
    rig_reply(rig_last(&rig), 200, "late", true);
    for (int i = 0; i < 16; i++)
        rig_turn(&rig);
    ck_assert_uint_eq(rig_count(rig_read(&rig), "200 OK"), 3);
    end();
}
END_TEST

START_TEST(a_goodbye_may_take_a_while)
{
    start();
    script.finishes = 2;
    begin();
    rig_send(&rig, LAST("/wait"));
    cnc_conn_touch(rig.conn);
    script.finishes = 1000000;
    rig_reply(rig_last(&rig), 200, "bye", true);
    cnc_home_turn(rig.home, 0);
    ck_assert_int_eq(rig.conn->state, CNC_CONN_LINGER);
    expect_watched(CNC_IO_READ | CNC_IO_WRITE);
    rig_read(&rig);
    ck_assert(rig_is_status(rig.got, "200") && !rig.eof);
    script.finishes = 1;
    rig_turn(&rig);
    ck_assert_uint_eq(rig.closed, 1); /* without waiting for the peer */
    rig_read(&rig);
    ck_assert(rig.eof);
    end();
}
END_TEST

START_TEST(a_goodbye_does_not_take_for_ever)
{
    start();
    begin();
    script.finishes = 1000000;
    rig_send(&rig, LAST("/now"));
    ck_assert_int_eq(rig.conn->state, CNC_CONN_LINGER);
    rig_pass(&rig, rig.limits.class_ms[CNC_CLASS_LINGER]);
    ck_assert_uint_eq(rig.closed, 1);
    end();
}
END_TEST

/* ---- on a thread ---- */

struct server {
    pthread_t thread;
    bool parked;
    uint8_t state;
};

static struct server server;
static int64_t wait_ms;

static int64_t real_ms(void *arg)
{
    (void)arg;
    return cnc_clock_now(&cnc_clock_system);
}

static bool nobody_waits(void *arg)
{
    (void)arg;
    return false;
}

static int64_t head_wait(struct cnc_driver *drv)
{
    (void)drv;
    return wait_ms;
}

static void *serve_main(void *arg)
{
    struct server *s = arg;
    cnc_home_adopt(rig.home);
    s->parked = cnc_block_serve(&rig.drv, rig.conn, nobody_waits, s);
    s->state = s->parked ? rig.conn->state : CNC_CONN_CLOSED;
    return NULL;
}

static void start_thread(bool awaits_heads)
{
    int fds[2];
    struct timeval wait = { .tv_sec = 60 };
    memset(&script, 0, sizeof script);
    rig_init(&rig, true);
    rig.clock.now_ms = real_ms;
    rig.ops.head_wait = awaits_heads ? head_wait : NULL;
    wait_ms = 60000;
    rig_pair(fds);
    ck_assert_int_eq(fcntl(fds[0], F_SETFL, 0), 0);
    ck_assert_int_eq(fcntl(fds[1], F_SETFL, 0), 0);
    ck_assert_int_eq(setsockopt(fds[0], SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof wait), 0);
    open_scripted(fds);
}

static void go(void)
{
    ck_assert_int_eq(pthread_create(&server.thread, NULL, serve_main, &server), 0);
}

static void say(const char *text)
{
    ck_assert_int_eq(send(rig.peer, text, strlen(text), MSG_NOSIGNAL), (ssize_t)strlen(text));
}

static void hear(const char *what)
{
    for (;;) {
        struct pollfd p = { .fd = rig.peer, .events = POLLIN };
        if (strstr(rig_read(&rig), what))
            return;
        ck_assert_msg(!rig.eof && poll(&p, 1, 30000) == 1, "no %s", what);
    }
}

static void join(void)
{
    ck_assert_int_eq(pthread_join(server.thread, NULL), 0);
    if (server.parked) {
        rig.conn->drv = &rig.drv;
        cnc_conn_end(&rig.drv, rig.conn);
    }
    end();
}

START_TEST(a_thread_greets_and_reads)
{
    start_thread(true);
    script.greets[0] = CNC_WANT_READ;
    script.greets[1] = CNC_WANT_WRITE;
    script.greets[2] = CNC_WANT_READ;
    script.writes_first = true;
    script.piece = 1;
    go();
    say(GET("/now"));
    hear("\r\n\r\nok");
    ck_assert_uint_eq(script.greeted, 3);
    say(LAST("/now"));
    hear("Connection: close");
    join();
}
END_TEST

/* The rest of the greeting is elsewhere. */
START_TEST(a_thread_does_not_wait_long_for_a_greeting)
{
    start_thread(true);
    script.greets[0] = CNC_WANT_READ;
    wait_ms = 1;
    go();
    ck_assert_int_eq(pthread_join(server.thread, NULL), 0);
    ck_assert(server.parked);
    ck_assert_int_eq(server.state, CNC_CONN_GREET);
    rig.conn->drv = &rig.drv;
    cnc_conn_end(&rig.drv, rig.conn);
    end();
}
END_TEST

/* Later reads wait as long as the descriptor's own time, but not where they have to write. */
START_TEST(a_thread_writes_in_order_to_read)
{
    start_thread(false);
    rig.conn->state = CNC_CONN_IDLE;
    script.writes_first = true;
    go();
    say(GET("/now"));
    hear("\r\n\r\nok");
    rig.got_len = 0;
    script.piece = 1; /* the thread waits in the read, and sees it with the bytes */
    say(LAST("/now"));
    hear("Connection: close");
    join();
}
END_TEST

/* What a handler does whose reply has to wait. */
static void *flush_main(void *arg)
{
    (void)arg;
    cnc_home_adopt(rig.home);
    rig.drv.current = rig.conn;
    ck_assert_int_eq(rig.drv.wait_for_room(rig.conn, 0), CONCUR_OK);
    return NULL;
}

START_TEST(a_thread_reads_in_order_to_write)
{
    start_thread(false);
    rig.conn->state = CNC_CONN_IDLE;
    script.reads_first = true;
    say(GET("/now"));
    go();
    ck_assert_int_eq(pthread_join(server.thread, NULL), 0); /* a reply that does not leave is the poller's */
    ck_assert(server.parked && rig.conn->out);
    script.reads_first = script.is_strict = true;
    ck_assert_int_eq(pthread_create(&server.thread, NULL, flush_main, NULL), 0);
    say("x");
    hear("\r\n\r\nok");
    join();
    ck_assert_uint_eq(script.early, 0);
}
END_TEST

/* ---- a lease, in a front ---- */

static struct cnc_conn *leased;

static void lend(struct cnc_driver *drv, struct cnc_conn *conn)
{
    (void)drv;
    leased = conn;
}

static void start_lease(void)
{
    int fds[2];
    start();
    leased = NULL;
    rig.ops.handover = lend;
    rig_pair(fds);
    rig.peer = fds[1];
    rig.conn = cnc_conn_create_lease(fds[0], &factory);
    ck_assert_ptr_nonnull(rig.conn);
    cnc_driver_take(&rig.drv, rig.conn);
    rig_turn(&rig);
    ck_assert_ptr_null(leased);
}

START_TEST(a_lease_leaves_with_its_first_bytes)
{
    char text[8];
    start_lease();
    rig_send(&rig, "\x16\x03\x01");
    ck_assert_ptr_eq(leased, rig.conn);
    ck_assert_ptr_eq(cnc_conn_lease_factory(leased), &factory);
    ck_assert_uint_eq(rig.drv.count, 0);
    ck_assert_ptr_null(leased->in);
    ck_assert_int_eq(recv(cnc_io_fd(&leased->io), text, sizeof text, MSG_DONTWAIT), 3);
    cnc_conn_end(&rig.drv, leased);
    rig_deinit(&rig);
    ck_assert_uint_eq(script.greeted + script.destroyed, 0);
}
END_TEST

/* Nothing that it would understand can be said to it. */
START_TEST(a_lease_that_is_refused_closes)
{
    start_lease();
    rig_send(&rig, "\x16");
    cnc_driver_refuse(&rig.drv, leased, 503);
    ck_assert_uint_eq(rig.closed, 1);
    ck_assert_str_eq(rig_read(&rig), "");
    rig_deinit(&rig);
}
END_TEST

START_TEST(a_lease_that_is_silent_closes)
{
    start_lease();
    rig_pass(&rig, rig.limits.class_ms[CNC_CLASS_FRESH]);
    ck_assert_uint_eq(rig.closed, 1);
    rig_deinit(&rig);
    start_lease();
    close(rig.peer);
    rig.peer = -1;
    rig_turn(&rig);
    ck_assert_uint_eq(rig.closed, 1);
    rig_deinit(&rig);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("conn_wants");
    TCase *tests = tcase_create("loop");
    tcase_add_test(tests, a_greeting_waits_for_what_it_says);
    tcase_add_test(tests, a_greeting_waits_to_write);
    tcase_add_test(tests, a_greeting_has_the_time_of_a_new_connection);
    tcase_add_test(tests, a_greeting_that_fails_closes);
    tcase_add_test(tests, a_stop_ends_a_greeting);
    tcase_add_test(tests, a_greeting_that_waits_longest_makes_room);
    tcase_add_test(tests, a_read_that_writes_first_waits_to_write);
    tcase_add_test(tests, a_write_that_reads_first_waits_to_read);
    tcase_add_test(tests, bytes_that_are_held_are_gone_on_with);
    tcase_add_test(tests, bytes_that_are_held_have_turns);
    tcase_add_test(tests, bytes_that_are_held_wait_for_the_reply);
    tcase_add_test(tests, a_goodbye_may_take_a_while);
    tcase_add_test(tests, a_goodbye_does_not_take_for_ever);
    suite_add_tcase(suite, tests);
    tests = tcase_create("thread");
    tcase_set_timeout(tests, 40);
    tcase_add_test(tests, a_thread_greets_and_reads);
    tcase_add_test(tests, a_thread_does_not_wait_long_for_a_greeting);
    tcase_add_test(tests, a_thread_writes_in_order_to_read);
    tcase_add_test(tests, a_thread_reads_in_order_to_write);
    suite_add_tcase(suite, tests);
    tests = tcase_create("lease");
    tcase_add_test(tests, a_lease_leaves_with_its_first_bytes);
    tcase_add_test(tests, a_lease_that_is_refused_closes);
    tcase_add_test(tests, a_lease_that_is_silent_closes);
    suite_add_tcase(suite, tests);
    return rig_run(suite);
}
