/* SPDX-License-Identifier: MIT */
#include "base/sys.h"

#include <linux/sock_diag.h>
#include <sys/resource.h>
#include "base/base.h"

#include <linux/futex.h>
#include <string.h>

char *cnc_strndup(const char *s, size_t n)
{
    char *copy = cnc_malloc(n + 1);
    if (copy) {
        memcpy(copy, s, n);
        copy[n] = '\0';
    }
    return copy;
}

char *cnc_strdup(const char *s)
{
    return cnc_strndup(s, strlen(s));
}

int cnc_sys_accept(int fd, struct sockaddr *addr, socklen_t *len, int flags)
{
    return CNC_FAULT(CNC_FAULT_OPEN, EMFILE) ? -1 : CNC_OPENS(accept4(fd, addr, len, flags | SOCK_CLOEXEC));
}

size_t cnc_sys_send_room(int fd)
{
    uint32_t info[SK_MEMINFO_VARS] = { 0 };
    socklen_t len = sizeof info;
    if (getsockopt(fd, SOL_SOCKET, SO_MEMINFO, info, &len) < 0 || len < sizeof info)
        return 0;
    /* TCP counts what it has queued, Unix sockets what was not read yet. */
    uint32_t used = info[SK_MEMINFO_WMEM_QUEUED] > info[SK_MEMINFO_WMEM_ALLOC] ? info[SK_MEMINFO_WMEM_QUEUED]
                                                                               : info[SK_MEMINFO_WMEM_ALLOC];
    return info[SK_MEMINFO_SNDBUF] > used ? info[SK_MEMINFO_SNDBUF] - used : 0;
}

void cnc_sys_close(int *fd)
{
    int saved = errno;
    if (*fd >= 0)
        (void)close(*fd);
    *fd = -1;
    errno = saved;
}

struct timespec cnc_sys_in_ms(int64_t ms)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    t.tv_sec += ms / 1000;
    t.tv_nsec += (ms % 1000) * 1000000;
    if (t.tv_nsec >= 1000000000) {
        t.tv_nsec -= 1000000000;
        t.tv_sec++;
    }
    return t;
}

int cnc_sys_timerfd_in_ms(int fd, int64_t ms)
{
    struct itimerspec t = { .it_value.tv_nsec = 1 };
    if (ms > 0) {
        t.it_value.tv_sec = ms / 1000;
        t.it_value.tv_nsec = (ms % 1000) * 1000000;
    }
    return timerfd_settime(fd, 0, &t, NULL);
}

bool cnc_sys_is_fault(int sig)
{
    return sig == SIGSEGV || sig == SIGBUS || sig == SIGFPE || sig == SIGILL || sig == SIGABRT || sig == SIGTRAP ||
           sig == SIGSYS;
}

void cnc_sys_block_signals(sigset_t *before)
{
    sigset_t set;
    sigfillset(&set);
    for (int sig = 1; sig < NSIG; sig++)
        if (cnc_sys_is_fault(sig))
            sigdelset(&set, sig);
    (void)pthread_sigmask(SIG_BLOCK, &set, before);
}

bool cnc_sys_sleep_while(atomic_uint *word, unsigned value, int64_t ms)
{
    struct timespec t = { .tv_sec = ms / 1000, .tv_nsec = (ms % 1000) * 1000000 };
    return syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, value, &t, NULL, 0) == 0 || errno != ETIMEDOUT;
}

void cnc_sys_wake_one(atomic_uint *word)
{
    (void)syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}

/* Does not wait. */
static int poll_parts(struct pollfd *fds, unsigned n, unsigned most)
{
    int ready = 0;
    for (unsigned at = 0; at < n; at += most) {
        int rc = poll(fds + at, n - at < most ? n - at : most, 0);
        if (rc < 0)
            return -1;
        ready += rc;
    }
    return ready;
}

int cnc_sys_poll_in_parts(struct pollfd *fds, unsigned n, int timeout_ms)
{
    enum { REST_MS = 20 };
    for (;;) {
        struct rlimit limit = { 0 };
        (void)getrlimit(RLIMIT_NOFILE, &limit); /* cannot fail */
        unsigned most = limit.rlim_cur < n ? (unsigned)limit.rlim_cur : n;
        int rest = timeout_ms < 0 || timeout_ms > REST_MS ? REST_MS : timeout_ms;
        int ready = most > 0 ? poll_parts(fds, n, most) : 0;
        if (ready != 0 || (rest == 0 && most > 0))
            return ready;
        if (poll(NULL, 0, rest) < 0)
            return -1;
        if (most == 0) {
            errno = EINVAL;
            return -1;
        }
        timeout_ms -= timeout_ms > 0 ? rest : 0;
    }
}
