/* SPDX-License-Identifier: MIT
 *
 * A limit of descriptors that the program was started with: the server serves, or it ends and says how high the limit must be. While
 * it is too low for the clients that come nobody spins and nothing ends; when it is lifted all are answered.
 *
 * CONCUR_TEST_EVERY=1: each limit from 12 to 80.
 */
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "e2e/client.h"
#include "e2e/harness.h"

enum { TEXT_MAX = 16384, LIMITS_MAX = 80, CLIENTS = 80, CALM_MS = 1000 };

struct run {
    struct demo demo;
    int out;          /* what it prints */
    char text[TEXT_MAX];
    size_t n;
};

static void spawn(struct run *r, const char *engine, unsigned limit)
{
    int fds[2];
    r->n = 0;
    r->text[0] = '\0';
    ck_assert_int_eq(pipe2(fds, O_CLOEXEC), 0);
    r->demo = (struct demo){ .engine = engine, .pid = fork() };
    ck_assert_int_ge(r->demo.pid, 0);
    if (r->demo.pid == 0) {
        struct rlimit l;
        dup2(fds[1], 1);
        dup2(fds[1], 2);
        close(fds[0]); /* the others close by themselves */
        getrlimit(RLIMIT_NOFILE, &l);
        l.rlim_cur = limit;
        setrlimit(RLIMIT_NOFILE, &l);
        execl(demo_program(), demo_program(), "--engine", engine, "--listen", "127.0.0.1:0", "--workers", "2", "--threads", "4",
              "--set", "master=on", "--set", "start_timeout=4s", (char *)NULL);
        _exit(127);
    }
    close(fds[1]);
    r->out = fds[0];
}

/* False: it has ended, or nothing more came for ms. */
static bool read_more(struct run *r, unsigned ms)
{
    struct pollfd p = { .fd = r->out, .events = POLLIN };
    if (r->n == TEXT_MAX - 1 || poll(&p, 1, (int)ms) != 1)
        return false;
    ssize_t got = read(r->out, r->text + r->n, TEXT_MAX - 1 - r->n);
    if (got <= 0)
        return false;
    r->n += (size_t)got;
    r->text[r->n] = '\0';
    return true;
}

/* The port; 0: it has ended. */
static unsigned await_port(struct run *r)
{
    const char *at = NULL;
    while (!(at = strstr(r->text, "listening on 127.0.0.1:")) || !strchr(at, '\n'))
        if (!read_more(r, slow(WAIT_MS)))
            return 0;
    return r->demo.port = (unsigned)strtoul(at + strlen("listening on 127.0.0.1:"), NULL, 10);
}

static int end_of(struct run *r)
{
    int status;
    while (read_more(r, slow(WAIT_MS)))
        continue;
    close(r->out);
    ck_assert_int_eq(waitpid(r->demo.pid, &status, 0), r->demo.pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static unsigned needed(const struct run *r)
{
    const char *at = strstr(r->text, "(RLIMIT_NOFILE) is ");
    unsigned is, need;
    ck_assert_msg(at && sscanf(at, "(RLIMIT_NOFILE) is %u, and %u are needed", &is, &need) == 2, "%s: %s", r->demo.engine,
                  r->text);
    ck_assert_msg(need > is, "%s: %s", r->demo.engine, r->text);
    return need;
}

/* With the limit that is named it serves, at most a few names later. */
static unsigned start_with(struct run *r, const char *engine, unsigned limit)
{
    for (int tries = 0;; tries++) {
        spawn(r, engine, limit);
        if (await_port(r))
            return limit;
        ck_assert_int_eq(end_of(r), 1);
        ck_assert_msg(tries < 3, "%s: with %u not yet: %s", engine, limit, r->text);
        limit = needed(r);
        ck_assert_uint_le(limit, LIMITS_MAX);
    }
}

static void lift_limits(const struct demo *d)
{
    pid_t pids[64];
    for (int i = demo_pids(d, pids, 64) - 1; i >= 0; i--)
        process_limit_files(pids[i], 1000);
}

/* Which of them were answered; one after the other may be closed, and may wait. */
static void crowd(const struct demo *d)
{
    static struct client c[CLIENTS];
    for (int i = 0; i < CLIENTS; i++) {
        client_open(&c[i], d->port);
        (void)client_text(&c[i], "GET / HTTP/1.1\r\nHost: e2e\r\n\r\n");
    }
    nap_ms(200); /* what happens at once has happened; then nothing should */
    const long before = demo_cpu_ms(d);
    nap_ms(CALM_MS);
    const long spent = demo_cpu_ms(d) - before;
    ck_assert_msg(is_sanitized() || spent <= CALM_MS / 20, "%s: %ld ms of processor time in %d ms", d->engine, spent, CALM_MS);
    for (int i = 0; i < CLIENTS; i++)
        client_close(&c[i]);
}

static void one_limit(const char *engine, unsigned limit)
{
    static struct run r;
    const unsigned served = start_with(&r, engine, limit);
    crowd(&r.demo);
    lift_limits(&r.demo);
    for (int i = 0; i < 20; i++)
        expect_alive(r.demo.port, WAIT_MS);
    ck_assert_int_eq(kill(r.demo.pid, SIGTERM), 0);
    const int status = end_of(&r);
    printf("%s: %u: serves with %u\n", engine, limit, served);
    ck_assert_msg(status == 0, "%s: %u: exit status %d: %s", engine, served, status, r.text);
    for (const char *at = r.text; (at = strstr(at, " ended: ")) != NULL; at++)
        ck_assert_msg(strncmp(at, " ended: sick", 12) == 0, "%s: %u: %s", engine, served, r.text);
}

START_TEST(any_limit)
{
    static const unsigned some[] = { 12, 16, 24, 40, 64 };
    const char *engine = engine_name(_i), *every = getenv("CONCUR_TEST_EVERY");
    if (is_sanitized())
        one_limit(engine, 24);
    else if (every && strcmp(every, "1") == 0)
        for (unsigned n = 12; n <= LIMITS_MAX; n++)
            one_limit(engine, n);
    else
        for (size_t i = 0; i < COUNT(some); i++)
            one_limit(engine, some[i]);
}
END_TEST

static void add(Suite *s)
{
    TCase *t = e2e_case(s, "files", 300);
    tcase_add_loop_test(t, any_limit, 0, engine_count());
}

int main(int argc, char **argv)
{
    return e2e_main_apart("files", add, argc, argv);
}
