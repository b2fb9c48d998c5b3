/* SPDX-License-Identifier: MIT */
#include "measure/guard.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "measure/proctree.h"

enum { GUARD_SOCKET = 3, GUARD_LOG = 4, GUARD_FREE = 5, LOOK_MS = 5 };

enum word { STARTED, FAILED, ENDED, STOP };

struct message {
    enum word word;
    int value;
};

/* The guard: a fork of the tool that keeps only two of its descriptors. */

struct keeper {
    pid_t program;
    int signals;
    bool has_ended;
    bool is_stopping;
    int64_t kill_at;
};

static int64_t now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static void say(int fd, enum word word, int value)
{
    struct message m = { word, value };
    (void)send(fd, &m, sizeof m, MSG_NOSIGNAL);
}

/* Reaps children that have ended. False: there is no child any more. */
static bool reap(struct keeper *k)
{
    int status;
    pid_t pid;
    while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
        if (pid == k->program) {
            k->has_ended = true;
            say(GUARD_SOCKET, ENDED, status);
        }
    return pid == 0;
}

static void wait_for_child(const struct keeper *k, int timeout_ms)
{
    struct signalfd_siginfo info;
    struct pollfd p = { .fd = k->signals, .events = POLLIN };
    if (poll(&p, 1, timeout_ms) > 0)
        (void)!read(k->signals, &info, sizeof info);
}

/* Kills only children: nobody else reaps them, so their ids cannot belong to other processes. Their own children become
 * children of the guard then. */
static void end_all(struct keeper *k)
{
    while (reap(k)) {
        pid_t children[256];
        size_t n = proctree_children("/proc", getpid(), children, sizeof children / sizeof *children);
        for (size_t i = 0; i < n; i++)
            kill(children[i], SIGKILL);
        wait_for_child(k, LOOK_MS);
    }
}

static _Noreturn void keep(struct keeper *k)
{
    struct pollfd p[] = { { .fd = GUARD_SOCKET, .events = POLLIN }, { .fd = k->signals, .events = POLLIN } };
    for (;;) {
        int64_t left = k->kill_at - now_ms();
        if (k->is_stopping && (k->has_ended || left <= 0))
            break;
        poll(p, 2, k->is_stopping ? (int)left : -1);
        if (p[1].revents)
            wait_for_child(k, 0);
        reap(k);
        struct message m;
        if (p[0].revents && recv(GUARD_SOCKET, &m, sizeof m, 0) != (ssize_t)sizeof m)
            break;
        if (p[0].revents) {
            k->is_stopping = true;
            k->kill_at = now_ms() + m.value;
            if (!k->has_ended)
                kill(k->program, SIGTERM);
        }
    }
    end_all(k);
    _exit(0);
}

static void keep_only(int socket, int log)
{
    int a = fcntl(socket, F_DUPFD_CLOEXEC, GUARD_FREE), b = fcntl(log, F_DUPFD_CLOEXEC, GUARD_FREE);
    dup3(a, GUARD_SOCKET, O_CLOEXEC);
    dup3(b, GUARD_LOG, O_CLOEXEC);
    close_range(GUARD_FREE, ~0U, 0);
}

static _Noreturn void become(char *const argv[], char *const settings[], int failed)
{
    sigset_t none;
    int null = open("/dev/null", O_RDONLY);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    for (; *settings; settings++)
        putenv(*settings);
    dup2(null, STDIN_FILENO);
    dup2(GUARD_LOG, STDOUT_FILENO);
    dup2(GUARD_LOG, STDERR_FILENO);
    signal(SIGPIPE, SIG_DFL);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    execvp(argv[0], argv);
    int error = errno;
    (void)!write(failed, &error, sizeof error);
    _exit(127);
}

static _Noreturn void guard(int socket, int log, char *const argv[], char *const settings[])
{
    struct keeper k = { 0 };
    int failed[2], error = 0;
    sigset_t child;
    setpgid(0, 0); /* Ctrl-C must reach the tool only */
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    keep_only(socket, log);
    sigemptyset(&child);
    sigaddset(&child, SIGCHLD);
    k.signals = signalfd(-1, &child, SFD_CLOEXEC | SFD_NONBLOCK);
    if (k.signals < 0 || pipe2(failed, O_CLOEXEC) < 0 || (k.program = fork()) < 0) {
        say(GUARD_SOCKET, FAILED, errno);
        _exit(1);
    }
    if (k.program == 0)
        become(argv, settings, failed[1]);
    close(failed[1]);
    close(GUARD_LOG);
    if (read(failed[0], &error, sizeof error) > 0)
        say(GUARD_SOCKET, FAILED, error);
    else
        say(GUARD_SOCKET, STARTED, k.program);
    close(failed[0]);
    keep(&k);
}

/* The tool's side. */

static bool hear(struct guard *g, struct message *m, int flags)
{
    ssize_t n;
    do
        n = recv(g->fd, m, sizeof *m, flags);
    while (n < 0 && errno == EINTR);
    return n == (ssize_t)sizeof *m;
}

static int fork_guard(struct guard *g, int pair[2], char *const argv[], char *const settings[], int log_fd)
{
    sigset_t all, before;
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, &before);
    g->pid = fork();
    int rc = -errno;
    if (g->pid == 0)
        guard(pair[1], log_fd, argv, settings);
    sigprocmask(SIG_SETMASK, &before, NULL);
    close(pair[1]);
    g->fd = pair[0];
    return g->pid < 0 ? rc : 0;
}

static void bury(struct guard *g)
{
    close(g->fd);
    while (g->pid > 0 && waitpid(g->pid, NULL, 0) < 0 && errno == EINTR)
        continue;
    g->pid = 0;
}

int guard_start(struct guard *g, char *const argv[], char *const settings[], int log_fd, char *error, size_t error_len)
{
    struct message m = { FAILED, EPIPE };
    int pair[2];
    *g = (struct guard){ .fd = -1 };
    int rc = socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0 ? -errno : 0;
    if (rc == 0 && (rc = fork_guard(g, pair, argv, settings, log_fd)) == 0 && (!hear(g, &m, 0) || m.word != STARTED))
        rc = -m.value;
    if (rc == 0) {
        g->program = m.value;
        return 0;
    }
    snprintf(error, error_len, "%s: %s", argv[0], strerror(-rc));
    if (g->fd >= 0)
        bury(g);
    g->pid = 0;
    return rc;
}

bool guard_has_ended(struct guard *g)
{
    struct message m;
    if (g->pid > 0 && !g->has_ended && hear(g, &m, MSG_DONTWAIT) && m.word == ENDED) {
        g->has_ended = true;
        g->status = m.value;
    }
    return g->has_ended;
}

void guard_stop(struct guard *g, unsigned patience_ms)
{
    struct message m;
    if (g->pid <= 0)
        return;
    guard_has_ended(g);
    say(g->fd, STOP, (int)patience_ms);
    while (hear(g, &m, 0))
        continue;
    bury(g);
}
