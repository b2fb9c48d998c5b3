/* SPDX-License-Identifier: MIT
 *
 * What reaches the program's log function from the processes of a server, on every engine: as it was meant, and no more often
 * than anybody can read.
 */
#include "live.h"

#include <poll.h>
#include <sys/stat.h>

static int engines[8];
static int engine_count;
static char folder[40], path[80];

static void set_up(void)
{
    snprintf(folder, sizeof folder, "/tmp/api_log.XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/server.conf", folder);
}

static void tear_down(void)
{
    unlink(path);
    rmdir(folder);
}

static void write_file(const char *text)
{
    FILE *f = fopen(path, "we");
    ck_assert_ptr_nonnull(f);
    fputs(text, f);
    ck_assert_int_eq(fclose(f), 0);
}

static pthread_mutex_t mu = PTHREAD_MUTEX_INITIALIZER;
static char lines[1 << 16], events[8192];

static void keep(int level, const char *line, void *arg)
{
    (void)level, (void)arg;
    pthread_mutex_lock(&mu);
    size_t n = strlen(lines);
    snprintf(lines + n, sizeof lines - n, "%s\n", line);
    pthread_mutex_unlock(&mu);
}

static int on_event(concur_server *server, int what, const char *detail, void *arg)
{
    size_t n = strlen(events);
    (void)server, (void)what, (void)arg;
    snprintf(events + n, sizeof events - n, "%s\n", detail);
    return CONCUR_OK;
}

static unsigned count(const char *part)
{
    unsigned n = 0;
    pthread_mutex_lock(&mu);
    for (const char *at = lines; (at = strstr(at, part)) != NULL; at++)
        n++;
    pthread_mutex_unlock(&mu);
    return n;
}

/* Calls what other processes have for this one until text has come, in the lines or the events. */
static void wait_for(const struct live *l, const char *text)
{
    for (int waited = 0; !count(text) && !strstr(events, text); waited += 10) {
        struct pollfd p = { .fd = concur_server_fd(l->server), .events = POLLIN };
        ck_assert_msg(waited < LIVE_PATIENCE_S * 1000, "%s: waited in vain for '%s' in:\n%s%s", l->name, text, lines, events);
        (void)poll(&p, 1, 10);
        (void)concur_server_dispatch(l->server);
    }
}

static int nonsense(concur_request *r, void *arg)
{
    (void)r, (void)arg;
    return 1000;
}

static int take(concur_request *r, void *arg)
{
    (void)arg;
    return concur_reply_text(r, 200, concur_request_body_fd(r) < 0 ? "memory" : "file");
}

static struct live make(int engine, const char *config)
{
    struct live l = { .server = concur_server_new(engine, config), .name = concur_engine_name(engine) };
    ck_assert_ptr_nonnull(l.server);
    live_set(&l, "environment", "off");
    live_set(&l, "workers", "1");
    ck_assert_int_eq(concur_server_log(l.server, keep, NULL), CONCUR_OK);
    ck_assert_int_eq(concur_server_hook(l.server, CONCUR_HOOK_EVENT, on_event, NULL), CONCUR_OK);
    live_route(&l, "POST /take", 0, take, NULL);
    lines[0] = events[0] = '\0';
    return l;
}

START_TEST(a_line_is_escaped_once)
{
    for (int master = 0; master < 2; master++) {
        struct live l = make(engines[_i], NULL);
        live_set(&l, "master", master ? "on" : "off");
        ck_assert_int_eq(concur_server_listen(l.server, "127.0.0.1:0"), CONCUR_OK);
        live_route(&l, "GET /caf\xc3\xa9/\"x\"\\", 0, nonsense, NULL);
        live_start(&l);
        ck_assert_int_eq(live_get(&l, "/caf%C3%A9/%22x%22%5C", NULL, 0), 500);
        wait_for(&l, "returned 1000");
        ck_assert_msg(count("route \"GET /caf\\xc3\\xa9/\"x\"\\x5c\" returned 1000, ") == 1, "%s: %s", l.name, lines);
        live_end(&l, 1000);
    }
}
END_TEST

/* ---- where large bodies go ---- */

static int upload(const struct live *l)
{
    char request[4096];
    int n = snprintf(request, sizeof request,
                     "POST /take HTTP/1.1\r\nHost: t\r\nConnection: close\r\nContent-Length: 3000\r\n\r\n%03000d", 0);
    ck_assert_int_lt(n, (int)sizeof request);
    return live_ask(l, request, NULL, 0);
}

static int64_t now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* A client may send as many as it likes. */
START_TEST(a_folder_that_goes_away)
{
    static const char told[] = "cannot keep its body in ";
    char gone[80];
    snprintf(gone, sizeof gone, "%s/bodies", folder);
    ck_assert_int_eq(mkdir(gone, 0700), 0);
    struct live l = make(engines[_i], NULL);
    ck_assert_int_eq(concur_server_listen(l.server, "127.0.0.1:0"), CONCUR_OK);
    live_set(&l, "body_memory", "1k");
    live_set(&l, "body_dir", gone);
    live_start(&l);
    ck_assert_int_eq(upload(&l), 200);
    ck_assert_int_eq(rmdir(gone), 0);
    int64_t began = now_ms();
    for (int i = 0; i < 300; i++)
        ck_assert_int_eq(upload(&l), 503);
    wait_for(&l, told);
    unsigned n = count(told), most = 10 * ((unsigned)((now_ms() - began) / 1000) + 2);
    ck_assert_msg(n <= most, "%s: %u lines, at most %u were expected:\n%s", l.name, n, most, lines);
    for (int64_t until = now_ms() + LIVE_PATIENCE_S * 1000; !count("left out before it: ") && now_ms() < until;) {
        ck_assert_int_eq(upload(&l), 503);
        (void)concur_server_dispatch(l.server);
    }
    ck_assert_msg(count("left out before it: ") > 0, "%s: %s", l.name, lines);
    live_end(&l, 1000);
}
END_TEST

START_TEST(a_folder_that_is_none)
{
    static const char *const bad[] = { "/nonexistent/bodies", "/dev/null", "" };
    char line[256];
    for (int i = 0; i < 3; i++) {
        const char *dir = *bad[i] ? bad[i] : path;
        struct live l = make(engines[_i], NULL);
        write_file("");
        ck_assert_int_eq(concur_server_listen(l.server, "127.0.0.1:0"), CONCUR_OK);
        live_set(&l, "body_dir", dir);
        ck_assert_int_eq(concur_server_check(l.server), CONCUR_E_OPTION);
        ck_assert_int_eq(concur_server_start(l.server), CONCUR_E_OPTION);
        snprintf(line, sizeof line, "body_dir=%s: cannot create files there: %s\n", dir,
                 i ? "Not a directory" : "No such file or directory");
        ck_assert_str_eq(concur_server_error(l.server), line);
        concur_server_free(l.server);
    }
}
END_TEST

START_TEST(a_reload_to_a_folder_that_is_none)
{
    write_file("listen = \"127.0.0.1:0\"\nbody_memory = 1k\n");
    struct live l = make(engines[_i], path);
    live_set(&l, "master", "on");
    live_start(&l);
    ck_assert_int_eq(upload(&l), 200);
    write_file("listen = \"127.0.0.1:0\"\nbody_memory = 1k\nbody_dir = /nonexistent/bodies\n");
    ck_assert_int_eq(concur_server_reload(l.server), CONCUR_OK);
    wait_for(&l, "reload refused: body_dir=/nonexistent/bodies: cannot create files there: No such file");
    ck_assert_int_eq(upload(&l), 200);
    live_end(&l, 1000);
}
END_TEST

int main(void)
{
    for (int e = 1; concur_engine_name(e); e++) {
        concur_server *s = concur_server_new(e, NULL);
        (void)concur_server_listen(s, "127.0.0.1:0");
        if (concur_server_check(s) == CONCUR_OK)
            engines[engine_count++] = e;
        concur_server_free(s);
    }
    if (engine_count == 0)
        return EXIT_FAILURE;
    Suite *suite = suite_create("api_log");
    TCase *all = tcase_create("all");
    tcase_set_timeout(all, 100);
    tcase_add_checked_fixture(all, set_up, tear_down);
    tcase_add_loop_test(all, a_line_is_escaped_once, 0, engine_count);
    tcase_add_loop_test(all, a_folder_that_goes_away, 0, engine_count);
    tcase_add_loop_test(all, a_folder_that_is_none, 0, engine_count);
    tcase_add_loop_test(all, a_reload_to_a_folder_that_is_none, 0, engine_count);
    suite_add_tcase(suite, all);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
