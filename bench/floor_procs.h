/* SPDX-License-Identifier: MIT
 *
 * The processes of the floors that have several. The first one is the parent of all, does no work, and ends with them:
 * all of them on SIGTERM, and also when one of them has ended by itself.
 */
#ifndef FLOOR_PROCS_H
#define FLOOR_PROCS_H

#include <sys/prctl.h>
#include <sys/wait.h>

#include "floor.h"

enum { FLOOR_PROCESSES_MAX = 1024 };

static struct {
    int count;
    pid_t pids[FLOOR_PROCESSES_MAX];
    sigset_t awaited;
} floor_family;

/* Ends and reaps all. */
static inline void floor_processes_end(void)
{
    for (int i = 0; i < floor_family.count; i++) {
        kill(floor_family.pids[i], SIGTERM);
    }
    for (int i = 0; i < floor_family.count; i++) {
        while (waitpid(floor_family.pids[i], NULL, 0) < 0 && errno == EINTR) {
        }
    }
    floor_family.count = 0;
}

/* In the child, which the death of its parent ends, even one that came before the prctl. */
static inline void floor_process_run(pid_t parent, int index, void (*run)(int, void *), void *arg)
{
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (getppid() == parent) {
        sigprocmask(SIG_UNBLOCK, &floor_family.awaited, NULL);
        run(index, arg);
    }
    _exit(EXIT_FAILURE);
}

/* Forks processes that run `run`, which gets 0 to n - 1 and does not return. */
static inline void floor_processes(int n, void (*run)(int index, void *arg), void *arg)
{
    pid_t self = getpid();

    if (n < 1 || n > FLOOR_PROCESSES_MAX) {
        fprintf(stderr, "%d processes: 1 to %d\n", n, FLOOR_PROCESSES_MAX);
        exit(EXIT_FAILURE);
    }
    sigemptyset(&floor_family.awaited);
    sigaddset(&floor_family.awaited, SIGTERM);
    sigaddset(&floor_family.awaited, SIGINT);
    sigaddset(&floor_family.awaited, SIGCHLD);
    sigprocmask(SIG_BLOCK, &floor_family.awaited, NULL);
    for (int i = 0; i < n; i++) {
        pid_t pid = fork();

        if (pid == 0) {
            floor_process_run(self, i, run, arg);
        }
        if (pid < 0) {
            int error = errno;

            floor_processes_end();
            errno = error;
            floor_fail("fork");
        }
        floor_family.pids[floor_family.count++] = pid;
    }
}

/* Waits for the end; returns the exit status. */
static inline int floor_processes_wait(void)
{
    int signo;

    do {
        signo = sigwaitinfo(&floor_family.awaited, NULL);
    } while (signo < 0 && errno == EINTR);
    if (signo == SIGCHLD) {
        fprintf(stderr, "a process has ended by itself\n");
    }
    floor_processes_end();
    return signo == SIGCHLD ? EXIT_FAILURE : EXIT_SUCCESS;
}

#endif
