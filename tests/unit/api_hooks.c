/* SPDX-License-Identifier: MIT
 *
 * Hooks: which are called, in which order, and what their value does; and what a program may require of an engine.
 */
#include "server/server.h"
#include "live.h"

struct record {
    char text[256];
    int value[4]; /* what the hooks return */
};

/* The hook's arg is a digit of the record's text: which of several hooks this is. */
static struct record record;

static int on_hook(concur_server *server, int what, const char *detail, void *arg)
{
    unsigned i = (unsigned)(uintptr_t)arg;
    size_t n = strlen(record.text);
    ck_assert_ptr_nonnull(server);
    snprintf(record.text + n, sizeof record.text - n, "%d/%u(%s) ", what, i, detail);
    return record.value[i];
}

static concur_server *make(void)
{
    concur_server *s = concur_server_new(CONCUR_ENGINE_EVENT, NULL);
    ck_assert_ptr_nonnull(s);
    memset(&record, 0, sizeof record);
    return s;
}

static void add(concur_server *s, int what, unsigned i)
{
    ck_assert_int_eq(concur_server_hook(s, what, on_hook, (void *)(uintptr_t)i), CONCUR_OK);
}

static void expect(concur_server *s, int what, const char *detail, int rc, const char *text)
{
    record.text[0] = '\0';
    ck_assert_int_eq(cnc_server_hooks(s, what, detail), rc);
    ck_assert_str_eq(record.text, text);
}

START_TEST(hooks_are_called_in_order_and_exit_backwards)
{
    concur_server *s = make();
    for (int what = CONCUR_HOOK_BEFORE_FORK; what <= CONCUR_HOOK_EVENT; what++)
        expect(s, what, "x", CONCUR_OK, "");
    for (unsigned i = 1; i <= 3; i++)
        for (int what = CONCUR_HOOK_EVENT; what >= CONCUR_HOOK_BEFORE_FORK; what--)
            add(s, what, i);
    expect(s, CONCUR_HOOK_BEFORE_FORK, "a", CONCUR_OK, "1/1(a) 1/2(a) 1/3(a) ");
    expect(s, CONCUR_HOOK_WORKER_START, NULL, CONCUR_OK, "2/1() 2/2() 2/3() ");
    expect(s, CONCUR_HOOK_WORKER_EXIT, "", CONCUR_OK, "3/3() 3/2() 3/1() ");
    expect(s, CONCUR_HOOK_EVENT, "ready", CONCUR_OK, "4/1(ready) 4/2(ready) 4/3(ready) ");
    concur_server_free(s);
}
END_TEST

START_TEST(a_negative_value_forbids_where_it_may)
{
    concur_server *s = make();
    for (unsigned i = 1; i <= 3; i++)
        for (int what = CONCUR_HOOK_BEFORE_FORK; what <= CONCUR_HOOK_EVENT; what++)
            add(s, what, i);
    record.value[1] = 7; /* no error */
    record.value[2] = CONCUR_E_BUSY;
    expect(s, CONCUR_HOOK_BEFORE_FORK, "a", CONCUR_E_BUSY, "1/1(a) 1/2(a) ");
    expect(s, CONCUR_HOOK_WORKER_START, "", CONCUR_E_BUSY, "2/1() 2/2() ");
    expect(s, CONCUR_HOOK_WORKER_EXIT, "", CONCUR_OK, "3/3() 3/2() 3/1() ");
    expect(s, CONCUR_HOOK_EVENT, "b", CONCUR_OK, "4/1(b) 4/2(b) 4/3(b) ");
    concur_server_free(s);
}
END_TEST

static int is_refused(concur_server *server, int what, const char *detail, void *arg)
{
    (void)what, (void)detail, (void)arg;
    ck_assert_int_eq(concur_server_wait(server), CONCUR_E_HOME);
    ck_assert_int_eq(concur_server_run(server), CONCUR_E_HOME);
    concur_server_free(server); /* has no effect */
    return CONCUR_OK;
}

START_TEST(a_hook_is_a_callback_of_the_server)
{
    concur_server *s = make();
    ck_assert_int_eq(concur_server_hook(s, CONCUR_HOOK_WORKER_START, is_refused, NULL), CONCUR_OK);
    ck_assert_int_eq(cnc_server_hooks(s, CONCUR_HOOK_WORKER_START, ""), CONCUR_OK);
    ck_assert(!cnc_server_is_inside(s));
    concur_server_free(s);
}
END_TEST

/* ---- in a server that runs ---- */

static int engines[8];
static concur_local *local;
static pthread_mutex_t trail_mu = PTHREAD_MUTEX_INITIALIZER;
static char trail[256];
static pthread_t started_on, ended_on;

static void note(const char *what)
{
    pthread_mutex_lock(&trail_mu);
    size_t n = strlen(trail);
    snprintf(trail + n, sizeof trail - n, "%s ", what);
    pthread_mutex_unlock(&trail_mu);
}

static void *make_local(void *arg)
{
    note("make");
    return arg;
}

static void free_local(void *arg)
{
    (void)arg;
    note("free");
}

static int on_worker(concur_server *server, int what, const char *detail, void *arg)
{
    (void)server, (void)detail;
    note(what == CONCUR_HOOK_WORKER_START ? "start" : "exit");
    *(what == CONCUR_HOOK_WORKER_START ? &started_on : &ended_on) = pthread_self();
    return *(int *)arg;
}

static int use(concur_request *r, void *arg)
{
    (void)arg;
    return concur_reply_text(r, concur_local_get(local) ? 200 : 500, "");
}

static struct live make_live(int engine, int *value)
{
    struct live l = live_new(engine);
    live_set(&l, "pool_threads", "1");
    local = concur_server_local(l.server, make_local, free_local, &local);
    ck_assert_int_eq(concur_server_hook(l.server, CONCUR_HOOK_WORKER_START, on_worker, value), CONCUR_OK);
    ck_assert_int_eq(concur_server_hook(l.server, CONCUR_HOOK_WORKER_EXIT, on_worker, value), CONCUR_OK);
    live_route(&l, "GET /", 0, use, NULL);
    live_route(&l, "GET /blocking", CONCUR_ROUTE_BLOCKING, use, NULL);
    return l;
}

/* The first hook comes before all, the last one after what every thread had for itself. */
START_TEST(a_worker_begins_and_ends_with_its_hooks)
{
    int value = CONCUR_OK;
    struct live l = make_live(engines[_i], &value);
    live_start(&l);
    ck_assert_int_eq(live_get(&l, "/", NULL, 0), 200);
    ck_assert_int_eq(live_get(&l, "/blocking", NULL, 0), 200);
    live_end(&l, 1000);
    ck_assert_msg(strncmp(trail, "start make ", 11) == 0, "%s", trail);
    const char *end = strstr(trail, "exit ");
    ck_assert_msg(end && strcmp(end, "exit ") == 0 && !strstr(trail, "make exit"), "%s", trail);
    ck_assert(pthread_equal(started_on, ended_on));
    unsigned made = 0, freed = 0;
    for (const char *p = trail; (p = strstr(p, "make ")) != NULL; p++)
        made++;
    for (const char *p = trail; (p = strstr(p, "free ")) != NULL; p++)
        freed++;
    ck_assert_msg(made >= 1 && made == freed, "%s", trail);
}
END_TEST

START_TEST(a_worker_whose_hook_refuses_does_not_start)
{
    int value = CONCUR_E_BUSY;
    struct live l = make_live(engines[_i], &value);
    ck_assert_int_eq(concur_server_start(l.server), CONCUR_E_BUSY);
    ck_assert_str_eq(trail, "start ");
    concur_server_free(l.server);
    ck_assert_str_eq(trail, "start ");
}
END_TEST

/* ---- what is refused ---- */

START_TEST(bad_hooks_stick)
{
    ck_assert_int_eq(concur_server_hook(NULL, CONCUR_HOOK_EVENT, on_hook, NULL), CONCUR_E_INVAL);
    for (int what = 0; what <= 5; what += 5) {
        concur_server *s = make();
        ck_assert_int_eq(concur_server_hook(s, what, on_hook, NULL), CONCUR_E_INVAL);
        ck_assert_int_eq(concur_server_check(s), CONCUR_E_INVAL);
        ck_assert_ptr_nonnull(strstr(concur_server_error(s), "no such moment"));
        concur_server_free(s);
    }
    concur_server *s = make();
    ck_assert_int_eq(concur_server_hook(s, CONCUR_HOOK_EVENT, NULL, NULL), CONCUR_E_INVAL);
    ck_assert_ptr_nonnull(strstr(concur_server_error(s), "no function"));
    concur_server_free(s);
#ifdef CNC_FAULTS
    s = make();
    cnc_fault_arm(CNC_FAULT_ALLOC, 1, false);
    ck_assert_int_eq(concur_server_hook(s, CONCUR_HOOK_EVENT, on_hook, NULL), CONCUR_E_NOMEM);
    cnc_fault_arm(CNC_FAULT_ALLOC, 0, false);
    ck_assert_int_eq(concur_server_check(s), CONCUR_E_NOMEM);
    concur_server_free(s);
#endif
}
END_TEST

START_TEST(needs_add_up)
{
    concur_server *s = make();
    ck_assert_int_eq(concur_server_require(NULL, 0), CONCUR_E_INVAL);
    ck_assert_int_eq(concur_server_require(s, 0), CONCUR_OK);
    ck_assert_uint_eq(s->needs, 0);
    ck_assert_int_eq(concur_server_require(s, CONCUR_NEED_SHARED_MEMORY), CONCUR_OK);
    ck_assert_int_eq(concur_server_require(s, 0), CONCUR_OK);
    ck_assert_uint_eq(s->needs, CONCUR_NEED_SHARED_MEMORY);
    ck_assert_int_eq(concur_server_listen(s, "127.0.0.1:0"), CONCUR_OK);
    ck_assert_int_eq(concur_server_check(s), CONCUR_OK); /* one process has it */
    ck_assert_int_eq(concur_server_require(s, CONCUR_NEED_SHARED_MEMORY | 64), CONCUR_E_INVAL);
    ck_assert_ptr_nonnull(strstr(concur_server_error(s), "0x41"));
    ck_assert_int_eq(concur_server_check(s), CONCUR_E_INVAL);
    concur_server_free(s);
}
END_TEST

START_TEST(a_server_that_runs_takes_neither)
{
    struct live l = live_new(CONCUR_ENGINE_EVENT);
    live_start(&l);
    ck_assert_int_eq(concur_server_hook(l.server, CONCUR_HOOK_EVENT, on_hook, NULL), CONCUR_E_STATE);
    ck_assert_int_eq(concur_server_require(l.server, CONCUR_NEED_SHARED_MEMORY), CONCUR_E_STATE);
    ck_assert_str_eq(concur_server_error(l.server), "");
    live_end(&l, 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("api_hooks");
    TCase *tests = tcase_create("all");
    tcase_set_timeout(tests, LIVE_PATIENCE_S);
    tcase_add_test(tests, hooks_are_called_in_order_and_exit_backwards);
    tcase_add_test(tests, a_negative_value_forbids_where_it_may);
    tcase_add_test(tests, a_hook_is_a_callback_of_the_server);
    const int n = (int)live_engines(engines);
    tcase_add_loop_test(tests, a_worker_begins_and_ends_with_its_hooks, 0, n);
    tcase_add_loop_test(tests, a_worker_whose_hook_refuses_does_not_start, 0, n);
    tcase_add_test(tests, bad_hooks_stick);
    tcase_add_test(tests, needs_add_up);
    tcase_add_test(tests, a_server_that_runs_takes_neither);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
