/* SPDX-License-Identifier: MIT */
#include "e2e/harness.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED 1
#endif
#endif
#ifndef SANITIZED
#define SANITIZED 0
#endif
#ifndef CONCUR_DEMO
#define CONCUR_DEMO "concur-demo"
#endif

enum { ARGS_MAX = 64, START_MS = 10000 };

/* Those that were started and not waited for, for demo_end(). */
static struct {
    pid_t pid;
    const char *engine;
} running[16];

/* Time. */

bool is_sanitized(void)
{
    return SANITIZED;
}

bool is_quick(void)
{
    return SANITIZED || getenv("CONCUR_TEST_QUICK") != NULL;
}

bool takes_all_offsets(void)
{
    return !is_quick() || getenv("CONCUR_TEST_OFFSETS") != NULL;
}

static unsigned slowness(void)
{
    const char *text = getenv("CONCUR_TEST_SLOW");
    long factor = text ? strtol(text, NULL, 10) : 0;
    if (factor >= 1 && factor <= 100)
        return (unsigned)factor;
    return SANITIZED ? 5 : 1;
}

unsigned slow(unsigned ms)
{
    return ms * slowness();
}

int64_t now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

void nap_ms(unsigned ms)
{
    const struct timespec t = { (time_t)(ms / 1000), (long)(ms % 1000) * 1000000 };
    nanosleep(&t, NULL);
}

/* xorshift64*: the same numbers everywhere. */
uint64_t random_next(uint64_t *state)
{
    uint64_t x = *state ? *state : 1;
    x ^= x >> 12;
    x ^= x << 25;
    x ^= x >> 27;
    *state = x;
    return x * UINT64_C(0x2545F4914F6CDD1D);
}

/* The demo's life. */

const char *demo_program(void)
{
    const char *path = getenv("CONCUR_DEMO");
    return path ? path : CONCUR_DEMO;
}

static void run_child(const char *const *args, const int pipe_fds[2], pid_t parent)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent || dup2(pipe_fds[1], STDOUT_FILENO) < 0)
        _exit(126);
    /* SIGPIPE is ignored here, and that would be inherited: the demo has to cope with the default. */
    signal(SIGPIPE, SIG_DFL);
    setpgid(0, 0);
    execv(demo_program(), (char *const *)(uintptr_t)args);
    _exit(127);
}

/* One line of the child's output, without its LF. */
static void read_line(struct demo *d, char *line, size_t size)
{
    const int64_t deadline = now_ms() + slow(START_MS);
    size_t n = 0;
    while (n < size - 1) {
        struct pollfd p = { .fd = d->out, .events = POLLIN };
        int64_t left = deadline - now_ms();
        ck_assert_msg(left > 0 && poll(&p, 1, (int)left) == 1, "%s: does not say that it listens", d->engine);
        ssize_t got = read(d->out, line + n, 1);
        ck_assert_msg(got == 1, "%s: ended with %d before it listened", d->engine, demo_wait(d, 1000));
        if (line[n] == '\n')
            break;
        n++;
    }
    line[n] = 0;
}

static void parse_line(struct demo *d, const char *line)
{
    char name[32] = "";
    long pid = 0;
    ck_assert_msg(sscanf(line, "listening on 127.0.0.1:%u engine=%31s pid=%ld", &d->port, name, &pid) == 3, "%s", line);
    ck_assert_str_eq(name, d->engine);
    ck_assert_int_eq(pid, d->pid);
    ck_assert_uint_gt(d->port, 0);
}

static void remember(pid_t pid, const char *engine)
{
    for (size_t i = 0; i < COUNT(running); i++) {
        if (running[i].pid > 0)
            continue;
        running[i].pid = pid;
        running[i].engine = engine;
        return;
    }
}

static void forget(pid_t pid)
{
    for (size_t i = 0; i < COUNT(running); i++)
        if (running[i].pid == pid)
            running[i].pid = 0;
}

/* Returns when it says that it listens. args[0 .. n) stand; those of the list come behind. */
static void launch(struct demo *d, const char *engine, const char **args, size_t n, va_list list)
{
    for (const char *arg; (arg = va_arg(list, const char *)) != NULL; args[n++] = arg)
        ck_assert_uint_lt(n, ARGS_MAX - 1);
    int fds[2];
    ck_assert_int_eq(pipe2(fds, O_CLOEXEC), 0);
    fflush(NULL);
    pid_t parent = getpid();
    *d = (struct demo){ .engine = engine, .pid = fork(), .out = fds[0] };
    ck_assert_int_ge(d->pid, 0);
    if (d->pid == 0)
        run_child(args, fds, parent);
    remember(d->pid, engine);
    close(fds[1]);
    char line[256];
    read_line(d, line, sizeof line);
    parse_line(d, line);
}

void demo_start(struct demo *d, const char *engine, ...)
{
    char workers[16];
    const char *args[ARGS_MAX] = { demo_program(), "--engine", engine, "--listen", "127.0.0.1:0", "--workers", workers };
    snprintf(workers, sizeof workers, "%d", workers_usually(engine));
    va_list list;
    va_start(list, engine);
    launch(d, engine, args, 7, list);
    va_end(list);
}

void demo_start_from(struct demo *d, const char *engine, const char *config, ...)
{
    const char *args[ARGS_MAX] = { demo_program(), "--config", config, "--listen", "127.0.0.1:0" };
    va_list list;
    va_start(list, config);
    launch(d, engine, args, 5, list);
    va_end(list);
}

void demo_start_file(struct demo *d, const char *engine, const char *config, ...)
{
    const char *args[ARGS_MAX] = { demo_program(), "--config", config };
    va_list list;
    va_start(list, config);
    launch(d, engine, args, 3, list);
    va_end(list);
}

void demo_await_event(struct demo *d, const char *text, unsigned ms)
{
    const int64_t deadline = now_ms() + slow(ms);
    char line[1024] = "";
    for (size_t n = 0;;) {
        struct pollfd p = { .fd = d->out, .events = POLLIN };
        const int64_t left = deadline - now_ms();
        ck_assert_msg(left > 0 && poll(&p, 1, (int)left) == 1, "%s: no event with: %s%s", d->engine, text, demo_end());
        ck_assert_int_eq(read(d->out, line + n, 1), 1);
        if (line[n] != '\n' && n < sizeof line - 2) {
            n++;
            continue;
        }
        line[n] = 0;
        n = 0;
        if (strncmp(line, "event ", 6) == 0 && strstr(line, text))
            return;
    }
}

void demo_signal(const struct demo *d, int number)
{
    ck_assert_int_gt(d->pid, 0);
    ck_assert_int_eq(kill(d->pid, number), 0);
}

bool demo_is_alive(const struct demo *d)
{
    siginfo_t info = { 0 };
    return d->pid > 0 && waitid(P_PID, (id_t)d->pid, &info, WEXITED | WNOHANG | WNOWAIT) == 0 && info.si_pid == 0;
}

const char *demo_end(void)
{
    static char text[64];
    nap_ms(100); /* one that is about to die still writes its core */
    for (size_t i = 0; i < COUNT(running); i++) {
        siginfo_t info = { 0 };
        if (running[i].pid <= 0 || waitid(P_PID, (id_t)running[i].pid, &info, WEXITED | WNOHANG | WNOWAIT) < 0 ||
            info.si_pid == 0)
            continue;
        snprintf(text, sizeof text, " (%s has ended: %s %d)", running[i].engine,
                 info.si_code == CLD_EXITED ? "status" : "signal", info.si_status);
        return text;
    }
    return "";
}

int demo_wait(struct demo *d, unsigned ms)
{
    const int64_t deadline = now_ms() + slow(ms);
    int status = 0;
    pid_t got;
    while ((got = waitpid(d->pid, &status, WNOHANG)) == 0 && now_ms() < deadline)
        nap_ms(2);
    if (got == 0) {
        kill(d->pid, SIGKILL);
        waitpid(d->pid, &status, 0);
    }
    forget(d->pid);
    d->pid = 0;
    close(d->out);
    ck_assert_msg(got > 0, "%s: has not ended within %u ms", d->engine, slow(ms));
    return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

void demo_stop(struct demo *d, unsigned ms)
{
    if (!demo_is_alive(d))
        ck_abort_msg("%s: ended by itself with %d", d->engine, demo_wait(d, 1000));
    demo_signal(d, SIGTERM);
    int status = demo_wait(d, ms);
    ck_assert_msg(status == 0, "%s: exit status %d", d->engine, status);
}

void demo_kill_process(pid_t pid, unsigned ms)
{
    const int fd = pidfd_open(pid, 0);
    struct pollfd p = { .fd = fd, .events = POLLIN };
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(kill(pid, SIGKILL), 0);
    ck_assert_int_eq(poll(&p, 1, (int)slow(ms)), 1);
    close(fd);
}
