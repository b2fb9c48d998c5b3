/* SPDX-License-Identifier: MIT
 *
 * What a server tells of its set-up, on every engine: each mistake once, by run on stderr and by concur_server_error(), and
 * what has no effect wherever somebody will see it.
 */
#include "live.h"

#include <poll.h>
#include <signal.h>
#include <sys/wait.h>

static int engines[8];
static int engine_count;
static char path[32];

static void set_up(void)
{
    snprintf(path, sizeof path, "/tmp/api_messages.XXXXXX");
    int fd = mkstemp(path);
    ck_assert_int_ge(fd, 0);
    close(fd);
}

static void tear_down(void)
{
    unlink(path);
}

static void write_file(const char *text)
{
    FILE *f = fopen(path, "we");
    ck_assert_ptr_nonnull(f);
    fputs(text, f);
    ck_assert_int_eq(fclose(f), 0);
}

static int hello(concur_request *r, void *arg)
{
    (void)arg;
    return concur_reply_text(r, 200, "hello");
}

static int refuse(concur_server *server, int what, const char *detail, void *arg)
{
    (void)server, (void)what, (void)detail, (void)arg;
    return CONCUR_E_UPSTREAM;
}

static int print_event(concur_server *server, int what, const char *detail, void *arg)
{
    (void)server, (void)what, (void)arg;
    dprintf(2, "event: %s\n", detail);
    return CONCUR_OK;
}

static unsigned count(const char *text, const char *part)
{
    unsigned n = 0;
    for (const char *at = text; (at = strstr(at, part)) != NULL; at++)
        n++;
    return n;
}

static void expect_count(const char *engine, const char *text, const char *part, unsigned n)
{
    ck_assert_msg(count(text, part) == n, "%s: not %u times '%s' in:\n%s", engine, n, part, text);
}

static concur_server *make(int engine)
{
    concur_server *s = concur_server_new(engine, path);
    ck_assert_ptr_nonnull(s);
    concur_server_route(s, "GET /", 0, hello, NULL);
    concur_server_set(s, NULL, "workers", "3");
    return s;
}

/* LeakSanitizer tells there of a thread that ended while it searched: no word of ours. */
static void drop_sanitizer_lines(char *text)
{
    char *to = text;
    for (char *line = text, *next; *line; line = next) {
        next = strchr(line, '\n') ? strchr(line, '\n') + 1 : line + strlen(line);
        const char *found = strncmp(line, "==", 2) == 0 ? strstr(line, "Unable to get registers") : NULL;
        if (found && found < next)
            continue;
        memmove(to, line, (size_t)(next - line));
        to += next - line;
    }
    *to = '\0';
}

/* Runs s in a process of its own until it has ended; with a text, until that stands on stderr, and then stops it. */
static void run(concur_server *s, const char *until, char *out, size_t size)
{
    int pipes[2];
    size_t n = 0;
    ck_assert_int_eq(pipe(pipes), 0);
    pid_t pid = fork();
    ck_assert_int_ge(pid, 0);
    if (pid == 0) {
        signal(SIGTERM, SIG_DFL); /* not as Check has it, which ends all of its processes */
        dup2(pipes[1], 2);
        close(pipes[0]);
        close(pipes[1]);
        int rc = concur_server_run(s);
        _exit(rc < 0 ? 1 : 0);
    }
    close(pipes[1]);
    for (ssize_t got; n < size - 1 && (got = read(pipes[0], out + n, size - 1 - n)) > 0;) {
        n += (size_t)got;
        out[n] = '\0';
        if (until && strstr(out, until)) {
            kill(pid, SIGTERM);
            until = NULL;
        }
    }
    out[n] = '\0';
    if (LIVE_SANITIZED)
        drop_sanitizer_lines(out);
    int status;
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    close(pipes[0]);
}

START_TEST(a_mistake_is_told_once)
{
    char out[8192];
    write_file("backlog = 0\nthread_max = 3\n");
    setenv("CONCUR_FIELDS_MAX", "x", 1);
    concur_server *s = make(engines[_i]);
    concur_server_listen(s, "127.0.0.1:0");
    concur_server_set(s, NULL, "line_max", "0");
    concur_server_route(s, "GET bad", 0, hello, NULL);
    ck_assert_int_eq(concur_server_check(s), CONCUR_E_OPTION);
    (void)concur_server_engine(s);
    run(s, NULL, out, sizeof out);
    static const char *const parts[] = { "backlog=0 (", "thread_max (", "fields_max=x (CONCUR_FIELDS_MAX)",
                                         "line_max=0 (code)", "route \"GET bad\"" };
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        expect_count(concur_engine_name(engines[_i]), out, parts[i], 1);
    ck_assert_int_eq(concur_server_start(s), CONCUR_E_OPTION);
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        expect_count(concur_engine_name(engines[_i]), concur_server_error(s), parts[i], 1);
    concur_server_free(s);
    unsetenv("CONCUR_FIELDS_MAX");
}
END_TEST

/* Once, and no longer than it is true. */
START_TEST(an_address_that_is_taken)
{
    char out[8192], address[64];
    struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t len = sizeof at;
    int taken = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ck_assert_int_eq(bind(taken, (struct sockaddr *)&at, len), 0);
    ck_assert_int_eq(listen(taken, 1), 0);
    ck_assert_int_eq(getsockname(taken, (struct sockaddr *)&at, &len), 0);
    snprintf(address, sizeof address, "127.0.0.1:%u", ntohs(at.sin_port));
    concur_server *s = make(engines[_i]);
    concur_server_listen(s, address);
    run(s, NULL, out, sizeof out);
    expect_count(concur_engine_name(engines[_i]), out, address, 1);
    ck_assert_int_eq(concur_server_start(s), CONCUR_E_LISTEN);
    ck_assert_int_eq(concur_server_start(s), CONCUR_E_LISTEN);
    expect_count(concur_engine_name(engines[_i]), concur_server_error(s), address, 1);
    close(taken);
    int rc = concur_server_start(s);
    ck_assert_msg(rc == CONCUR_OK, "%s", concur_server_error(s));
    ck_assert_int_eq(concur_server_stop(s, 0), CONCUR_OK);
    ck_assert_int_eq(concur_server_wait(s), CONCUR_OK);
    concur_server_free(s);
}
END_TEST

/* Every worker has the same reason. */
START_TEST(a_hook_that_refuses)
{
    char out[8192];
    concur_server *s = make(engines[_i]);
    concur_server_listen(s, "127.0.0.1:0");
    concur_server_hook(s, CONCUR_HOOK_WORKER_START, refuse, NULL);
    run(s, NULL, out, sizeof out);
    expect_count(concur_engine_name(engines[_i]), out, "a hook of the program returned an error", 1);
    expect_count(concur_engine_name(engines[_i]), out, "\n", 1);
    concur_server_free(s);
}
END_TEST

/* An option that this engine does not heed. */
static const char *ignored(int engine)
{
    return engine == CONCUR_ENGINE_PROCESS_THREAD ? "spare_min" : "lend";
}

static const char *value(int engine)
{
    return engine == CONCUR_ENGINE_PROCESS_THREAD ? "3" : "connection";
}

START_TEST(run_shows_what_has_no_effect)
{
    char out[8192], line[128];
    setenv("CONCUR_TREADS_MAX", "3", 1);
    setenv("CONCUR_BACKLOG", "100", 1);
    concur_server *s = make(engines[_i]);
    concur_server_listen(s, "127.0.0.1:0");
    concur_server_override(s, NULL, ignored(engines[_i]), value(engines[_i]));
    concur_server_set(s, "route GET /x", "blocking", "on");
    concur_server_hook(s, CONCUR_HOOK_EVENT, print_event, NULL);
    run(s, "event: ready\n", out, sizeof out);
    snprintf(line, sizeof line, "concur: warning: %s=%s (override): has no effect on the engine %s\n",
             ignored(engines[_i]), value(engines[_i]), concur_engine_name(engines[_i]));
    expect_count(concur_engine_name(engines[_i]), out, line, 1);
    expect_count(concur_engine_name(engines[_i]), out, "CONCUR_TREADS_MAX: no such option", 1);
    expect_count(concur_engine_name(engines[_i]), out, "GET /x", 1);
    expect_count(concur_engine_name(engines[_i]), out, "BACKLOG", 0); /* a note, and no warning */
    expect_count(concur_engine_name(engines[_i]), out, "workers=3", 0);
    unsetenv("CONCUR_TREADS_MAX");
    unsetenv("CONCUR_BACKLOG");
    concur_server_free(s);
}
END_TEST

/* ---- start, and a reload ---- */

static char lines[2][8192];

static void keep(int level, const char *line, void *arg)
{
    char *out = lines[level > CONCUR_LOG_WARN];
    size_t n = strlen(out);
    (void)arg;
    snprintf(out + n, sizeof lines[0] - n, "%s\n", line);
}

static char events[8192];

static int on_event(concur_server *server, int what, const char *detail, void *arg)
{
    size_t n = strlen(events);
    (void)server, (void)what, (void)arg;
    snprintf(events + n, sizeof events - n, "%s\n", detail);
    return CONCUR_OK;
}

static void wait_for_event(concur_server *s, const char *text)
{
    for (int waited = 0; !strstr(events, text); waited += 10) {
        struct pollfd p = { .fd = concur_server_fd(s), .events = POLLIN };
        ck_assert_msg(waited < LIVE_PATIENCE_S * 1000, "no '%s' in: %s", text, events);
        (void)poll(&p, 1, 10);
        (void)concur_server_dispatch(s);
    }
}

START_TEST(start_and_reload_tell_the_log)
{
    char text[128], line[128];
    const char *name = concur_engine_name(engines[_i]);
    write_file("listen = \"127.0.0.1:0\"\n");
    setenv("CONCUR_BACKLOG", "100", 1);
    concur_server *s = make(engines[_i]);
    concur_server_override(s, NULL, "master", "on");
    concur_server_override(s, NULL, ignored(engines[_i]), value(engines[_i]));
    concur_server_log(s, keep, NULL);
    concur_server_hook(s, CONCUR_HOOK_EVENT, on_event, NULL);
    ck_assert_msg(concur_server_start(s) == CONCUR_OK, "%s", concur_server_error(s));
    snprintf(line, sizeof line, "%s=%s (override): has no effect on the engine %s\n", ignored(engines[_i]),
             value(engines[_i]), name);
    expect_count(name, lines[0], line, 1);
    expect_count(name, lines[1], "backlog=100: set by CONCUR_BACKLOG in the environment\n", 1);
    snprintf(text, sizeof text, "listen = \"127.0.0.1:0\"\nroute \"GET /none\" { blocking = on }\n");
    write_file(text);
    ck_assert_int_eq(concur_server_reload(s), CONCUR_OK);
    wait_for_event(s, "generation 2 serves\n");
    snprintf(text, sizeof text, "route \"GET /none\" (%s:2): the program has no such route\n", path);
    expect_count(name, lines[0], text, 1);
    write_file("listen = \"127.0.0.1:0\"\nengine: thread\nfields_max = 0\n\nqueue_max = many\n");
    ck_assert_int_eq(concur_server_reload(s), CONCUR_OK);
    snprintf(text, sizeof text, "reload refused: engine (%s:2): use = after the name", path);
    wait_for_event(s, text);
    (void)concur_server_dispatch(s);
    for (int k = 0; k < 3; k++) {
        snprintf(text, sizeof text, "(%s:%d): ", path, k == 2 ? 5 : 2 + k);
        expect_count(name, lines[0], text, k == 0 ? 2 : 1); /* and the warning of before */
    }
    ck_assert_int_eq(concur_server_stop(s, 0), CONCUR_OK);
    ck_assert_int_eq(concur_server_wait(s), CONCUR_OK);
    concur_server_free(s);
    unsetenv("CONCUR_BACKLOG");
}
END_TEST

int main(void)
{
    unsetenv("CONCUR_SERVER");
    for (int e = 1; concur_engine_name(e); e++) {
        concur_server *s = concur_server_new(e, NULL);
        (void)concur_server_listen(s, "127.0.0.1:0");
        if (concur_server_check(s) == CONCUR_OK)
            engines[engine_count++] = e;
        concur_server_free(s);
    }
    if (engine_count == 0)
        return EXIT_FAILURE;
    Suite *suite = suite_create("api_messages");
    TCase *all = tcase_create("all");
    tcase_set_timeout(all, 100);
    tcase_add_checked_fixture(all, set_up, tear_down);
    tcase_add_loop_test(all, a_mistake_is_told_once, 0, engine_count);
    tcase_add_loop_test(all, an_address_that_is_taken, 0, engine_count);
    tcase_add_loop_test(all, a_hook_that_refuses, 0, engine_count);
    tcase_add_loop_test(all, run_shows_what_has_no_effect, 0, engine_count);
    tcase_add_loop_test(all, start_and_reload_tell_the_log, 0, engine_count);
    suite_add_tcase(suite, all);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
