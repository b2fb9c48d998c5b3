/* SPDX-License-Identifier: MIT
 *
 * Servers on Unix sockets, on every engine: what else is at the path is not theirs, neither at the start nor at the end.
 */
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "live.h"

enum { ENGINES = 6 };

static char folder[] = "/tmp/concur-paths-XXXXXX";
static char path[sizeof folder + 16];

static void set_up(void)
{
    ck_assert_ptr_nonnull(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/s", folder);
}

static void tear_down(void)
{
    (void)unlink(path);
    ck_assert_int_eq(rmdir(folder), 0);
}

static int hello(concur_request *r, void *arg)
{
    return concur_reply_text(r, 200, arg);
}

static concur_server *make(int engine, const char *text)
{
    char address[128];
    concur_server *s = concur_server_new(engine, NULL);
    ck_assert_ptr_nonnull(s);
    snprintf(address, sizeof address, "unix:%s", path);
    (void)concur_server_set(s, NULL, "environment", "off");
    (void)concur_server_set(s, NULL, "workers", "2");
    (void)concur_server_listen(s, address);
    (void)concur_server_route(s, "/", 0, hello, (void *)(uintptr_t)text);
    return s;
}

static int start(concur_server *s)
{
    /* The tests that fork beside it hold no locks. */
    (void)concur_server_set(s, NULL, "fork_with_threads", "on");
    return concur_server_start(s);
}

static void end(concur_server *s)
{
    ck_assert_int_eq(concur_server_stop(s, 1000), CONCUR_OK);
    ck_assert_int_eq(concur_server_wait(s), CONCUR_OK);
    concur_server_free(s);
}

static void expect_answer(const char *text)
{
    struct sockaddr_un sun = { .sun_family = AF_UNIX };
    struct timeval patience = { .tv_sec = LIVE_PATIENCE_S };
    struct live_peer p = { .fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0) };
    struct live_answer a;
    memcpy(sun.sun_path, path, strlen(path) + 1);
    (void)setsockopt(p.fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    ck_assert_msg(connect(p.fd, (const struct sockaddr *)&sun, sizeof sun) == 0, "%s: %s", path, strerror(errno));
    ck_assert(live_send(&p, "GET / HTTP/1.1\r\nHost: t\r\n\r\n"));
    ck_assert(live_receive(&p, &a, false));
    ck_assert_str_eq(a.body, text);
    live_close(&p);
}

START_TEST(a_file_at_the_path_survives)
{
    char got[16] = "";
    int fd = open(path, O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, 0600);
    ck_assert_int_eq(write(fd, "precious", 8), 8);
    concur_server *s = make(_i + 1, "new");
    ck_assert_int_eq(start(s), CONCUR_E_LISTEN);
    ck_assert_msg(strstr(concur_server_error(s), "not a socket"), "%s", concur_server_error(s));
    concur_server_free(s);
    int again = open(path, O_RDONLY | O_CLOEXEC);
    ck_assert_int_ge(again, 0);
    ck_assert_int_eq(read(again, got, sizeof got), 8);
    ck_assert_str_eq(got, "precious");
    close(again);
    close(fd);
}
END_TEST

/* A successor has taken the path over before the stop: it stays reachable there. */
START_TEST(a_successor_keeps_the_path)
{
    concur_server *old = make(_i + 1, "old");
    ck_assert_int_eq(start(old), CONCUR_OK);
    expect_answer("old");
    ck_assert_int_eq(unlink(path), 0);
    /* A sanitizer of threads takes no process that is forked beside threads and makes some of its own. */
    concur_server *successor = make(LIVE_SANITIZED ? CONCUR_ENGINE_EVENT : (_i + 1) % ENGINES + 1, "new");
    ck_assert_int_eq(start(successor), CONCUR_OK);
    end(old);
    expect_answer("new");
    end(successor);
    ck_assert_int_lt(access(path, F_OK), 0);
}
END_TEST

START_TEST(a_dead_servers_socket_is_replaced)
{
    concur_server *s = make(_i + 1, "new");
    struct sockaddr_un sun = { .sun_family = AF_UNIX };
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    memcpy(sun.sun_path, path, strlen(path) + 1);
    ck_assert_int_eq(bind(fd, (const struct sockaddr *)&sun, sizeof sun), 0);
    close(fd);
    ck_assert_int_eq(start(s), CONCUR_OK);
    expect_answer("new");
    end(s);
    ck_assert_int_lt(access(path, F_OK), 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("api_paths");
    TCase *all = tcase_create("all");
    tcase_add_checked_fixture(all, set_up, tear_down);
    tcase_set_timeout(all, 100);
    tcase_add_loop_test(all, a_file_at_the_path_survives, 0, ENGINES);
    tcase_add_loop_test(all, a_successor_keeps_the_path, 0, ENGINES);
    tcase_add_loop_test(all, a_dead_servers_socket_is_replaced, 0, ENGINES);
    suite_add_tcase(suite, all);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
