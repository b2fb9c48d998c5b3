/* SPDX-License-Identifier: MIT
 *
 * What each thread has one of: on the engines of one process, where the test can look at the threads themselves.
 */
#include "server/server.h"
#include "live.h"

static const int engines[] = { CONCUR_ENGINE_EVENT, CONCUR_ENGINE_EVENT_POOL, CONCUR_ENGINE_THREAD };

/* One thread's own, which knows whose it is. */
struct own {
    pthread_t thread;
    unsigned number;
};

static concur_local *local;
static atomic_uint made, freed, alive, most_alive, strangers;
static struct live_latch frees = LIVE_LATCH;

static void *make_own(void *arg)
{
    struct own *own = malloc(sizeof *own);
    ck_assert_ptr_eq(arg, &made);
    if (!own)
        return NULL;
    *own = (struct own){ pthread_self(), atomic_fetch_add(&made, 1) + 1 };
    unsigned now = atomic_fetch_add(&alive, 1) + 1, most = atomic_load(&most_alive);
    while (now > most && !atomic_compare_exchange_weak(&most_alive, &most, now))
        ;
    return own;
}

static void free_own(void *arg)
{
    struct own *own = arg;
    if (!pthread_equal(own->thread, pthread_self()))
        atomic_fetch_add(&strangers, 1);
    free(own);
    atomic_fetch_sub(&alive, 1);
    atomic_fetch_add(&freed, 1);
    live_latch_add(&frees);
}

/* The number of the calling thread's own; 0: none. Twice, since the second time it is there. */
static unsigned number(void)
{
    struct own *own = concur_local_get(local);
    if (!own || concur_local_get(local) != own)
        return 0;
    if (!pthread_equal(own->thread, pthread_self()))
        atomic_fetch_add(&strangers, 1);
    return own->number;
}

/* ---- routes: each tells the number of a thread's own, in a callback of another kind ---- */

static int reply(concur_request *r, void *arg)
{
    (void)arg;
    return concur_reply_printf(r, 200, NULL, "%u", number());
}

static pthread_barrier_t all_here;

static int meet(concur_request *r, void *arg)
{
    pthread_barrier_wait(&all_here);
    return reply(r, arg);
}

static int later(concur_request *r, void *arg)
{
    return number() ? concur_request_after(r, 1, reply, arg) : CONCUR_E_INVAL;
}

static int posted(concur_request *r, void *arg)
{
    concur_ticket *t = concur_request_defer(r);
    int rc = t ? concur_ticket_post(t, reply, arg) : CONCUR_E_NOMEM;
    if (t)
        concur_ticket_release(t);
    return rc;
}

static int work(void *arg)
{
    *(unsigned *)arg = number();
    return CONCUR_OK;
}

static int worked(concur_request *r, int rc, void *arg)
{
    return rc < 0 ? rc : concur_reply_printf(r, 200, NULL, "%u", *(unsigned *)arg);
}

static int offload(concur_request *r, void *arg)
{
    unsigned *n = concur_request_alloc(r, sizeof *n);
    (void)arg;
    return n ? concur_request_offload(r, work, worked, n) : CONCUR_E_NOMEM;
}

static struct live make(int engine, const char *pool)
{
    struct live l = live_new(engine);
    live_set(&l, "pool_threads", pool);
    live_set(&l, "threads_max", "4");
    local = concur_server_local(l.server, make_own, free_own, &made);
    ck_assert_ptr_nonnull(local);
    live_route(&l, "GET /plain", 0, reply, NULL);
    live_route(&l, "GET /blocking", CONCUR_ROUTE_BLOCKING, reply, NULL);
    live_route(&l, "GET /meet", CONCUR_ROUTE_BLOCKING, meet, NULL);
    live_route(&l, "GET /later", 0, later, NULL);
    live_route(&l, "GET /posted", 0, posted, NULL);
    live_route(&l, "GET /offload", 0, offload, NULL);
    return l;
}

static void end(struct live *l)
{
    live_end(l, 1000);
    ck_assert_uint_eq(made, freed);
    ck_assert_uint_eq(strangers, 0);
}

static unsigned get(const struct live *l, const char *path)
{
    char body[16] = "";
    ck_assert_int_eq(live_get(l, path, body, sizeof body), 200);
    unsigned n = (unsigned)strtoul(body, NULL, 10);
    ck_assert_msg(n > 0, "%s on %s: none", path, l->name);
    return n;
}

/* ---- who has one ---- */

START_TEST(every_callback_finds_its_threads_own)
{
    static const char *const paths[] = { "/plain", "/blocking", "/later", "/posted", "/offload" };
    struct live l = make(engines[_i / 2], _i % 2 ? "2" : "0");
    live_start(&l);
    ck_assert_uint_eq(made, 0); /* nobody has asked */
    for (unsigned round = 0; round < 20; round++)
        for (size_t i = 0; i < sizeof paths / sizeof *paths; i++)
            ck_assert_uint_le(get(&l, paths[i]), made);
    unsigned threads = (engines[_i / 2] == CONCUR_ENGINE_THREAD ? 4u : 1u) + (_i % 2 ? 2u : 0u);
    ck_assert_uint_ge(made, 1);
    ck_assert_uint_le(made, threads);
    ck_assert_uint_eq(freed, 0);
    end(&l);
}
END_TEST

struct asker {
    const struct live *l;
    unsigned number;
};

static void *ask(void *arg)
{
    struct asker *a = arg;
    a->number = get(a->l, "/meet");
    return NULL;
}

/* Four handlers at once are on four threads; each has another one. */
START_TEST(threads_that_run_at_once_have_one_each)
{
    enum { AT_ONCE = 4 };
    struct live l = make(_i ? CONCUR_ENGINE_EVENT_POOL : CONCUR_ENGINE_THREAD, _i ? "4" : "0");
    struct asker askers[AT_ONCE];
    pthread_t threads[AT_ONCE];
    unsigned seen = 0;
    pthread_barrier_init(&all_here, NULL, AT_ONCE);
    live_start(&l);
    for (unsigned round = 0; round < 3; round++) {
        for (unsigned i = 0; i < AT_ONCE; i++) {
            askers[i].l = &l;
            ck_assert_int_eq(pthread_create(&threads[i], NULL, ask, &askers[i]), 0);
        }
        seen = 0;
        for (unsigned i = 0; i < AT_ONCE; i++) {
            pthread_join(threads[i], NULL);
            seen |= 1u << askers[i].number;
        }
        ck_assert_uint_eq(seen, 2 | 4 | 8 | 16);
        ck_assert_uint_eq(made, AT_ONCE);
    }
    end(&l);
    pthread_barrier_destroy(&all_here);
}
END_TEST

/* ---- when it goes ---- */

START_TEST(a_thread_that_idles_frees_its_own)
{
    struct live l = make(_i ? CONCUR_ENGINE_EVENT_POOL : CONCUR_ENGINE_THREAD, _i ? "1" : "0");
    live_set(&l, "thread_idle", "10ms");
    live_start(&l);
    for (unsigned i = 1; i <= 5; i++) {
        ck_assert_uint_ge(get(&l, "/blocking"), i);
        ck_assert(live_latch_wait(&frees, i));
    }
    end(&l);
}
END_TEST

static struct live_latch freeing = LIVE_LATCH, may_free = LIVE_LATCH;

static void free_when_told(void *arg)
{
    live_latch_add(&freeing);
    ck_assert(live_latch_wait(&may_free, 1));
    free_own(arg);
}

static void *ask_blocking(void *arg)
{
    struct asker *a = arg;
    a->number = get(a->l, "/blocking");
    return NULL;
}

/* While a thread frees its own it still counts: the next request waits for it, rather than have two of them alive. */
START_TEST(there_are_never_more_than_threads)
{
    struct live l = make(_i ? CONCUR_ENGINE_EVENT_POOL : CONCUR_ENGINE_THREAD, _i ? "1" : "0");
    concur_local *usual = local;
    local = concur_server_local(l.server, make_own, free_when_told, &made);
    live_set(&l, "threads_max", "1");
    live_set(&l, "thread_idle", "10ms");
    live_start(&l);
    ck_assert_uint_eq(get(&l, "/blocking"), 1);
    ck_assert(live_latch_wait(&freeing, 1));
    struct asker a = { &l, 0 };
    pthread_t thread;
    ck_assert_int_eq(pthread_create(&thread, NULL, ask_blocking, &a), 0);
    for (int i = 0; i < 200; i++)
        sched_yield(); /* gives one that is wrongly started a chance; the test does not depend on it */
    live_latch_add(&may_free);
    pthread_join(thread, NULL);
    ck_assert_uint_eq(a.number, 2);
    ck_assert_uint_eq(most_alive, 1);
    end(&l);
    local = usual;
}
END_TEST

static struct live_latch handler_runs = LIVE_LATCH;

static int on_end(concur_request *r, int rc, void *arg)
{
    (void)r, (void)rc;
    *(unsigned *)arg = number();
    return CONCUR_OK;
}

static int wait_long(concur_request *r, void *arg)
{
    int rc = concur_request_on_end(r, on_end, arg);
    live_latch_add(&handler_runs);
    return rc < 0 ? rc : concur_request_after(r, 60000, reply, NULL);
}

/* The last callback of all still finds it; only then it goes. */
START_TEST(it_is_there_until_the_last_request_has_ended)
{
    static unsigned at_end;
    struct live l = make(engines[_i], "0");
    live_route(&l, "GET /wait", 0, wait_long, &at_end);
    live_start(&l);
    struct live_peer p = live_connect(&l);
    ck_assert(live_send(&p, "GET /wait HTTP/1.1\r\nHost: t\r\n\r\n"));
    ck_assert(live_latch_wait(&handler_runs, 1));
    live_end(&l, 0);
    live_close(&p);
    ck_assert_uint_ge(at_end, 1);
    ck_assert_uint_eq(made, freed);
}
END_TEST

/* ---- several ---- */

static concur_local *first, *second, *third;
static char trail[64];
static concur_server *server_of_trail;

static void note(const char *what)
{
    size_t n = strlen(trail);
    snprintf(trail + n, sizeof trail - n, "%s ", what);
}

static void *make_first(void *arg)
{
    note("+1");
    return concur_local_get(first) ? NULL : arg; /* its own function cannot have it yet */
}

static void *make_second(void *arg)
{
    void *before = concur_local_get(first);
    note("+2");
    return before ? arg : NULL;
}

static void *make_third(void *arg)
{
    note("+3");
    return arg;
}

static void free_first(void *arg)
{
    (void)arg;
    note(concur_local_get(second) || concur_local_get(third) ? "too much" : "-1");
    note(strstr(concur_last_error(), "ends") ? "ends" : concur_last_error());
}

static void free_second(void *arg)
{
    size_t len = 0;
    (void)arg;
    note(concur_local_get(first) ? "-2" : "too little");
    /* The server's lock is free, and waiting for oneself is refused. */
    note(concur_server_status(server_of_trail, NULL, &len) == CONCUR_E_LIMIT ? "status" : "none");
    note(concur_server_wait(server_of_trail) == CONCUR_E_HOME ? "refused" : "waited");
}

static int use_two(concur_request *r, void *arg)
{
    (void)arg;
    bool both = concur_local_get(second) && concur_local_get(second);
    return concur_reply_text(r, 200, both ? "1" : "0");
}

START_TEST(several_go_in_the_reverse_order)
{
    static char a, b, c;
    char body[8] = "";
    struct live l = live_new(engines[_i]);
    server_of_trail = l.server;
    first = concur_server_local(l.server, make_first, free_first, &a);
    second = concur_server_local(l.server, make_second, free_second, &b);
    third = concur_server_local(l.server, make_third, NULL, &c); /* nobody asks for it */
    live_route(&l, "GET /", 0, use_two, NULL);
    live_start(&l);
    ck_assert_int_eq(live_get(&l, "/", body, sizeof body), 200);
    ck_assert_str_eq(body, "1");
    ck_assert_str_eq(trail, "+1 +2 ");
    live_end(&l, 1000);
    ck_assert_str_eq(trail, "+1 +2 -2 status refused -1 ends ");
}
END_TEST

/* ---- where there is none ---- */

static atomic_uint attempts;

static void *make_at_third(void *arg)
{
    return atomic_fetch_add(&attempts, 1) < 2 ? NULL : arg;
}

static int tell(concur_request *r, void *arg)
{
    (void)arg;
    void *p = concur_local_get(local);
    return concur_reply_printf(r, 200, NULL, "%s", p ? "ok" : concur_last_error());
}

START_TEST(what_cannot_be_made_is_tried_again)
{
    char body[128] = "";
    struct live l = live_new(engines[_i]);
    local = concur_server_local(l.server, make_at_third, NULL, &l);
    live_route(&l, "GET /", 0, tell, NULL);
    live_start(&l);
    for (unsigned i = 0; i < 4; i++) {
        ck_assert_int_eq(live_get(&l, "/", body, sizeof body), 200);
        if (i < 2)
            ck_assert_msg(strstr(body, "returned NULL") != NULL, "%s", body);
        else
            ck_assert_str_eq(body, "ok");
    }
    live_end(&l, 1000);
}
END_TEST

static int hook(concur_server *server, int what, const char *detail, void *arg)
{
    (void)server, (void)what, (void)detail;
    *(void **)arg = concur_local_get(local);
    return CONCUR_OK;
}

static void *on_a_thread_of_ours(void *arg)
{
    return concur_local_get(arg);
}

START_TEST(other_threads_have_none)
{
    char body[128] = "";
    void *got = &got;
    pthread_t thread;
    struct live l = make(engines[_i], "0"), other = live_new(engines[_i]);
    live_route(&other, "GET /", 0, tell, NULL);
    ck_assert_int_eq(concur_server_hook(l.server, CONCUR_HOOK_EVENT, hook, &got), CONCUR_OK);
    ck_assert_ptr_null(concur_local_get(local));
    ck_assert_ptr_nonnull(strstr(concur_last_error(), "this thread"));
    live_start(&l);
    live_start(&other);
    ck_assert_ptr_null(concur_local_get(local));
    ck_assert_int_eq(pthread_create(&thread, NULL, on_a_thread_of_ours, local), 0);
    pthread_join(thread, &got);
    ck_assert_ptr_null(got);
    got = &got;
    ck_assert_int_eq(cnc_server_hooks(l.server, CONCUR_HOOK_EVENT, ""), CONCUR_OK);
    ck_assert_ptr_null(got);
    ck_assert_int_eq(live_get(&other, "/", body, sizeof body), 200);
    ck_assert_msg(strstr(body, "this thread") != NULL, "%s", body);
    ck_assert_uint_eq(made, 0);
    live_end(&other, 1000);
    end(&l);
}
END_TEST

/* ---- what is refused ---- */

START_TEST(bad_ones_stick)
{
    ck_assert_ptr_null(concur_local_get(NULL));
    ck_assert_ptr_null(concur_server_local(NULL, make_own, NULL, NULL));
    ck_assert_ptr_nonnull(strstr(concur_last_error(), "no server"));
    concur_server *s = concur_server_new(CONCUR_ENGINE_EVENT, NULL);
    ck_assert_ptr_null(concur_server_local(s, NULL, NULL, NULL));
    ck_assert_int_eq(concur_server_check(s), CONCUR_E_INVAL);
    ck_assert_ptr_nonnull(strstr(concur_server_error(s), "no make function"));
    concur_server_free(s);
    s = concur_server_new(CONCUR_ENGINE_EVENT, NULL);
    for (unsigned i = 0; i < CNC_LOCALS_MAX; i++)
        ck_assert_ptr_nonnull(concur_server_local(s, make_own, NULL, NULL));
    ck_assert_ptr_null(concur_server_local(s, make_own, NULL, NULL));
    ck_assert_int_eq(concur_server_check(s), CONCUR_E_LIMIT);
    ck_assert_ptr_nonnull(strstr(concur_server_error(s), "at most 64"));
    concur_server_free(s);
#ifdef CNC_FAULTS
    s = concur_server_new(CONCUR_ENGINE_EVENT, NULL);
    cnc_fault_arm(CNC_FAULT_ALLOC, 1, false);
    ck_assert_ptr_null(concur_server_local(s, make_own, NULL, NULL));
    cnc_fault_arm(CNC_FAULT_ALLOC, 0, false);
    ck_assert_int_eq(concur_server_check(s), CONCUR_E_NOMEM);
    concur_server_free(s);
#endif
    struct live l = live_new(CONCUR_ENGINE_EVENT);
    live_start(&l);
    ck_assert_ptr_null(concur_server_local(l.server, make_own, NULL, NULL));
    ck_assert_ptr_nonnull(strstr(concur_last_error(), "run or started"));
    live_end(&l, 0);
}
END_TEST

#ifdef CNC_FAULTS
static int tell_under_fault(concur_request *r, void *arg)
{
    (void)arg;
    cnc_fault_arm(CNC_FAULT_ALLOC, 1, false);
    void *p = concur_local_get(local);
    cnc_fault_arm(CNC_FAULT_ALLOC, 0, false);
    return concur_reply_printf(r, 200, NULL, "%s%s", p ? "?" : concur_last_error(), number() ? ", then there" : "");
}

START_TEST(out_of_memory_is_an_error)
{
    char body[128] = "";
    struct live l = make(engines[_i], "0");
    live_route(&l, "GET /fault", 0, tell_under_fault, NULL);
    live_start(&l);
    ck_assert_int_eq(live_get(&l, "/fault", body, sizeof body), 200);
    ck_assert_str_eq(body, "local: out of memory, then there");
    end(&l);
}
END_TEST
#endif

int main(void)
{
    const int n = sizeof engines / sizeof *engines;
    Suite *suite = suite_create("core_local");
    TCase *tests = tcase_create("all");
    tcase_set_timeout(tests, LIVE_PATIENCE_S * 2);
    tcase_add_loop_test(tests, every_callback_finds_its_threads_own, 0, n * 2);
    tcase_add_loop_test(tests, threads_that_run_at_once_have_one_each, 0, 2);
    tcase_add_loop_test(tests, a_thread_that_idles_frees_its_own, 0, 2);
    tcase_add_loop_test(tests, there_are_never_more_than_threads, 0, 2);
    tcase_add_loop_test(tests, it_is_there_until_the_last_request_has_ended, 0, n);
    tcase_add_loop_test(tests, several_go_in_the_reverse_order, 0, n);
    tcase_add_loop_test(tests, what_cannot_be_made_is_tried_again, 0, n);
    tcase_add_loop_test(tests, other_threads_have_none, 0, n);
    tcase_add_test(tests, bad_ones_stick);
#ifdef CNC_FAULTS
    tcase_add_loop_test(tests, out_of_memory_is_an_error, 0, n);
#endif
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
