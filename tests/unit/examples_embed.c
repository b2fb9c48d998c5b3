/* SPDX-License-Identifier: MIT
 *
 * A host with its own poll loop: the example of it on every engine, and what its descriptor tells.
 */
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "live_routes.h"

enum { ENGINES = 6, PATIENCE_MS = 20000 };

static unsigned count(const char *text, const char *part)
{
    unsigned n = 0;
    for (const char *p = text; (p = strstr(p, part)) != NULL; p++)
        n++;
    return n;
}

#ifdef EMBED
START_TEST(the_example_serves_and_ends)
{
    const char *engine = concur_engine_name(_i % ENGINES + 1);
    static char out[65536];
    size_t n = 0;
    int fds[2], status = -1;
    ck_assert_int_eq(pipe(fds), 0);
    pid_t pid = fork();
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        dup2(fds[1], STDOUT_FILENO);
        close(fds[0]);
        close(fds[1]);
        execl(EMBED, EMBED, engine, "127.0.0.1:0", (char *)NULL);
        _exit(127);
    }
    close(fds[1]);
    while (!strchr(out, '\n')) { /* "event: ready 127.0.0.1:8080" */
        ssize_t got = read(fds[0], out + n, sizeof out - 1 - n);
        ck_assert_int_gt(got, 0);
        n += (size_t)got;
    }
    struct live l = { .name = engine, .at = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) } };
    const char *colon = strstr(out, "ready 127.0.0.1:");
    ck_assert_msg(colon != NULL, "%s: %s", engine, out);
    l.at.sin_port = htons((uint16_t)atoi(colon + 16));
    ck_assert_int_eq(live_get(&l, "/", NULL, 0), 200);
    ck_assert_int_eq(kill(pid, _i < ENGINES ? SIGTERM : SIGINT), 0);
    for (ssize_t got; (got = read(fds[0], out + n, sizeof out - 1 - n)) > 0;)
        n += (size_t)got;
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert_int_eq(status, 0);
    ck_assert_msg(count(out, "event: ready") == 1 && strstr(out, "the end, after"), "%s: %s", engine, out);
    close(fds[0]);
}
END_TEST
#endif

struct events {
    pthread_t host;
    unsigned ready, elsewhere;
};

static int on_event(concur_server *s, int what, const char *detail, void *arg)
{
    struct events *e = arg;
    (void)s, (void)what;
    e->ready += strcmp(detail, "ready") == 0;
    e->elsewhere += !pthread_equal(pthread_self(), e->host);
    return CONCUR_OK;
}

static void *stop_soon(void *arg)
{
    ck_assert_int_eq(concur_server_stop(arg, 1000), CONCUR_OK);
    return NULL;
}

static int stop_from_within(concur_request *r, void *arg)
{
    (void)arg;
    int rc = concur_server_stop(concur_request_server(r), 1000);
    return rc ? rc : concur_reply_text(r, 200, "hello");
}

/* The stop comes from another thread, or from a handler: the descriptor tells of its end, and only of that. */
START_TEST(the_descriptor_tells_of_the_end)
{
    struct live l = live_new(_i % ENGINES + 1);
    struct events e = { .host = pthread_self() };
    pthread_t thread;
    live_set(&l, "workers", "2");
    some_routes(&l);
    live_route(&l, "GET /stop", 0, stop_from_within, NULL);
    ck_assert_int_eq(concur_server_hook(l.server, CONCUR_HOOK_EVENT, on_event, &e), CONCUR_OK);
    live_start(&l);
    ck_assert_uint_eq(e.ready, 1);
    must_answer(&l, "/hello");
    ck_assert_int_eq(concur_server_dispatch(l.server), CONCUR_OK);
    struct pollfd p = { .fd = concur_server_fd(l.server), .events = POLLIN };
    ck_assert_int_ge(p.fd, 0);
    ck_assert_int_eq(poll(&p, 1, 20), 0); /* nothing has happened */
    if (_i < ENGINES)
        ck_assert_int_eq(pthread_create(&thread, NULL, stop_soon, l.server), 0);
    else
        must_answer(&l, "/stop");
    int rc = CONCUR_OK;
    while (rc == CONCUR_OK) {
        ck_assert_msg(poll(&p, 1, PATIENCE_MS) == 1, "%s: nothing tells of the end", l.name);
        rc = concur_server_dispatch(l.server);
    }
    ck_assert_int_eq(rc, CONCUR_E_GONE);
    ck_assert_int_eq(poll(&p, 1, 0), 1); /* it stays so */
    ck_assert_int_eq(concur_server_dispatch(l.server), CONCUR_E_GONE);
    ck_assert_int_eq(concur_server_wait(l.server), CONCUR_OK);
    if (_i < ENGINES)
        pthread_join(thread, NULL);
    ck_assert_uint_eq(e.ready, 1);
    ck_assert_uint_eq(e.elsewhere, 0);
    concur_server_free(l.server);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("examples_embed");
    TCase *all = tcase_create("all");
    tcase_set_timeout(all, 60);
#ifdef EMBED
    tcase_add_loop_test(all, the_example_serves_and_ends, 0, 2 * ENGINES);
#endif
    tcase_add_loop_test(all, the_descriptor_tells_of_the_end, 0, 2 * ENGINES);
    suite_add_tcase(suite, all);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
