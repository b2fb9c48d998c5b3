/* SPDX-License-Identifier: MIT
 *
 * The server's life inside a host's process, on every engine: start, run and free, what is left afterwards
 * (nothing), what is refused, and what stays the host's own. Stops have a page of their own, api_stop.c.
 */
#include <malloc.h>
#include <signal.h>
#include <sys/wait.h>

#include "live_routes.h"

static int engines[8];
static unsigned engine_count;

START_TEST(hello_on_every_engine)
{
    struct live l = live_new(engines[_i]);
    some_routes(&l);
    live_start(&l);
    ck_assert_int_eq(concur_server_engine(l.server), engines[_i]);
    must_answer(&l, "/hello");
    must_answer(&l, "/block");
    must_answer(&l, "/later");
    must_answer(&l, "/offload");
    live_end(&l, 1000);
}
END_TEST

/* ---- what is left ---- */

static void one_cycle(int engine, unsigned i)
{
    struct live l = live_new(engine);
    some_routes(&l);
    live_set(&l, "body_memory", "100");
    live_set(&l, "pool_threads", i % 2 ? "2" : "0");
    live_start(&l);
    must_answer(&l, "/hello");
    must_answer(&l, "/block");
    must_answer(&l, "/offload");
    struct live_peer idle = live_connect(&l), busy = live_connect(&l);
    struct live_answer a;
    char request[512];
    int n = snprintf(request, sizeof request, "POST /echo HTTP/1.1\r\nHost: t\r\nContent-Length: 200\r\n\r\n%0200d", 0);
    ck_assert(live_send_n(&idle, request, (size_t)n));
    ck_assert(live_receive(&idle, &a, false));
    ck_assert_str_eq(a.body, "200");
    ck_assert(live_send(&busy, "GET /endless HTTP/1.1\r\nHost: t\r\n\r\n"));
    ck_assert(live_more(&busy));
    if (i % 8) /* else the stop closes them */
        live_close(&idle);
    if (i % 4)
        live_close(&busy);
    live_end(&l, 0);
    live_close(&busy);
    live_close(&idle);
}

static size_t in_use(void)
{
    return mallinfo2().uordblks;
}

static void *meet(void *barrier)
{
    (void)pthread_barrier_wait(barrier);
    return NULL;
}

/* The C library keeps the stacks of threads that ended, each with a block of memory: as many as were in use at once. */
static void fill_stack_cache(void)
{
    pthread_t threads[10];
    pthread_barrier_t barrier;
    pthread_attr_t attr;
    pthread_attr_init(&attr);
    pthread_attr_setstacksize(&attr, 1 << 20);
    pthread_barrier_init(&barrier, NULL, 10);
    for (int i = 0; i < 10; i++)
        ck_assert_int_eq(pthread_create(&threads[i], &attr, meet, &barrier), 0);
    for (int i = 0; i < 10; i++)
        pthread_join(threads[i], NULL);
    pthread_barrier_destroy(&barrier);
    pthread_attr_destroy(&attr);
}

START_TEST(a_hundred_cycles_leave_nothing)
{
    unsigned cycles = LIVE_SANITIZED ? 20 : 100;
    mallopt(M_ARENA_MAX, 1); /* what an arena itself takes is not the library's */
    fill_stack_cache();
    for (unsigned i = 0; i < 8; i++)
        one_cycle(engines[_i], i);
    unsigned fds = live_descriptors();
    ck_assert_uint_eq(live_other_threads(), 0);
    size_t low[2] = { SIZE_MAX, SIZE_MAX }; /* of each half */
    for (unsigned i = 0; i < cycles; i++) {
        one_cycle(engines[_i], i);
        ck_assert_uint_eq(live_descriptors(), fds);
        ck_assert_uint_eq(live_other_threads(), 0);
        size_t bytes = in_use(), *lowest = &low[i >= cycles / 2];
        *lowest = bytes < *lowest ? bytes : *lowest;
    }
    /* The smallest block lost in each cycle adds up to more than this. */
    ck_assert_uint_le(low[1], low[0] + cycles / 2 * 16 - 1);
}
END_TEST

/* ---- more than one, and none ---- */

START_TEST(free_stops_what_runs)
{
    unsigned fds = live_descriptors();
    struct live l = live_new(engines[_i]);
    some_routes(&l);
    live_start(&l);
    must_answer(&l, "/hello");
    struct live_peer idle = live_connect(&l), busy = live_connect(&l);
    ck_assert(live_send(&busy, "GET /endless HTTP/1.1\r\nHost: t\r\n\r\n"));
    ck_assert(live_more(&busy));
    concur_server_free(l.server);
    ck_assert(live_at_end(&busy));
    ck_assert(live_at_end(&idle));
    live_close(&busy);
    live_close(&idle);
    ck_assert_uint_eq(live_other_threads(), 0);
    ck_assert_uint_eq(live_descriptors(), fds);
}
END_TEST

START_TEST(two_servers_do_not_know_each_other)
{
    struct live a = live_new(engines[_i]), b = live_new(engines[((unsigned)_i + 1) % engine_count]);
    some_routes(&a);
    live_route(&b, "GET /other", 0, hello, NULL);
    live_start(&a);
    live_start(&b);
    must_answer(&a, "/hello");
    must_answer(&b, "/other");
    ck_assert_int_eq(live_get(&a, "/other", NULL, 0), 404);
    ck_assert_int_eq(live_get(&b, "/hello", NULL, 0), 404);
    live_end(&a, 0);
    must_answer(&b, "/other");
    live_end(&b, 0);
}
END_TEST

/* ---- what is refused ---- */

static atomic_uint warnings;

static void count_lines(int level, const char *line, void *arg)
{
    (void)arg;
    if (level == CONCUR_LOG_ERROR && strstr(line, "concur_server_free"))
        atomic_fetch_add(&warnings, 1);
}

static int misuse(concur_request *r, void *arg)
{
    concur_server *s = concur_request_server(r);
    int rcs[4] = { concur_server_wait(s), concur_server_start(s), concur_server_run(s), concur_server_check(s) };
    (void)arg;
    concur_server_free(s);
    bool ok = rcs[0] == CONCUR_E_HOME && rcs[1] == CONCUR_E_HOME && rcs[2] == CONCUR_E_HOME && rcs[3] == CONCUR_E_STATE;
    return concur_reply_printf(r, 200, NULL, ok ? "hello" : "%d %d %d %d", rcs[0], rcs[1], rcs[2], rcs[3]);
}

START_TEST(a_handler_may_not_end_its_server)
{
    struct live l = live_new(engines[_i]);
    live_route(&l, "/misuse", 0, misuse, NULL);
    live_route(&l, "/blocking-misuse", CONCUR_ROUTE_BLOCKING, misuse, NULL);
    ck_assert_int_eq(concur_server_log(l.server, count_lines, NULL), CONCUR_OK);
    live_start(&l);
    must_answer(&l, "/misuse");
    must_answer(&l, "/blocking-misuse");
    must_answer(&l, "/misuse");
    ck_assert_uint_eq(atomic_load(&warnings), 3);
    live_end(&l, 0);
}
END_TEST

START_TEST(every_call_has_its_time)
{
    char text[64];
    size_t len = sizeof text;
    struct live l = live_new(engines[_i]);
    some_routes(&l);
    ck_assert_int_eq(concur_server_stop(l.server, 0), CONCUR_E_STATE);
    ck_assert_int_eq(concur_server_wait(l.server), CONCUR_E_STATE);
    ck_assert_int_eq(concur_server_reload(l.server), CONCUR_E_STATE);
    ck_assert_int_eq(concur_server_address(l.server, 0, text, sizeof text), CONCUR_E_STATE);
    ck_assert_int_eq(concur_server_status(l.server, text, &len), CONCUR_E_STATE);
    ck_assert_int_eq(concur_server_check(l.server), CONCUR_OK);
    live_start(&l);
    for (int after = 0; after < 2; after++) {
        ck_assert_int_eq(concur_server_start(l.server), CONCUR_E_STATE);
        ck_assert_int_eq(concur_server_run(l.server), CONCUR_E_STATE);
        ck_assert_int_eq(concur_server_check(l.server), CONCUR_E_STATE);
        ck_assert_int_eq(concur_server_route(l.server, "/x", 0, hello, NULL), CONCUR_E_STATE);
        ck_assert_int_eq(concur_server_set(l.server, NULL, "threads_max", "1"), CONCUR_E_STATE);
        ck_assert_int_eq(concur_server_override(l.server, NULL, "threads_max", "1"), CONCUR_E_STATE);
        ck_assert_int_eq(concur_server_listen(l.server, "127.0.0.1:0"), CONCUR_E_STATE);
        ck_assert_int_eq(concur_server_log(l.server, count_lines, NULL), CONCUR_E_STATE);
        ck_assert_int_eq(concur_server_reload(l.server), CONCUR_E_STATE);
        ck_assert_int_eq(concur_server_engine(l.server), engines[_i]);
        if (after)
            break;
        ck_assert_int_eq(concur_server_address(l.server, 1, text, sizeof text), CONCUR_E_INVAL);
        ck_assert_int_eq(concur_server_address(l.server, 0, NULL, 0), CONCUR_E_INVAL);
        ck_assert_int_eq(concur_server_address(l.server, 0, text, 5), CONCUR_E_LIMIT);
        must_answer(&l, "/hello"); /* none of that did harm */
        ck_assert_int_eq(concur_server_stop(l.server, 0), CONCUR_OK);
        ck_assert_int_eq(concur_server_wait(l.server), CONCUR_OK);
    }
    ck_assert_int_eq(concur_server_stop(l.server, 0), CONCUR_OK);
    ck_assert_int_eq(concur_server_wait(l.server), CONCUR_OK);
    ck_assert_int_eq(concur_server_address(l.server, 0, text, sizeof text), CONCUR_E_STATE);
    concur_server_free(l.server);
}
END_TEST

START_TEST(set_up_errors_stick)
{
    unsigned fds = live_descriptors();
    struct live l = live_new(engines[_i]);
    ck_assert_int_eq(concur_server_route(l.server, "GET bad", 0, hello, NULL), CONCUR_E_INVAL);
    ck_assert_int_eq(concur_server_set(l.server, NULL, "threads_max", "many"), CONCUR_E_OPTION);
    ck_assert_int_eq(concur_server_set(l.server, NULL, "no_such_option", "1"), CONCUR_E_OPTION);
    ck_assert_int_eq(concur_server_route(l.server, "GET /none", 0, NULL, NULL), CONCUR_E_INVAL);
    ck_assert_int_eq(concur_server_start(l.server), CONCUR_E_INVAL);
    ck_assert_int_eq(concur_server_start(l.server), CONCUR_E_INVAL);
    static const char *const named[] = { "GET bad", "threads_max", "no_such_option", "GET /none" };
    for (int i = 0; i < 4; i++)
        ck_assert_msg(strstr(concur_server_error(l.server), named[i]), "%s", concur_server_error(l.server));
    ck_assert_uint_eq(live_descriptors(), fds);
    ck_assert_uint_eq(live_other_threads(), 0);
    concur_server_free(l.server);
}
END_TEST

/* A listening socket of the test's own. */
static int listener(struct sockaddr_in *at)
{
    socklen_t len = sizeof *at;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    *at = (struct sockaddr_in){ .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    ck_assert_int_eq(bind(fd, (struct sockaddr *)at, len), 0);
    ck_assert_int_eq(listen(fd, 16), 0);
    ck_assert_int_eq(getsockname(fd, (struct sockaddr *)at, &len), 0);
    return fd;
}

START_TEST(a_taken_port_leaves_nothing)
{
    struct sockaddr_in at;
    char address[64];
    int taken = listener(&at);
    unsigned fds = live_descriptors();
    snprintf(address, sizeof address, "127.0.0.1:%u", ntohs(at.sin_port));
    struct live l = live_new(engines[_i]); /* its first address can be had */
    some_routes(&l);
    ck_assert_int_eq(concur_server_listen(l.server, address), CONCUR_OK);
    ck_assert_int_eq(concur_server_start(l.server), CONCUR_E_LISTEN);
    ck_assert_msg(strstr(concur_server_error(l.server), address), "%s", concur_server_error(l.server));
    ck_assert_uint_eq(live_descriptors(), fds);
    ck_assert_uint_eq(live_other_threads(), 0);
    concur_server_free(l.server);
    close(taken);
}
END_TEST

/* ---- run ---- */

static void host_handler(int sig)
{
    (void)sig;
}

static int tell(concur_request *r, void *arg)
{
    ssize_t n = write(*(int *)arg, "x", 1);
    return n == 1 ? concur_request_after(r, 60000, hello, NULL) : 500;
}

/* In a child: serves until a signal ends it. Exit status 0: all as it was before. */
static void run_and_tell(struct live *l)
{
    struct sigaction mine = { .sa_handler = host_handler }, ignored = { .sa_handler = SIG_IGN }, got;
    sigaction(SIGTERM, &mine, NULL);
    sigaction(SIGINT, &ignored, NULL);
    signal(SIGPIPE, SIG_DFL);
    live_count_own_threads();
    int rc = concur_server_run(l->server);
    if (rc != CONCUR_OK)
        _exit(1);
    sigaction(SIGTERM, NULL, &got);
    if (got.sa_handler != host_handler)
        _exit(2);
    sigaction(SIGINT, NULL, &got);
    if (got.sa_handler != SIG_IGN)
        _exit(3);
    sigaction(SIGPIPE, NULL, &got);
    if (got.sa_handler != SIG_DFL)
        _exit(4);
    if (concur_server_run(l->server) != CONCUR_E_STATE || live_other_threads() != 0)
        _exit(5);
    concur_server_free(l->server);
    _exit(0);
}

static void run_until(int engine, bool twice)
{
    char address[32], byte;
    int pipes[2], status, fd;
    struct live l = { .server = concur_server_new(engine, NULL), .name = concur_engine_name(engine) };
    fd = listener(&l.at);
    ck_assert_int_eq(pipe(pipes), 0);
    snprintf(address, sizeof address, "fd:%d", fd);
    ck_assert_int_eq(concur_server_listen(l.server, address), CONCUR_OK);
    some_routes(&l);
    live_route(&l, "/tell", 0, tell, &pipes[1]);
    live_set(&l, "stop_timeout", "60s");
    pid_t pid = fork();
    ck_assert_int_ge(pid, 0);
    if (pid == 0)
        run_and_tell(&l);
    concur_server_free(l.server);
    close(fd);
    must_answer(&l, "/hello");
    if (twice) {
        struct live_peer p = live_connect(&l);
        struct live_answer a;
        ck_assert(live_send(&p, "GET /tell HTTP/1.1\r\nHost: t\r\n\r\n"));
        ck_assert_int_eq(read(pipes[0], &byte, 1), 1);
        ck_assert_int_eq(kill(pid, SIGTERM), 0);
        ck_assert_int_eq(kill(pid, SIGINT), 0);
        ck_assert(live_receive(&p, &a, false));
        ck_assert_int_eq(a.status, 503);
        live_close(&p);
    } else {
        ck_assert_int_eq(kill(pid, SIGTERM), 0);
    }
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 0, "%s: status 0x%x", l.name, (unsigned)status);
    close(pipes[0]);
    close(pipes[1]);
}

START_TEST(run_ends_by_sigterm_and_restores)
{
    run_until(engines[_i], false);
}
END_TEST

START_TEST(a_second_signal_ends_at_once)
{
    run_until(engines[_i], true);
}
END_TEST

/* ---- what stays the host's ---- */

START_TEST(sigpipe_stays_as_it_was)
{
    struct sigaction got;
    struct live l = live_new(engines[_i]);
    signal(SIGPIPE, SIG_DFL);
    some_routes(&l);
    live_start(&l);
    for (int i = 0; i < 30; i++) {
        struct live_peer p = live_connect(&l);
        ck_assert(live_send(&p, i % 2 ? "GET /endless HTTP/1.1\r\nHost: t\r\n\r\n"
                                      : "GET /later HTTP/1.1\r\nHost: t\r\n\r\n"));
        ck_assert(i % 2 == 0 || live_more(&p));
        live_reset(&p);
    }
    must_answer(&l, "/hello");
    live_end(&l, 1000);
    sigaction(SIGPIPE, NULL, &got);
    ck_assert(got.sa_handler == SIG_DFL);
}
END_TEST

START_TEST(the_hosts_children_stay_its_own)
{
    int status;
    pid_t pid = fork();
    ck_assert_int_ge(pid, 0);
    if (pid == 0)
        _exit(7);
    struct live l = live_new(engines[_i]);
    some_routes(&l);
    live_start(&l);
    must_answer(&l, "/hello");
    live_end(&l, 0);
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == 7);
}
END_TEST

/* What malloc keeps at hand for each thread counts as in use: exact figures need it off, which only a new start can do. */
static void without_thread_caches(char **argv)
{
    if (LIVE_SANITIZED || getenv("GLIBC_TUNABLES"))
        return;
    setenv("GLIBC_TUNABLES", "glibc.malloc.tcache_count=0", 1);
    execv("/proc/self/exe", argv);
}

int main(int argc, char **argv)
{
    (void)argc;
    without_thread_caches(argv);
    engine_count = live_engines(engines);
    if (engine_count == 0)
        return EXIT_FAILURE;
    Suite *s = suite_create("api_life");
    TCase *t = tcase_create("life");
    int n = (int)engine_count;
    tcase_add_checked_fixture(t, live_count_own_threads, NULL);
    tcase_set_timeout(t, 100);
    tcase_add_loop_test(t, hello_on_every_engine, 0, n);
    tcase_add_loop_test(t, a_hundred_cycles_leave_nothing, 0, n);
    tcase_add_loop_test(t, free_stops_what_runs, 0, n);
    tcase_add_loop_test(t, two_servers_do_not_know_each_other, 0, n);
    tcase_add_loop_test(t, a_handler_may_not_end_its_server, 0, n);
    tcase_add_loop_test(t, every_call_has_its_time, 0, n);
    tcase_add_loop_test(t, set_up_errors_stick, 0, n);
    tcase_add_loop_test(t, a_taken_port_leaves_nothing, 0, n);
    tcase_add_loop_test(t, run_ends_by_sigterm_and_restores, 0, n);
    tcase_add_loop_test(t, a_second_signal_ends_at_once, 0, n);
    tcase_add_loop_test(t, sigpipe_stays_as_it_was, 0, n);
    tcase_add_loop_test(t, the_hosts_children_stay_its_own, 0, n);
    suite_add_tcase(s, t);
    SRunner *runner = srunner_create(s);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
