/* SPDX-License-Identifier: MIT
 *
 * What a loop says of the program that held it: it names a route only if one call did it.
 */
#include "live.h"

enum { MANY = 20, SHORT_MS = 10, STALL_MS = 60, ROUNDS = 40 };

static int engines[8];
static unsigned engine_count;

/* Warnings, counted by what they say. */
static struct {
    atomic_uint one, several, most_calls;
} said;

static void on_log(int level, const char *line, void *arg)
{
    (void)level, (void)arg;
    const char *p = strstr(line, "the loop stood still for ");
    unsigned calls = 0;
    if (!p)
        return;
    if (strstr(p, "in one call for route \"GET /long\""))
        atomic_fetch_add(&said.one, 1);
    else if ((p = strstr(p, "ms, in ")) != NULL && sscanf(p, "ms, in %u calls; the last was for route", &calls) == 1)
        atomic_fetch_add(&said.several, 1);
    if (calls > atomic_load(&said.most_calls))
        atomic_store(&said.most_calls, calls);
}

static void take(unsigned ms)
{
    struct timespec left = { 0, (long)ms * 1000000 };
    while (nanosleep(&left, &left) < 0)
        continue;
}

static int on_long(concur_request *r, void *arg)
{
    (void)arg;
    take(4 * STALL_MS);
    return concur_reply_text(r, 200, "long");
}

static struct live_latch asked, gate;

static int on_gate(concur_request *r, void *arg)
{
    (void)arg;
    live_latch_add(&asked);
    (void)live_latch_wait(&gate, asked.count);
    return concur_reply_text(r, 200, "gate");
}

static int on_short(concur_request *r, void *arg)
{
    (void)arg;
    take(SHORT_MS);
    return concur_reply_text(r, 200, "short");
}

static struct live start(int engine)
{
    struct live l = live_new(engine);
    live_set(&l, "stall_warn", "60ms");
    live_set(&l, "pool_threads", "0");
    ck_assert_int_eq(concur_server_log(l.server, on_log, NULL), CONCUR_OK);
    live_route(&l, "GET /long", 0, on_long, NULL);
    live_route(&l, "GET /gate", 0, on_gate, NULL);
    live_route(&l, "GET /short", 0, on_short, NULL);
    live_start(&l);
    return l;
}

static void expect(struct live_peer *p, const char *body)
{
    struct live_answer a;
    ck_assert(live_receive(p, &a, false));
    ck_assert_str_eq(a.body, body);
}

/* All of them are ready when the loop looks again. */
static void ask_at_once(const struct live *l)
{
    struct live_peer first = live_connect(l), many[MANY];
    for (int i = 0; i < MANY; i++) { /* known to the loop by then */
        many[i] = live_connect(l);
        ck_assert(live_send(&many[i], "GET /short HTTP/1.1\r\nHost: t\r\n\r\n"));
        expect(&many[i], "short");
    }
    ck_assert(live_send(&first, "GET /gate HTTP/1.1\r\nHost: t\r\n\r\n"));
    ck_assert(live_latch_wait(&asked, gate.count + 1));
    for (int i = 0; i < MANY; i++)
        ck_assert(live_send(&many[i], "GET /short HTTP/1.1\r\nHost: t\r\n\r\n"));
    live_latch_add(&gate);
    for (int i = 0; i < MANY; i++) {
        expect(&many[i], "short");
        live_close(&many[i]);
    }
    live_close(&first);
}

START_TEST(one_long_call_is_named_and_many_short_ones_are_counted)
{
    if (strncmp(concur_engine_name(engines[_i]), "event", 5) != 0)
        return; /* the others have threads for their handlers */
    struct live l = start(engines[_i]);
    for (int i = 0; i < ROUNDS && atomic_load(&said.most_calls) < STALL_MS / SHORT_MS / 2; i++)
        ask_at_once(&l); /* at most one warning a second is said */
    ck_assert_uint_ge(atomic_load(&said.several), 1);
    ck_assert_uint_ge(atomic_load(&said.most_calls), STALL_MS / SHORT_MS / 2);
    struct live_peer p = live_connect(&l);
    for (int i = 0; i < ROUNDS && !atomic_load(&said.one); i++) {
        ck_assert(live_send(&p, "GET /long HTTP/1.1\r\nHost: t\r\n\r\n"));
        expect(&p, "long");
    }
    ck_assert_uint_ge(atomic_load(&said.one), 1);
    live_close(&p);
    live_end(&l, 1000);
}
END_TEST

int main(void)
{
    engine_count = live_engines(engines);
    Suite *s = suite_create("core_serving");
    TCase *t = tcase_create("all");
    tcase_set_timeout(t, LIVE_PATIENCE_S);
    tcase_add_loop_test(t, one_long_call_is_named_and_many_short_ones_are_counted, 0, (int)engine_count);
    suite_add_tcase(s, t);
    SRunner *runner = srunner_create(s);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
