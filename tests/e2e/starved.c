/* SPDX-License-Identifier: MIT */
#include "e2e/starved.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "e2e/client.h"

enum { PIDS_MAX = 64 };

/* ---- life ---- */

static void limit_self(int what, rlim_t n)
{
    struct rlimit l;
    getrlimit((enum __rlimit_resource)what, &l);
    l.rlim_cur = n;
    setrlimit((enum __rlimit_resource)what, &l);
}

static _Noreturn void become_demo(const struct run_before *before, const int out[2], const char *const *args, pid_t parent)
{
    dup2(out[1], 1);
    dup2(before->err >= 0 ? before->err : out[1], 2);
    close(out[0]); /* the others close by themselves */
    signal(SIGPIPE, SIG_DFL);
    signal(SIGXFSZ, SIG_DFL);
    const int program = open(demo_program(), O_RDONLY | O_CLOEXEC); /* another user may not find it */
    if (before->uid >= 0 && (setgroups(0, NULL) < 0 || setgid((gid_t)before->uid) < 0 || setuid((uid_t)before->uid) < 0))
        _exit(126);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
        _exit(126);
    if (before->what >= 0)
        limit_self(before->what, before->limit);
    execv(demo_program(), (char *const *)(uintptr_t)args);
    char *const none[] = { NULL };
    fexecve(program, (char *const *)(uintptr_t)args, none);
    _exit(127);
}

void run_spawn(struct run *r, const char *engine, const struct run_before *before, ...)
{
    const char *args[RUN_ARGS_MAX] = { demo_program(), "--engine", engine, "--listen", "127.0.0.1:0", "--workers", "2",
                                       "--threads", "4" };
    const pid_t parent = getpid();
    size_t n = 9;
    int fds[2];
    va_list list;
    va_start(list, before);
    for (const char *arg; (arg = va_arg(list, const char *)) != NULL; args[n++] = arg)
        ck_assert_uint_lt(n, RUN_ARGS_MAX - 1);
    va_end(list);
    r->n = 0;
    r->text[0] = '\0';
    ck_assert_int_eq(pipe2(fds, O_CLOEXEC), 0);
    fflush(NULL);
    r->demo = (struct demo){ .engine = engine, .pid = fork() };
    ck_assert_int_ge(r->demo.pid, 0);
    if (r->demo.pid == 0)
        become_demo(before, fds, args, parent);
    close(fds[1]);
    r->out = r->demo.out = fds[0];
}

/* False: it has ended, or nothing more came for ms. */
static bool read_more(struct run *r, int ms)
{
    struct pollfd p = { .fd = r->out, .events = POLLIN };
    if (poll(&p, 1, ms) != 1)
        return false;
    if (r->n > RUN_TEXT_MAX / 2) { /* the first half tells how it began, the second one goes on */
        memmove(r->text + RUN_TEXT_MAX / 4, r->text + RUN_TEXT_MAX / 2, r->n - RUN_TEXT_MAX / 2);
        r->n -= RUN_TEXT_MAX / 4;
    }
    ssize_t got = read(r->out, r->text + r->n, RUN_TEXT_MAX - 1 - r->n);
    if (got <= 0)
        return false;
    r->n += (size_t)got;
    r->text[r->n] = '\0';
    return true;
}

unsigned run_await_port(struct run *r)
{
    const char *at = NULL;
    while (!(at = strstr(r->text, "listening on 127.0.0.1:")) || !strchr(at, '\n'))
        if (!read_more(r, (int)slow(WAIT_MS)))
            return 0;
    return r->demo.port = (unsigned)strtoul(at + strlen("listening on 127.0.0.1:"), NULL, 10);
}

bool run_said(struct run *r, const char *text, unsigned ms)
{
    const int64_t until = now_ms() + slow(ms);
    while (!strstr(r->text, text)) {
        const int64_t left = until - now_ms();
        if (left <= 0 || !read_more(r, (int)left))
            return false;
    }
    return true;
}

int run_end(struct run *r)
{
    int status;
    while (read_more(r, (int)slow(WAIT_MS)))
        continue;
    close(r->out);
    for (const int64_t until = now_ms() + slow(WAIT_MS); waitpid(r->demo.pid, &status, WNOHANG) == 0; nap_ms(2))
        ck_assert_msg(now_ms() < until, "%s: does not end: %s", r->demo.engine, r->text);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

void run_check_ends(const struct run *r, bool some_killed)
{
    static const char *const fine[] = { " ended: sick", " ended: exit status" }; /* the second: it could not start */
    for (const char *at = r->text; (at = strstr(at, " ended: ")) != NULL; at++) {
        const bool is_fine = strncmp(at, fine[0], strlen(fine[0])) == 0 || strncmp(at, fine[1], strlen(fine[1])) == 0 ||
                             (some_killed && strncmp(at, " ended: signal 9", 16) == 0);
        ck_assert_msg(is_fine, "%s: %s", r->demo.engine, r->text);
    }
}

void run_stop(struct run *r)
{
    ck_assert_int_eq(kill(r->demo.pid, SIGTERM), 0);
    const int status = run_end(r);
    ck_assert_msg(status == 0, "%s: exit status %d: %s", r->demo.engine, status, r->text);
}

/* ---- limits ---- */

/* 0, or errno. */
static int limit_other(pid_t pid, int what, rlim_t n)
{
    struct rlimit l;
    if (prlimit(pid, (enum __rlimit_resource)what, NULL, &l) < 0)
        return errno;
    l.rlim_cur = n < l.rlim_max ? n : l.rlim_max;
    return prlimit(pid, (enum __rlimit_resource)what, &l, NULL) == 0 ? 0 : errno;
}

/* Root may not everywhere, but each user may. */
static int limit_as_its_user(pid_t pid, int what, rlim_t n)
{
    char path[64];
    struct stat st;
    int status;
    snprintf(path, sizeof path, "/proc/%ld", (long)pid);
    if (stat(path, &st) < 0)
        return ESRCH;
    const pid_t child = fork();
    if (child == 0)
        _exit(setgid(st.st_gid) == 0 && setuid(st.st_uid) == 0 ? limit_other(pid, what, n) : EPERM);
    return child > 0 && waitpid(child, &status, 0) == child && WIFEXITED(status) ? WEXITSTATUS(status) : ECHILD;
}

/* One that has ended needs none. */
void process_limit(pid_t pid, int what, rlim_t n)
{
    int err = limit_other(pid, what, n);
    if (err == EPERM)
        err = limit_as_its_user(pid, what, n);
    ck_assert_msg(err == 0 || err == ESRCH, "%s", strerror(err));
}

/* Parents first; twice, since a child may just have been forked. */
void demo_limit(const struct demo *d, int what, rlim_t n)
{
    pid_t pids[PIDS_MAX];
    for (int round = 0; round < 2; round++) {
        const int count = demo_pids(d, pids, PIDS_MAX);
        for (int i = 0; i < count; i++)
            process_limit(pids[i], what, n);
    }
}

void demo_lift(const struct demo *d, int what)
{
    demo_limit(d, what, RLIM_INFINITY);
}

void demo_expect_calm(const struct demo *d, unsigned ms, const char *what)
{
    nap_ms(200); /* what happens at once has happened; then nothing should */
    const long before = demo_cpu_ms(d);
    nap_ms(ms);
    const long spent = demo_cpu_ms(d) - before;
    ck_assert_msg(is_sanitized() || spent <= (long)ms / 20, "%s: %s: %ld ms of processor time in %u ms", d->engine, what,
                  spent, ms);
}

/* ---- the environment ---- */

unsigned number_from(const char *name, unsigned usual)
{
    const char *text = getenv(name);
    return text && *text ? (unsigned)strtoul(text, NULL, 10) : usual;
}

bool is_every(void)
{
    return number_from("CONCUR_TEST_EVERY", 0) == 1;
}
