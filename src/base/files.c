/* SPDX-License-Identifier: MIT */
#include "base/files.h"

#include <limits.h>
#include <linux/futex.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/resource.h>

#include "base/sys.h"

#define WAIT_MS 10 /* longest wait before it is checked again whether a loop is being made */
#define PROBES_MAX 64

struct cnc_files_state cnc_files_state;

static void files_before_fork(void)
{
    atomic_store(&cnc_files_state.is_shared, true);
}

static void in_child(void)
{
    atomic_store(&cnc_files_state.is_shared, false);
    for (unsigned i = 0; i < CNC_FILES_OWN_MAX / 64; i++)
        atomic_store_explicit(&cnc_files_state.own[i], 0, memory_order_relaxed);
}

void cnc_files_watch_forks(void)
{
    if (!atomic_exchange(&cnc_files_state.watches, true) && pthread_atfork(files_before_fork, NULL, in_child) != 0)
        atomic_store(&cnc_files_state.is_shared, true); /* forks will not be noticed: assume that there was one */
}

void cnc_files_own(int fd, bool is_own)
{
    if (fd < 0 || fd >= CNC_FILES_OWN_MAX)
        return;
    if (is_own)
        (void)atomic_fetch_or(&cnc_files_state.own[fd / 64], 1ull << fd % 64);
    else
        (void)atomic_fetch_and(&cnc_files_state.own[fd / 64], ~(1ull << fd % 64));
}

bool cnc_files_is_own(int fd)
{
    return fd >= 0 && fd < CNC_FILES_OWN_MAX && atomic_load(&cnc_files_state.own[fd / 64]) >> fd % 64 & 1;
}

static void sleep_while_made(int maker)
{
    struct timespec t = { .tv_nsec = WAIT_MS * 1000000 };
    (void)syscall(SYS_futex, &cnc_files_state.making, FUTEX_WAIT_PRIVATE, maker, &t, NULL, 0);
}

/* Waits a moment while another thread is between cnc_files_make() and cnc_files_made(). True: none is. If `making` was
 * copied by a fork, it is cleared. */
static bool files_is_over(void)
{
    int maker = atomic_load(&cnc_files_state.making);
    if (maker && maker != getpid())
        atomic_compare_exchange_strong(&cnc_files_state.making, &maker, 0);
    else if (maker)
        sleep_while_made(maker);
    return atomic_load(&cnc_files_state.making) == 0;
}

void cnc_files_wait(void)
{
    int saved = errno;
    do {
        cnc_files_end();
        while (!files_is_over())
            continue;
        atomic_fetch_add(&cnc_files_state.opening, 1);
    } while (atomic_load(&cnc_files_state.making) != 0);
    errno = saved;
}

int cnc_files_lift(int fd)
{
    int up = fcntl(fd, F_DUPFD_CLOEXEC, CNC_FILES_LOW), err = errno;
    (void)close(fd);
    errno = err;
    return up;
}

/* ---- several at once ---- */

/* Opens one or two descriptors, and returns how many. The first ones are an epoll and a pipe, as libevent opens them,
 * since these have their own limits. */
static int probe(unsigned i, int fds[2])
{
    if (CNC_FAULT(CNC_FAULT_OPEN, EMFILE))
        return 0;
    if (i == 1)
        return pipe2(fds, O_CLOEXEC | O_NONBLOCK) == 0 ? 2 : 0;
    fds[0] = i == 0 ? epoll_create1(EPOLL_CLOEXEC) : eventfd(0, EFD_CLOEXEC);
    return fds[0] >= 0;
}

/* Closes all but those below CNC_FILES_LOW. These stay open until cnc_files_made(), so that libevent does not get their
 * numbers. */
static void keep_low(struct cnc_files_hold *hold, int fds[], unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        hold->highest = fds[i] > hold->highest ? fds[i] : hold->highest;
        if (fds[i] < CNC_FILES_LOW)
            hold->low[hold->count++] = fds[i];
        else
            (void)close(fds[i]);
    }
}

static int prove(struct cnc_files_hold *hold, unsigned n)
{
    int fds[PROBES_MAX + 1], got = 1;
    unsigned count = 0, usable = 0;
    for (unsigned i = 0; usable < n && count < PROBES_MAX && got; i++) {
        got = probe(i, fds + count);
        for (int k = 0; k < got; k++)
            usable += fds[count++] >= CNC_FILES_LOW;
    }
    int err = got ? EMFILE : errno;
    keep_low(hold, fds, count);
    return usable >= n ? 0 : -err;
}

static void begin_making(void)
{
    int me = getpid(), nobody = 0;
    while (!atomic_compare_exchange_strong(&cnc_files_state.making, &nobody, me)) {
        (void)files_is_over();
        nobody = 0;
    }
}

void cnc_files_made(struct cnc_files_hold *hold)
{
    int saved = errno;
    while (hold->count)
        (void)close(hold->low[--hold->count]);
    atomic_store(&cnc_files_state.making, 0);
    (void)syscall(SYS_futex, &cnc_files_state.making, FUTEX_WAKE_PRIVATE, INT_MAX, NULL, NULL, 0);
    errno = saved;
}

/* A thread counts itself in opening before it reads making. Here making is set before opening is read. So each thread
 * is either counted here, or sees making and waits. */
int cnc_files_make(struct cnc_files_hold *hold, unsigned n)
{
    *hold = (struct cnc_files_hold){ .highest = -1 };
    begin_making();
    unsigned opening = atomic_load(&cnc_files_state.opening);
    int rc = prove(hold, n + CNC_FILES_SPARE + (opening < PROBES_MAX / 2 ? opening : PROBES_MAX / 2));
    if (rc < 0)
        cnc_files_made(hold);
    return rc;
}

/* ---- limits ---- */

unsigned cnc_files_limit(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur > UINT_MAX)
        return UINT_MAX;
    return (unsigned)limit.rlim_cur;
}

unsigned cnc_files_needed(unsigned n)
{
    int fd = CNC_FILES_LOW;
    for (; n > 0; fd++)
        n -= fcntl(fd, F_GETFD) < 0;
    return (unsigned)fd;
}

const char *cnc_files_why(char *out, size_t room, int err, unsigned n)
{
    if (err == EMFILE)
        (void)snprintf(out, room, "%s: the limit (RLIMIT_NOFILE) is %u, and %u are needed", strerror(err), cnc_files_limit(),
                       cnc_files_needed(n));
    else
        (void)snprintf(out, room, "%s", strerror(err));
    return out;
}
