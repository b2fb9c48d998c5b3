/* SPDX-License-Identifier: MIT
 *
 * Several connections on one loop: what one of them has sent ahead does not keep the others waiting, and is gone on with
 * though no event comes for it. The clock moves while a request, or a piece of a body, is at work.
 *
 * CONCUR_TEST_SEED: where the drawn runs begin.
 */
#include "conn_rig.h"

enum { MOST = 8, TURN_STEPS = 64, TURN_MS = 2 };

static struct rig rig;
static uint64_t seed;

/* A client, and what has become of its requests. */
static struct client {
    struct cnc_conn *conn;
    int peer;
    unsigned sent, begun, pieces;
    int64_t cost_ms; /* of each request and piece */
} clients[MOST];
static unsigned count;
static unsigned clock_reads;
static void (*on_step)(struct client *c);

static unsigned below(unsigned n)
{
    seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (unsigned)((seed >> 33) % n);
}

static void seed_from(unsigned run)
{
    const char *text = getenv("CONCUR_TEST_SEED");
    seed = (text ? strtoull(text, NULL, 0) : UINT64_C(20261128)) * 1000 + run;
    for (int i = 0; i < 4; i++)
        below(2);
}

static struct client *client_of(const struct cnc_conn *conn)
{
    for (unsigned i = 0; i < count; i++)
        if (clients[i].conn == conn)
            return &clients[i];
    ck_abort_msg("whose is it?");
    return NULL;
}

static void step(struct client *c)
{
    rig.ms += c->cost_ms;
    if (on_step)
        on_step(c);
}

static int on_request(struct cnc_conn *conn, const struct cnc_http_head *head, const char *bytes)
{
    struct client *c = client_of(conn);
    rig.begun = (unsigned)(c - clients); /* each has its own place */
    c->begun++;
    step(c);
    return rig_on_request(conn, head, bytes);
}

static int on_piece(struct cnc_stream *s, const char *p, size_t n)
{
    struct cnc_conn *conn = s->carrier;
    struct client *c = client_of(conn);
    c->pieces++;
    step(c);
    return rig_on_body(s, p, n);
}

static struct cnc_stream_ops counting_up;

static int on_request_with_body(struct cnc_conn *conn, const struct cnc_http_head *head, const char *bytes)
{
    int status = on_request(conn, head, bytes);
    if (conn->exchange.stream) {
        counting_up = rig_up;
        counting_up.body = on_piece;
        conn->exchange.stream->up = &counting_up;
    }
    return status;
}

static int64_t counted_ms(void *arg)
{
    clock_reads++;
    return ((struct rig *)arg)->ms;
}

static void start(void)
{
    rig_init(&rig, false);
    rig.ops.request = on_request;
    rig.clock.now_ms = counted_ms;
    memset(clients, 0, sizeof clients);
    count = 0;
    on_step = NULL;
}

static void join_tcp(bool tcp)
{
    struct client *c = &clients[count++];
    int fds[2];
    if (tcp)
        rig_pair_tcp(fds);
    else
        rig_pair(fds);
    c->peer = fds[1];
    c->conn = cnc_conn_create(fds[0], &rig.transport, NULL);
    ck_assert_ptr_nonnull(c->conn);
    cnc_driver_take(&rig.drv, c->conn);
}

static void join(void)
{
    join_tcp(false);
}

static void end(void)
{
    rig_deinit(&rig);
    for (unsigned i = 0; i < count; i++)
        if (clients[i].peer >= 0)
            close(clients[i].peer);
}

static void say(struct client *c, const char *text, unsigned times)
{
    static char all[1 << 17];
    size_t n = strlen(text);
    ck_assert_uint_le(n * times, sizeof all);
    for (unsigned i = 0; i < times; i++)
        memcpy(all + i * n, text, n);
    ck_assert_int_eq(send(c->peer, all, n * times, MSG_NOSIGNAL), (ssize_t)(n * times));
    c->sent += times;
}

/* What it has got since; forgotten. */
static unsigned answers(const struct client *c, bool *eof, bool *reset)
{
    static char got[1 << 20];
    size_t n = 0;
    ssize_t some;
    while ((some = recv(c->peer, got + n, sizeof got - 1 - n, MSG_DONTWAIT)) > 0)
        n += (size_t)some;
    got[n] = '\0';
    if (eof)
        *eof = some == 0;
    if (reset)
        *reset = some < 0 && errno == ECONNRESET;
    return rig_count(got, "HTTP/1.1 200");
}

static void turn(void)
{
    cnc_home_turn(rig.home, 0);
}

#define GET "GET /now HTTP/1.1\r\nHost: a\r\n\r\n"

/* Whichever of the two the loop finds first. */
START_TEST(one_that_is_ahead_delays_others_by_its_budget)
{
    for (unsigned first = 0; first < 2; first++) {
        start();
        join();
        join();
        struct client *ahead = &clients[first], *other = &clients[!first];
        ahead->cost_ms = 1;
        say(ahead, GET, 1000);
        say(other, GET, 1);
        turn();
        ck_assert_uint_eq(other->begun, 1);
        ck_assert_uint_ge(ahead->begun, 1);
        ck_assert_uint_le(ahead->begun, 2 * TURN_MS); /* a turn at its descriptor, and perhaps one from the queue */
        for (unsigned i = 0, before = ahead->begun; i < 20; i++, before = ahead->begun) {
            say(other, GET, 1);
            turn();
            ck_assert_uint_eq(other->begun, i + 2);
            ck_assert_uint_le(ahead->begun - before, TURN_MS);
        }
        end();
    }
}
END_TEST

/* Nothing more comes, so there is no event: the library goes on by itself, and the last reply is there. */
START_TEST(all_of_it_is_answered_without_an_event)
{
    unsigned got = 0;
    start();
    join();
    say(&clients[0], GET, 2000);
    for (unsigned turns = 0; got < 2000; turns++) {
        ck_assert_msg(turns < 2000 / TURN_STEPS + 50, "%u answered", got);
        turn();
        got += answers(&clients[0], NULL, NULL);
    }
    ck_assert_uint_eq(clients[0].begun, 2000);
    for (unsigned i = 0; i < 5; i++) /* and then the loop rests */
        turn();
    ck_assert_ptr_null(rig.home->local.head);
    ck_assert_ptr_null(rig.drv.queue);
    end();
}
END_TEST

/* A request that takes long is alone in its turn, though there is more: its length is known only when it is over. */
START_TEST(a_long_request_is_alone_in_its_turn)
{
    start();
    join();
    clients[0].cost_ms = 50;
    say(&clients[0], GET, 10);
    for (unsigned i = 1; i <= 10; i++) {
        const unsigned before = clients[0].begun;
        turn();
        ck_assert_uint_le(clients[0].begun - before, i == 1 ? 2 : 1); /* the first time it is read, and queued */
    }
    ck_assert_uint_eq(clients[0].begun, 10);
    end();
}
END_TEST

static unsigned drawn_cost(void)
{
    return below(3) ? 0 : 1 + below(4);
}

/* Several that are ahead take turns: between two turns of one each other one has had one. */
static void fair_run(unsigned run)
{
    seed_from(run);
    start();
    const unsigned n = 2 + below(MOST - 1);
    for (unsigned i = 0; i < n; i++) {
        join();
        clients[i].cost_ms = drawn_cost();
        say(&clients[i], GET, 500 + below(500));
    }
    for (unsigned turns = 0; turns < 5000; turns++) {
        unsigned before[MOST];
        bool all = true;
        for (unsigned i = 0; i < n; i++)
            before[i] = clients[i].begun;
        turn();
        for (unsigned i = 0; i < n; i++) {
            const unsigned had = clients[i].begun - before[i], left = clients[i].sent - before[i];
            const unsigned most = turns ? TURN_STEPS : 2 * TURN_STEPS;
            (void)answers(&clients[i], NULL, NULL);
            ck_assert_msg(had <= most, "run %u: %u requests in a turn", run, had);
            ck_assert_msg(had > 0 || left == 0, "run %u, turn %u: nothing for %u, which has %u left", run, turns, i, left);
            all &= clients[i].begun == clients[i].sent;
        }
        if (all) {
            end();
            return;
        }
    }
    ck_abort_msg("run %u has no end", run);
}

START_TEST(several_take_turns)
{
    for (unsigned run = 0; run < 100; run++)
        fair_run(run);
}
END_TEST

/* Each chunk is a call of the program, and one read brings thousands. */
START_TEST(pieces_of_a_body_are_steps)
{
    start();
    rig.ops.request = on_request_with_body;
    join();
    join();
    clients[0].cost_ms = 1;
    say(&clients[0], "POST /body HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n", 1);
    turn();
    say(&clients[0], "1\r\nx\r\n", 1000);
    say(&clients[1], GET, 1);
    turn();
    ck_assert_uint_eq(clients[1].begun, 1);
    ck_assert_uint_ge(clients[0].pieces, 1);
    ck_assert_uint_le(clients[0].pieces, 2 * (TURN_MS + 1));
    for (unsigned i = 0; i < 1000; i++)
        turn();
    ck_assert_uint_eq(clients[0].pieces, 1000);
    say(&clients[0], "0\r\n\r\n", 1);
    for (unsigned i = 0; i < 3; i++)
        turn();
    ck_assert_uint_eq(answers(&clients[0], NULL, NULL), 1);
    end();
}
END_TEST

static int take_later(struct cnc_stream *s, const char *p, size_t n)
{
    struct client *c = client_of(s->carrier);
    (void)p, (void)n;
    c->pieces++;
    s->down->resume_body(s); /* before it says that it waits: it is offered again at once */
    return CONCUR_AGAIN;
}

static int on_request_that_spins(struct cnc_conn *conn, const struct cnc_http_head *head, const char *bytes)
{
    int status = on_request(conn, head, bytes);
    if (conn->exchange.stream && strcmp(rig.requests[client_of(conn) - clients].path, "/hold") == 0) {
        counting_up = rig_up;
        counting_up.body = take_later;
        conn->exchange.stream->up = &counting_up;
    }
    return status;
}

/* A program that takes a piece back and never takes it holds its own connection alone. */
START_TEST(a_piece_that_is_never_taken)
{
    start();
    rig.ops.request = on_request_that_spins;
    join();
    join();
    say(&clients[0], "POST /hold HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello", 1);
    for (unsigned i = 1; i < 10; i++) {
        const unsigned before = clients[0].pieces;
        say(&clients[1], GET, 1);
        turn();
        ck_assert_uint_eq(answers(&clients[1], NULL, NULL), 1);
        ck_assert_uint_le(clients[0].pieces - before, 2 * TURN_STEPS);
    }
    end();
}
END_TEST

/* ---- what may happen to one in the queue ---- */

static void turns(unsigned n)
{
    while (n-- > 0)
        turn();
}

static void queue_one(void)
{
    start();
    join_tcp(true);
    clients[0].cost_ms = 1;
    say(&clients[0], GET, 500);
    for (unsigned i = 0; i < 10 && !rig.drv.queue; i++)
        turn();
    ck_assert_ptr_eq(rig.drv.queue, clients[0].conn);
}

/* It has sent all it will: what is complete is answered, as if it had all been taken at once. */
START_TEST(half_closed_in_the_queue)
{
    bool eof = false;
    unsigned got = 0;
    queue_one();
    ck_assert_int_eq(shutdown(clients[0].peer, SHUT_WR), 0);
    for (unsigned i = 0; i < 1000 && !eof; i++) {
        turn();
        got += answers(&clients[0], &eof, NULL);
    }
    ck_assert_uint_eq(got, 500);
    ck_assert(eof);
    ck_assert_uint_eq(rig.closed, 1);
    end();
}
END_TEST

/* Its leaving is reported once, while it stands in the queue, and must not be forgotten: the request after that waits. */
START_TEST(leaves_in_the_queue)
{
    start();
    join_tcp(true);
    say(&clients[0], "GET /wait HTTP/1.1\r\nHost: a\r\n\r\n", 1);
    say(&clients[0], GET, 100);
    say(&clients[0], "GET /wait HTTP/1.1\r\nHost: a\r\n\r\n", 1);
    say(&clients[0], GET, 1000); /* so much that no more is read */
    turns(3);
    ck_assert_uint_eq(clients[0].begun, 1);
    rig_reply(&rig.requests[0], 200, "late", true);
    for (unsigned i = 0; i < 10 && !rig.drv.queue; i++)
        turn();
    ck_assert_ptr_eq(rig.drv.queue, clients[0].conn);
    ck_assert_int_eq(shutdown(clients[0].peer, SHUT_WR), 0);
    turns(10);
    ck_assert_uint_eq(clients[0].begun, 102);
    ck_assert_uint_eq(rig.requests[0].gone_count, 1);
    ck_assert_uint_eq(rig.closed, 1);
    end();
}
END_TEST

START_TEST(reset_in_the_queue)
{
    struct linger hard = { .l_onoff = 1, .l_linger = 0 };
    queue_one();
    ck_assert_int_eq(setsockopt(clients[0].peer, SOL_SOCKET, SO_LINGER, &hard, sizeof hard), 0);
    close(clients[0].peer);
    clients[0].peer = -1;
    turns(10);
    ck_assert_uint_eq(rig.closed, 1);
    ck_assert_uint_lt(clients[0].begun, 500);
    ck_assert_ptr_null(rig.drv.queue);
    end();
}
END_TEST

/* The next reply is the last one. */
START_TEST(drained_in_the_queue)
{
    bool eof = false;
    unsigned got = 0;
    queue_one();
    got += answers(&clients[0], NULL, NULL);
    const unsigned before = clients[0].begun;
    ck_assert_uint_eq(got, before);
    atomic_store(&rig.draining, true);
    cnc_driver_drain(&rig.drv);
    for (unsigned i = 0; i < 10 && !eof; i++) {
        turn();
        got += answers(&clients[0], &eof, NULL);
    }
    ck_assert(eof);
    ck_assert_uint_eq(clients[0].begun, before + 1);
    ck_assert_uint_eq(got, before + 1);
    end();
}
END_TEST

START_TEST(cancelled_in_the_queue)
{
    queue_one();
    cnc_driver_cancel(&rig.drv, CONCUR_E_STOPPING);
    ck_assert_uint_eq(rig.closed, 1);
    ck_assert_ptr_null(rig.drv.queue);
    ck_assert_uint_eq(rig.drv.queued, 0);
    const unsigned before = clients[0].begun;
    turns(3);
    ck_assert_uint_eq(clients[0].begun, before);
    end();
}
END_TEST

/* Its wait is not its own: no deadline passes, and it is not taken for one that idles. */
START_TEST(time_passes_in_the_queue)
{
    queue_one();
    rig.ms += 3600000;
    ck_assert(!cnc_driver_reap_idle(&rig.drv, 0));
    ck_assert(!cnc_driver_reap_silent(&rig.drv, 0));
    while (clients[0].begun < 500) {
        rig.ms += 60000;
        turn();
    }
    ck_assert_uint_eq(answers(&clients[0], NULL, NULL), 500);
    ck_assert_uint_eq(rig.closed, 0);
    rig_pass(&rig, 60000); /* now it idles */
    rig_pass(&rig, 60000);
    ck_assert_uint_eq(rig.closed, 1);
    end();
}
END_TEST

/* A body that comes quickly is not cut off because the program is slow with it; a slow one is, however it is cut. */
START_TEST(a_body_in_the_queue_keeps_its_rate)
{
    start();
    rig.ops.request = on_request_with_body;
    join();
    clients[0].cost_ms = 1000;
    say(&clients[0], "POST /body HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n", 1);
    turn();
    say(&clients[0], "1\r\nx\r\n", 100);
    for (unsigned i = 0; i < 100; i++)
        turn();
    ck_assert_uint_eq(clients[0].pieces, 100);
    ck_assert_uint_eq(rig.closed, 0);
    clients[0].cost_ms = 0;
    for (unsigned i = 0; i < 3 && clients[0].conn->state == CNC_CONN_BUSY; i++) { /* 300 bytes in 3 s are asked for */
        say(&clients[0], "1\r\nx\r\n", TURN_STEPS - 16);
        turns(4);
        ck_assert_uint_eq(rig.closed, 0);
        rig.ms += 2999;
        turns(4);
    }
    rig_pass(&rig, 3001);
    rig_pass(&rig, 3001);
    ck_assert(rig.closed == 1 || clients[0].conn->state != CNC_CONN_BUSY);
    end();
}
END_TEST

/* Many join, go and are cancelled while some are in the queue: nobody is forgotten, and nobody is looked at who has gone. */
static void mixed_run(unsigned run)
{
    seed_from(run);
    start();
    const unsigned n = 2 + below(MOST - 1);
    for (unsigned i = 0; i < n; i++) {
        join_tcp(true);
        clients[i].cost_ms = below(3);
        say(&clients[i], GET, 1 + below(300));
    }
    for (unsigned i = 0; i < 40; i++) {
        struct client *c = &clients[below(n)];
        turn();
        if (c->peer >= 0 && below(4) == 0) {
            if (below(2)) {
                close(c->peer);
                c->peer = -1;
            } else {
                (void)shutdown(c->peer, SHUT_WR);
            }
        }
        if (c->peer >= 0 && below(2))
            (void)answers(c, NULL, NULL);
    }
    if (below(2))
        cnc_driver_drain(&rig.drv);
    turns(below(10));
    end();
}

START_TEST(they_come_and_go)
{
    for (unsigned run = 0; run < 200; run++)
        mixed_run(run);
}
END_TEST

/* ---- the clock ---- */

static unsigned reads_of(const char *text)
{
    start();
    rig.ops.request = on_request_with_body;
    join();
    say(&clients[0], GET, 1);
    turn();
    clock_reads = 0;
    say(&clients[0], text, 1);
    turn();
    const unsigned reads = clock_reads;
    ck_assert_uint_eq(clients[0].begun, rig_count(text, " HTTP/1.1") + 1);
    end();
    return reads;
}

/* One request reads no clock but the one of its turn. */
START_TEST(the_usual_request_reads_no_clock)
{
    ck_assert_uint_eq(reads_of(GET), 1);
    ck_assert_uint_eq(reads_of("POST /body HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello"), 1);
    ck_assert_uint_eq(reads_of(GET GET), 3);
    ck_assert_uint_eq(reads_of(GET GET GET GET), 5);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("conn_turns");
    TCase *tests = tcase_create("all");
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, one_that_is_ahead_delays_others_by_its_budget);
    tcase_add_test(tests, all_of_it_is_answered_without_an_event);
    tcase_add_test(tests, a_long_request_is_alone_in_its_turn);
    tcase_add_test(tests, several_take_turns);
    tcase_add_test(tests, pieces_of_a_body_are_steps);
    tcase_add_test(tests, a_piece_that_is_never_taken);
    tcase_add_test(tests, half_closed_in_the_queue);
    tcase_add_test(tests, leaves_in_the_queue);
    tcase_add_test(tests, reset_in_the_queue);
    tcase_add_test(tests, drained_in_the_queue);
    tcase_add_test(tests, cancelled_in_the_queue);
    tcase_add_test(tests, time_passes_in_the_queue);
    tcase_add_test(tests, a_body_in_the_queue_keeps_its_rate);
    tcase_add_test(tests, they_come_and_go);
    tcase_add_test(tests, the_usual_request_reads_no_clock);
    suite_add_tcase(suite, tests);
    return rig_run(suite);
}
