/* SPDX-License-Identifier: MIT
 *
 * A program that writes on though it was told to wait: what it is told on each engine, and what the log says.
 */
#include "live.h"

enum { PIECE = 65536, MOST = 1 << 20, PIECES = 3 * MOST / PIECE };

static struct {
    pthread_mutex_t mu;
    unsigned lines;
    char line[512];
} said = { .mu = PTHREAD_MUTEX_INITIALIZER };

static struct {
    int last, again, gone, after; /* what it was told at the end, whether it was told to wait */
    unsigned taken;
    struct live_latch ended;
} told = { .ended = LIVE_LATCH };

static void on_log(int level, const char *line, void *arg)
{
    (void)arg;
    if (level > CONCUR_LOG_WARN || strstr(line, "stood still")) /* on a busy machine a loop does */
        return;
    pthread_mutex_lock(&said.mu);
    said.lines++;
    snprintf(said.line, sizeof said.line, "%s", line);
    pthread_mutex_unlock(&said.mu);
}

static int flood(concur_request *r, void *arg)
{
    static const char zeros[PIECE];
    (void)arg;
    int rc = concur_reply_begin(r, 200, NULL);
    for (unsigned i = 0; rc >= 0 && i < PIECES; i++) {
        rc = concur_reply_write(r, zeros, sizeof zeros);
        told.again |= rc == CONCUR_AGAIN;
        told.taken += rc >= 0;
    }
    told.last = rc;
    told.after = concur_reply_write(r, "x", 1);
    told.gone = concur_request_gone(r);
    rc = rc < 0 ? rc : concur_reply_end(r);
    live_latch_add(&told.ended);
    return rc;
}

/* Reads to the end; returns how many bytes came. */
static size_t drain(struct live_peer *peer)
{
    static char room[PIECE];
    size_t n = 0;
    for (ssize_t got; (got = recv(peer->fd, room, sizeof room, 0)) > 0;)
        n += (size_t)got;
    return n;
}

static void run(int engine, unsigned flags, bool waits)
{
    struct live l = live_new(engine);
    told.last = told.again = told.gone = told.after = 0;
    told.taken = told.ended.count = said.lines = 0;
    ck_assert_int_eq(concur_server_log(l.server, on_log, NULL), CONCUR_OK);
    live_set(&l, "output_max", "1m");
    live_route(&l, "GET /flood", flags, flood, NULL);
    live_start(&l);
    struct live_peer peer = live_connect(&l);
    ck_assert(live_send(&peer, "GET /flood HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"));
    const size_t got = drain(&peer);
    ck_assert(live_latch_wait(&told.ended, 1));
    live_close(&peer);
    live_end(&l, 2000);
    if (waits) {
        ck_assert_msg(told.last == CONCUR_OK && !told.again && told.taken == PIECES, "%s: %d", l.name, told.last);
        ck_assert_uint_ge(got, (size_t)PIECES * PIECE);
        ck_assert_msg(said.lines == 0, "%s", said.line);
        return;
    }
    ck_assert_msg(told.last == CONCUR_E_LIMIT && told.after == CONCUR_E_LIMIT && told.gone == CONCUR_E_LIMIT,
                  "%s: %d, %d, %d after %u pieces", l.name, told.last, told.after, told.gone, told.taken);
    ck_assert(told.again);
    ck_assert_uint_ge((size_t)told.taken * PIECE, MOST - PIECE);
    ck_assert_msg(said.lines == 1 && strstr(said.line, "\"GET /flood\" writes on after CONCUR_AGAIN") &&
                      strstr(said.line, "output_max, 1048576 bytes"),
                  "%u lines, %s", said.lines, said.line);
}

START_TEST(who_does_not_wait_is_cut_off)
{
    int engines[8];
    const unsigned n = live_engines(engines);
    for (unsigned i = 0; i < n; i++) {
        const bool is_loop = engines[i] != CONCUR_ENGINE_THREAD;
        run(engines[i], 0, !is_loop);
        run(engines[i], CONCUR_ROUTE_BLOCKING, engines[i] != CONCUR_ENGINE_EVENT);
    }
}
END_TEST

int main(void)
{
    Suite *s = suite_create("api_output");
    TCase *t = tcase_create("all");
    tcase_set_timeout(t, LIVE_PATIENCE_S);
    tcase_add_test(t, who_does_not_wait_is_cut_off);
    suite_add_tcase(s, t);
    SRunner *runner = srunner_create(s);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
