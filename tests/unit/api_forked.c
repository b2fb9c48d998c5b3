/* SPDX-License-Identifier: MIT
 *
 * Processes that the program forks: from the host, and from handlers. They have a copy of a server that is not theirs, and whatever
 * they do with it, the server does not notice.
 */
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>

#include "live_routes.h"

enum { ENGINES = 6, STRAY = 41, PATIENCE_MS = 5000, BAD = 100 };

/* The exit status; -1: it lives on. */
static int end_of(pid_t pid)
{
    int status = 0;
    for (int ms = 0; ms < PATIENCE_MS; ms++) {
        if (waitpid(pid, &status, WNOHANG) == pid)
            return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
        (void)poll(NULL, 0, 1);
    }
    kill(pid, SIGKILL);
    (void)waitpid(pid, &status, 0);
    return -1;
}

/* ---- of the host ---- */

/* Every call that is about a server which runs. Returns which of them was not refused; 0: none. */
static int try_all(concur_server *s)
{
    char text[64];
    size_t n = sizeof text;
    int rcs[] = { concur_server_stop(s, 0),          concur_server_reload(s),          concur_server_fd(s),
                  concur_server_dispatch(s),         concur_server_wait(s),            concur_server_run(s),
                  concur_server_start(s),            concur_server_status(s, text, &n), concur_server_address(s, 0, text, n) };
    for (size_t i = 0; i < sizeof rcs / sizeof rcs[0]; i++)
        if (rcs[i] != CONCUR_E_FORKED)
            return (int)i + 1;
    concur_server_free(s);
    return 0;
}

START_TEST(a_child_of_the_host_does_nothing_to_the_server)
{
    struct live l = live_new(_i + 1);
    live_set(&l, "workers", "2");
    some_routes(&l);
    live_start(&l);
    must_answer(&l, "/hello");
    for (int i = 0; i < 3; i++) {
        pid_t pid = fork();
        if (pid == 0)
            _exit(try_all(l.server));
        ck_assert_int_eq(end_of(pid), 0);
        must_answer(&l, "/hello");
        must_answer(&l, "/later");
    }
    live_end(&l, 2000);
}
END_TEST

/* Once it was waited for it is still nobody else's. */
START_TEST(a_server_that_has_stopped_is_not_the_childs_either)
{
    struct live l = live_new(_i + 1);
    some_routes(&l);
    live_start(&l);
    ck_assert_int_eq(concur_server_stop(l.server, 1000), CONCUR_OK);
    ck_assert_int_eq(concur_server_wait(l.server), CONCUR_OK);
    pid_t pid = fork();
    if (pid == 0)
        _exit(try_all(l.server));
    ck_assert_int_eq(end_of(pid), 0);
    concur_server_free(l.server);
}
END_TEST

/* One of its own is its own. */
START_TEST(a_child_has_servers_of_its_own)
{
    if (LIVE_SANITIZED)
        return; /* a sanitizer of threads allows none in a process that was forked from one with threads */
    struct live l = live_new(_i + 1);
    some_routes(&l);
    live_start(&l);
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        concur_server *own = concur_server_new(_i + 1, NULL);
        (void)concur_server_listen(own, "127.0.0.1:0");
        (void)concur_server_set(own, NULL, "workers", "1");
        (void)concur_server_route(own, "GET /hello", 0, hello, NULL);
        int rc = concur_server_start(own);
        if (rc == CONCUR_OK)
            rc = concur_server_stop(own, 1000);
        if (rc == CONCUR_OK)
            rc = concur_server_wait(own);
        concur_server_free(own);
        _exit(-rc);
    }
    ck_assert_int_eq(end_of(pid), 0);
    must_answer(&l, "/hello");
    live_end(&l, 2000);
}
END_TEST

/* ---- of a handler ---- */

/* The child has tried to reply, and returns; the parent tells how that one ended. */
static int fork_and_return(concur_request *r, void *arg)
{
    pid_t pid = fork();
    (void)arg;
    if (pid == 0) {
        int rc = concur_reply_text(r, 200, "from the child");
        if (rc != CONCUR_E_FORKED)
            _exit(BAD);
        return CONCUR_OK;
    }
    return concur_reply_printf(r, 200, NULL, "%d", end_of(pid));
}

static int fork_within_a_reply(concur_request *r, void *arg)
{
    char text[16];
    (void)arg;
    int rc = concur_reply_begin(r, 200, "text/plain");
    pid_t pid = fork();
    if (pid == 0) {
        if (concur_reply_write(r, "child", 5) != CONCUR_E_FORKED || concur_reply_end(r) != CONCUR_E_FORKED)
            _exit(BAD);
        return CONCUR_E_SYS;
    }
    snprintf(text, sizeof text, "%d", end_of(pid));
    rc = rc ? rc : concur_reply_write(r, text, strlen(text));
    return rc ? rc : concur_reply_end(r);
}

static int fork_in_timer(concur_request *r, void *arg)
{
    return concur_request_after(r, 1, fork_and_return, arg);
}

static int fork_and_post(concur_request *r, void *arg)
{
    (void)arg;
    concur_ticket *t = concur_request_defer(r);
    pid_t pid = fork();
    if (pid == 0) {
        int rc = concur_ticket_post(t, hello, NULL);
        concur_ticket_release(t);
        _exit(rc == CONCUR_E_FORKED ? STRAY : BAD);
    }
    concur_ticket_release(t);
    return concur_reply_printf(r, 200, NULL, "%d", end_of(pid));
}

static int fork_at_work(void *arg)
{
    pid_t pid = fork();
    (void)arg;
    return pid == 0 ? 0 : end_of(pid);
}

static int tell_work(concur_request *r, int rc, void *arg)
{
    (void)arg;
    return concur_reply_printf(r, 200, NULL, "%d", rc);
}

static int fork_in_offload(concur_request *r, void *arg)
{
    return concur_request_offload(r, fork_at_work, tell_work, arg);
}

static const char *const paths[] = { "/fork", "/block-fork", "/within", "/block-within", "/timer", "/post", "/offload-fork" };

START_TEST(a_child_of_a_handler_does_not_serve)
{
    struct live l = live_new(_i + 1);
    struct live_peer one, other;
    live_set(&l, "workers", "2");
    some_routes(&l);
    live_route(&l, "GET /fork", 0, fork_and_return, NULL);
    live_route(&l, "GET /block-fork", CONCUR_ROUTE_BLOCKING, fork_and_return, NULL);
    live_route(&l, "GET /within", 0, fork_within_a_reply, NULL);
    live_route(&l, "GET /block-within", CONCUR_ROUTE_BLOCKING, fork_within_a_reply, NULL);
    live_route(&l, "GET /timer", 0, fork_in_timer, NULL);
    live_route(&l, "GET /post", 0, fork_and_post, NULL);
    live_route(&l, "GET /offload-fork", 0, fork_in_offload, NULL);
    live_start(&l);
    for (int round = 0; round < 2; round++) {
        other = live_connect(&l); /* idle meanwhile, in a process that forks perhaps */
        ck_assert(live_send(&other, "GET /hello HTTP/1.1\r\nHost: t\r\n\r\n"));
        struct live_answer a;
        ck_assert(live_receive(&other, &a, false));
        one = live_connect(&l);
        for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++) {
            char text[128];
            snprintf(text, sizeof text, "GET %s HTTP/1.1\r\nHost: t\r\n\r\n", paths[i]);
            ck_assert(live_send(&one, text));
            ck_assert_msg(live_receive(&one, &a, false), "%s %s: no answer", l.name, paths[i]);
            ck_assert_int_eq(a.status, 200);
            ck_assert_msg(a.n == 2 && memcmp(a.body, "41", 2) == 0, "%s %s: %.*s", l.name, paths[i], (int)a.n, a.body);
        }
        live_close(&one);
        must_answer(&l, "/hello");
        ck_assert(live_send(&other, "GET /hello HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n"));
        ck_assert(live_receive(&other, &a, false));
        ck_assert_int_eq(a.status, 200);
        ck_assert(live_at_end(&other));
        live_close(&other);
    }
    live_end(&l, 2000);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("api_forked");
    TCase *all = tcase_create("all");
    tcase_set_timeout(all, 60);
    tcase_add_loop_test(all, a_child_of_the_host_does_nothing_to_the_server, 0, ENGINES);
    tcase_add_loop_test(all, a_server_that_has_stopped_is_not_the_childs_either, 0, ENGINES);
    tcase_add_loop_test(all, a_child_has_servers_of_its_own, 0, ENGINES);
    tcase_add_loop_test(all, a_child_of_a_handler_does_not_serve, 0, ENGINES);
    suite_add_tcase(suite, all);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
