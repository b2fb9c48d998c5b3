/* SPDX-License-Identifier: MIT
 *
 * Connections that another protocol takes over, on every engine: tests/echo/echo.c in the demo's place.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "e2e/client.h"
#include "e2e/harness.h"

#define HEAD "Host: e2e\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n"

static struct demo demo;

#define START(i, ...) demo_start(&demo, engine_name(i), ##__VA_ARGS__, NULL)

/* Any n bytes, the same ones each time. */
static char *bytes_of(size_t n)
{
    char *p = malloc(n + 1);
    uint64_t state = 7;
    ck_assert_ptr_nonnull(p);
    for (size_t i = 0; i < n; i++)
        p[i] = (char)random_next(&state);
    return p;
}

/* ---- a client of the protocol ---- */

static void drop(struct client *c, size_t n)
{
    c->at += n;
    c->n -= n;
}

/* The next n bytes are these. */
static void expect(struct client *c, const char *bytes, size_t n)
{
    ck_assert_msg(client_wait_bytes(c, n, WAIT_MS), "%s: %zu bytes came of %zu%s", demo.engine, c->n, n, demo_end());
    ck_assert_msg(memcmp(c->in + c->at, bytes, n) == 0, "%s: other bytes came back", demo.engine);
    drop(c, n);
}

static void expect_101(struct client *c)
{
    static const char begin[] = "HTTP/1.1 101 Switching Protocols\r\n";
    size_t n = 1;
    const char *end = NULL;
    for (; !end; n = c->n + 1) {
        ck_assert_msg(client_wait_bytes(c, n, WAIT_MS), "%s: no head, but %.*s%s", demo.engine, (int)c->n,
                      c->in ? c->in + c->at : "", demo_end());
        end = memmem(c->in + c->at, c->n, "\r\n\r\n", 4);
    }
    size_t len = (size_t)(end - (c->in + c->at)) + 4;
    const char *head = c->in + c->at;
    ck_assert_msg(len > sizeof begin && memcmp(head, begin, sizeof begin - 1) == 0, "%s: %.*s", demo.engine, (int)len, head);
    ck_assert_ptr_nonnull(memmem(head, len, "\r\nUpgrade: echo\r\n", 17));
    ck_assert_ptr_nonnull(memmem(head, len, "\r\nConnection: upgrade\r\n", 23));
    ck_assert_ptr_null(memmem(head, len, "Content-Length", 14));
    ck_assert_ptr_null(memmem(head, len, "Transfer-Encoding", 17));
    ck_assert_ptr_null(memmem(head, len, "close", 5));
    drop(c, len);
}

static void open_upgraded(struct client *c, const char *target)
{
    char head[256];
    client_open(c, demo.port);
    snprintf(head, sizeof head, "GET %s HTTP/1.1\r\n" HEAD, target);
    ck_assert(client_text(c, head));
    expect_101(c);
}

static void echo(struct client *c, const char *text)
{
    ck_assert(client_text(c, text));
    expect(c, text, strlen(text));
}

/* Nothing more comes, and the server has closed. */
static void expect_end(struct client *c, enum client_fate fate)
{
    enum client_fate is = client_fate(c, WAIT_MS);
    ck_assert_msg(is == fate, "%s: %d, not %d%s", demo.engine, is, fate, demo_end());
    client_close(c);
}

/* As a client does that has had enough. */
static void finish(struct client *c)
{
    client_finish(c);
    expect_end(c, CLIENT_EOF);
}

/* ---- what the server counts ---- */

struct counts {
    long long begun, ended, stops, astray;
};

static struct counts read_counts(void)
{
    struct reply r;
    struct counts n;
    ask(demo.port, "GET /counts HTTP/1.1\r\nHost: e2e\r\nConnection: close\r\n\r\n", 200, &r);
    ck_assert_int_eq(sscanf(r.body, "%lld %lld %lld %lld", &n.begun, &n.ended, &n.stops, &n.astray), 4);
    reply_free(&r);
    return n;
}

/* Every upgraded connection is told of its end, and no callback has run where none may. */
static void stop_balanced(void)
{
    const int64_t deadline = now_ms() + slow(WAIT_MS);
    struct counts n = read_counts();
    for (; n.begun != n.ended && now_ms() < deadline; n = read_counts())
        nap_ms(5);
    ck_assert_msg(n.begun == n.ended, "%s: %lld began, %lld ended", demo.engine, n.begun, n.ended);
    ck_assert_int_eq(n.astray, 0);
    demo_stop(&demo, WAIT_MS);
}

/* ---- the way there ---- */

START_TEST(what_is_sent_comes_back)
{
    enum { N = 300000, MOST = 20000 };
    char *bytes = bytes_of(N);
    struct client c;
    uint64_t state = 1;
    START(_i);
    open_upgraded(&c, "/echo");
    for (size_t at = 0; at < N;) {
        size_t n = 1 + random_next(&state) % MOST, piece = 1 + random_next(&state) % n;
        n = n < N - at ? n : N - at;
        ck_assert(client_send_pieces(&c, bytes + at, n, piece > n / 4 ? piece : n / 4 + 1));
        expect(&c, bytes + at, n);
        at += n;
    }
    finish(&c);
    free(bytes);
    stop_balanced();
}
END_TEST

/* Wherever the packets are cut: bytes behind the head are the new protocol's. */
START_TEST(bytes_behind_the_head_come_first)
{
    static const char text[] = "GET /echo HTTP/1.1\r\n" HEAD "GET / HTTP/1.1\r\n\r\nand more";
    const size_t n = sizeof text - 1, head = (size_t)(strstr(text, "\r\n\r\n") - text) + 4;
    struct client c;
    START(_i);
    for (size_t cut = is_quick() ? head - 1 : head - 12; cut <= (is_quick() ? head + 2 : n); cut++) {
        client_open(&c, demo.port);
        ck_assert(client_send(&c, text, cut) && client_send(&c, text + cut, n - cut));
        expect_101(&c);
        expect(&c, text + head, n - head);
        echo(&c, "still there");
        finish(&c);
    }
    stop_balanced();
}
END_TEST

START_TEST(a_client_that_has_shut_its_side_gets_all)
{
    static const char text[] = "GET /echo HTTP/1.1\r\n" HEAD "last words";
    struct client c;
    START(_i);
    client_open(&c, demo.port);
    ck_assert(client_text(&c, text));
    client_finish(&c);
    expect_101(&c);
    expect(&c, "last words", 10);
    expect_end(&c, CLIENT_EOF);
    stop_balanced();
}
END_TEST

START_TEST(other_ways_to_an_upgrade)
{
    static const char whole[] = "POST /whole HTTP/1.1\r\nContent-Length: 5\r\n" HEAD;
    struct client c;
    demo_start(&demo, variant_engine(_i), "--pool_threads", variant_pool(_i), NULL);
    static const char *const targets[] = { "/later", "/blocking" };
    for (size_t i = 0; i < COUNT(targets); i++) {
        open_upgraded(&c, targets[i]);
        echo(&c, targets[i]);
        finish(&c);
    }
    client_open(&c, demo.port);
    ck_assert(client_text(&c, whole) && client_text(&c, "12345") && client_text(&c, "behind it"));
    expect_101(&c);
    expect(&c, "behind it", 9);
    finish(&c);
    open_upgraded(&c, "/echo?limit=5"); /* the server ends it */
    ck_assert(client_text(&c, "12345"));
    expect(&c, "12345", 5);
    expect_end(&c, CLIENT_EOF);
    stop_balanced();
}
END_TEST

/* RFC 9110 §7.8, §15.5.22. The connection stays what it was. */
START_TEST(who_does_not_ask_is_told_so)
{
    static const char *const heads[] = {
        "Host: e2e\r\n\r\n",
        "Host: e2e\r\nUpgrade: echo\r\n\r\n",
        "Host: e2e\r\nConnection: upgrade\r\n\r\n",
        "Host: e2e\r\nConnection: upgrade\r\nUpgrade: websocket, echo/2\r\n\r\n",
    };
    char request[256];
    struct client c;
    struct reply r;
    START(_i);
    client_open(&c, demo.port);
    for (size_t i = 0; i < COUNT(heads); i++) {
        snprintf(request, sizeof request, "GET /echo HTTP/1.1\r\n%s", heads[i]);
        ck_assert(client_text(&c, request));
        client_read(&c, &r, false, WAIT_MS);
        ck_assert_msg(r.kind == REPLY_OK && r.status == 426, "%zu: %s %d", i, reply_kind_name(&r), r.status);
        ck_assert(reply_field_is(&r, "Upgrade", "echo") && !r.says_close);
        reply_free(&r);
    }
    client_close(&c);
    ask(demo.port, "GET /echo HTTP/1.0\r\n" HEAD, 426, &r);
    reply_free(&r);
    ask(demo.port, "POST /stream HTTP/1.1\r\nContent-Length: 5\r\n" HEAD "12345", 500, &r);
    reply_free(&r);
    stop_balanced();
}
END_TEST

/* ---- back-pressure ---- */

/* The server takes no more than it has room for while the client does not read, and loses nothing. */
START_TEST(a_reader_that_pauses_stops_the_sender)
{
    enum { N = 64 << 20, PIECE = 1 << 16 };
    char *bytes = bytes_of(PIECE);
    struct client c;
    size_t sent = 0;
    START(_i);
    open_upgraded(&c, "/echo");
    for (int idle = 0; idle < 20 && sent < N;) {
        long n = client_send_some(&c, bytes + sent % PIECE, PIECE - sent % PIECE);
        ck_assert_int_ge(n, 0);
        sent += (size_t)n;
        idle = n ? 0 : idle + 1;
        if (!n)
            nap_ms(10);
    }
    ck_assert_msg(sent < N, "%s: takes all", demo.engine);
    client_finish(&c);
    for (size_t at = 0; at < sent;) {
        size_t n = PIECE - at % PIECE < sent - at ? PIECE - at % PIECE : sent - at;
        expect(&c, bytes + at % PIECE, n);
        at += n;
    }
    expect_end(&c, CLIENT_EOF);
    free(bytes);
    stop_balanced();
}
END_TEST

START_TEST(a_protocol_may_send_much_by_itself)
{
    enum { N = 20000000 };
    struct client c;
    START(_i);
    open_upgraded(&c, "/echo?flood=20000000");
    ck_assert(client_text(&c, "go"));
    for (size_t at = 0; at < N;) {
        ck_assert_msg(client_wait_bytes(&c, 1, WAIT_MS), "%s: %zu of %d%s", demo.engine, at, N, demo_end());
        bool same = true;
        for (size_t i = 0; i < c.n; i++)
            same = same && c.in[c.at + i] == (char)((at + i) * 31 >> 3);
        ck_assert_msg(same, "%s: other bytes came", demo.engine);
        at += c.n;
        drop(&c, c.n);
    }
    expect_end(&c, CLIENT_EOF);
    stop_balanced();
}
END_TEST

/* ---- many ---- */

/* Those that wait for their peer cost no thread. */
START_TEST(many_at_once_and_others_go_on)
{
    enum { MOST = 60 };
    static struct client c[MOST];
    START(_i, "--threads_max", "2", "--connections_max", "200", "--workers", workers_for(engine_name(_i), 10));
    const int n = is_one_connection_a_worker(demo.engine) ? 8 : MOST;
    char text[32];
    for (int i = 0; i < n; i++) {
        open_upgraded(&c[i], "/echo");
        expect_alive(demo.port, WAIT_MS);
    }
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < n; i++) {
            snprintf(text, sizeof text, "%d of %d", i, round);
            ck_assert(client_text(&c[i], text));
        }
        expect_alive(demo.port, WAIT_MS);
        for (int i = 0; i < n; i++) {
            snprintf(text, sizeof text, "%d of %d", i, round);
            expect(&c[i], text, strlen(text));
        }
    }
    for (int i = 0; i < n; i++)
        finish(&c[i]);
    stop_balanced();
}
END_TEST

/* Callbacks wait for a thread however long that takes and however many others do: neither queue_max nor queue_timeout cuts a
 * connection that has begun. */
START_TEST(callbacks_wait_for_a_thread)
{
    enum { N = 10 };
    struct client c[N], holder;
    struct reply r;
    if (!has_threads(engine_name(_i)))
        return;
    START(_i, "--threads_max", "1", "--workers", "1", "--queue_max", "2", "--queue_timeout", "300ms");
    for (int i = 0; i < N; i++)
        open_upgraded(&c[i], "/echo");
    client_open(&holder, demo.port);
    ck_assert(client_text(&holder, "GET /hold HTTP/1.1\r\nHost: e2e\r\n\r\n"));
    ask(demo.port, "GET / HTTP/1.1\r\nHost: e2e\r\nConnection: close\r\n\r\n", 503, &r); /* the thread is held */
    reply_free(&r);
    for (int i = 0; i < N; i++)
        ck_assert(client_text(&c[i], "hello"));
    ask(demo.port, "GET / HTTP/1.1\r\nHost: e2e\r\nConnection: close\r\n\r\n", 503, &r);
    reply_free(&r);
    ck_assert_int_eq(client_fate(&c[0], 0), CLIENT_OPEN);
    client_abort(&holder);
    for (int i = 0; i < N; i++) {
        expect(&c[i], "hello", 5);
        finish(&c[i]);
    }
    stop_balanced();
}
END_TEST

START_TEST(they_count_and_are_not_idle)
{
    enum { N = 4 };
    struct client c[N], more;
    if (is_one_connection_a_worker(engine_name(_i)))
        return; /* has no such bound */
    START(_i, "--connections_max", "4", "--workers", "1", "--keepalive_timeout", "10m");
    for (int i = 0; i < N; i++)
        open_upgraded(&c[i], "/echo");
    client_open(&more, demo.port);
    ck_assert(client_text(&more, "GET / HTTP/1.1\r\nHost: e2e\r\nConnection: close\r\n\r\n"));
    ck_assert_int_eq(client_fate(&more, 1500), CLIENT_OPEN); /* longer than one that is idle would keep it waiting */
    for (int i = 0; i < N; i++)
        echo(&c[i], "here");
    finish(&c[0]);
    struct reply r;
    client_read(&more, &r, false, WAIT_MS);
    ck_assert_msg(r.kind == REPLY_OK && r.status == 200, "%s %d", reply_kind_name(&r), r.status);
    reply_free(&r);
    client_close(&more);
    for (int i = 1; i < N; i++)
        finish(&c[i]);
    stop_balanced();
}
END_TEST

START_TEST(a_silent_one_is_closed_at_last)
{
    struct client c;
    START(_i, "--keepalive_timeout", "300ms");
    open_upgraded(&c, "/echo");
    echo(&c, "and then nothing");
    expect_end(&c, CLIENT_EOF);
    stop_balanced();
}
END_TEST

/* ---- clients that leave ---- */

static void leave_at(const char *text, size_t sent, size_t read, bool resets)
{
    struct client c;
    client_open(&c, demo.port);
    if (client_send(&c, text, sent) && read)
        (void)client_wait_bytes(&c, read, WAIT_MS);
    if (resets)
        client_abort(&c);
    else
        client_close(&c);
}

/* At every byte of the request and of what follows, and at bytes of the answer. */
START_TEST(clients_leave_at_every_byte)
{
    static const char text[] = "GET /echo HTTP/1.1\r\n" HEAD "first frame" "second frame";
    const size_t n = sizeof text - 1, all = 109 + 23; /* of the answer: a head and the echo */
    uint64_t state = 3;
    START(_i);
    for (size_t i = 0; i <= n; i++) {
        size_t at = takes_all_offsets() ? i : random_next(&state) % (n + 1);
        leave_at(text, at, 0, false);
        leave_at(text, at, 0, true);
    }
    for (size_t i = 1; i <= all; i += takes_all_offsets() ? 1 : 5) {
        leave_at(text, n, i, false);
        leave_at(text, n, i, true);
    }
    expect_alive(demo.port, WAIT_MS);
    stop_balanced();
}
END_TEST

START_TEST(clients_leave_with_much_unread)
{
    char *bytes = bytes_of(1 << 20);
    START(_i);
    for (int i = 0; i < 6; i++) {
        struct client c;
        open_upgraded(&c, i % 2 ? "/echo?flood=100000000" : "/echo");
        (void)client_send_some(&c, bytes, 1 << 20);
        (void)client_wait_bytes(&c, 1000, WAIT_MS);
        if (i / 2 % 2)
            client_abort(&c);
        else
            client_close(&c);
    }
    free(bytes);
    expect_alive(demo.port, WAIT_MS);
    stop_balanced();
}
END_TEST

/* ---- the server's end ---- */

START_TEST(a_stop_lets_them_say_goodbye)
{
    enum { N = 5 };
    struct client c[N];
    START(_i, "--stop_timeout", "20s");
    for (int i = 0; i < N; i++)
        open_upgraded(&c[i], "/echo");
    echo(&c[0], "before");
    demo_signal(&demo, SIGTERM);
    for (int i = 0; i < N; i++) {
        expect(&c[i], "bye\n", 4);
        expect_end(&c[i], CLIENT_EOF);
    }
    ck_assert_int_eq(demo_wait(&demo, WAIT_MS), 0);
}
END_TEST

START_TEST(the_deadline_of_a_stop_cuts_the_others)
{
    struct client c;
    START(_i, "--stop_timeout", "300ms");
    open_upgraded(&c, "/echo?stay=1");
    demo_signal(&demo, SIGTERM);
    for (int i = 0; i < 3; i++) /* until then it goes on */
        if (!client_text(&c, "x") || !client_wait_bytes(&c, 1, 50))
            break;
    enum client_fate fate;
    while ((fate = client_fate(&c, WAIT_MS)) == CLIENT_BYTES)
        drop(&c, c.n);
    ck_assert_int_ne(fate, CLIENT_OPEN);
    ck_assert_int_eq(demo_wait(&demo, WAIT_MS), 0);
    client_close(&c);
}
END_TEST

/* Its connections end with it, nobody else's; they do not count any more. */
START_TEST(a_worker_dies)
{
    enum { N = 8 };
    struct client c[N];
    long pid[N];
    if (!has_workers(engine_name(_i)))
        return;
    START(_i, "--workers", is_one_connection_a_worker(engine_name(_i)) ? "10" : "2");
    for (int i = 0; i < N; i++) {
        open_upgraded(&c[i], "/echo?pid=1");
        ck_assert(client_text(&c[i], "x"));
        do
            ck_assert(client_wait_bytes(&c[i], c[i].n + 1, WAIT_MS));
        while (c[i].in[c[i].at + c[i].n - 1] != 'x');
        pid[i] = strtol(c[i].in + c[i].at, NULL, 10);
        drop(&c[i], c[i].n);
    }
    kill((pid_t)pid[0], SIGKILL);
    for (int i = 0; i < N; i++) {
        if (pid[i] == pid[0]) {
            enum client_fate fate = client_fate(&c[i], WAIT_MS);
            ck_assert_msg(fate == CLIENT_EOF || fate == CLIENT_RESET, "%s: %d", demo.engine, fate);
            client_close(&c[i]);
            continue;
        }
        echo(&c[i], "still here");
        finish(&c[i]);
    }
    open_upgraded(&c[0], "/echo");
    echo(&c[0], "again");
    finish(&c[0]);
    demo_stop(&demo, WAIT_MS);
}
END_TEST

static void add(Suite *s)
{
    TCase *t = e2e_case(s, "upgrade", 60);
    const int n = engine_count();
    tcase_add_loop_test(t, what_is_sent_comes_back, 0, n);
    tcase_add_loop_test(t, bytes_behind_the_head_come_first, 0, n);
    tcase_add_loop_test(t, a_client_that_has_shut_its_side_gets_all, 0, n);
    tcase_add_loop_test(t, other_ways_to_an_upgrade, 0, variant_count());
    tcase_add_loop_test(t, who_does_not_ask_is_told_so, 0, n);
    tcase_add_loop_test(t, a_reader_that_pauses_stops_the_sender, 0, n);
    tcase_add_loop_test(t, a_protocol_may_send_much_by_itself, 0, n);
    tcase_add_loop_test(t, many_at_once_and_others_go_on, 0, n);
    tcase_add_loop_test(t, callbacks_wait_for_a_thread, 0, n);
    tcase_add_loop_test(t, they_count_and_are_not_idle, 0, n);
    tcase_add_loop_test(t, a_silent_one_is_closed_at_last, 0, n);
    tcase_add_loop_test(t, clients_leave_at_every_byte, 0, n);
    tcase_add_loop_test(t, clients_leave_with_much_unread, 0, n);
    tcase_add_loop_test(t, a_stop_lets_them_say_goodbye, 0, n);
    tcase_add_loop_test(t, the_deadline_of_a_stop_cuts_the_others, 0, n);
    tcase_add_loop_test(t, a_worker_dies, 0, n);
}

int main(int argc, char **argv)
{
    setenv("CONCUR_DEMO", ECHO_SERVER, 1);
    return e2e_main_apart("upgrade", add, argc, argv);
}
