/* SPDX-License-Identifier: MIT */
#include "base/sys.h"

#include <linux/sock_diag.h>
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

static const int of_writes[] = { SIGPIPE, SIGXFSZ };

void cnc_sys_quiet(struct cnc_quiet *quiet)
{
    sigset_t set;
    int saved = errno;
    sigemptyset(&set);
    for (size_t i = 0; i < CNC_COUNT(of_writes); i++)
        sigaddset(&set, of_writes[i]);
    (void)pthread_sigmask(SIG_BLOCK, &set, &quiet->before);
    sigemptyset(&quiet->pending);
    if (sigismember(&quiet->before, SIGPIPE) || sigismember(&quiet->before, SIGXFSZ))
        (void)sigpending(&quiet->pending);
    errno = saved;
}

/* They come to the thread whose write it was, at once. */
void cnc_sys_unquiet(struct cnc_quiet *quiet)
{
    const struct timespec now = { 0 };
    sigset_t pending, one;
    int saved = errno;
    (void)sigpending(&pending);
    for (size_t i = 0; i < CNC_COUNT(of_writes); i++) {
        if (!sigismember(&pending, of_writes[i]) || sigismember(&quiet->pending, of_writes[i]))
            continue;
        sigemptyset(&one);
        sigaddset(&one, of_writes[i]);
        while (sigtimedwait(&one, NULL, &now) < 0 && errno == EINTR)
            ;
    }
    (void)pthread_sigmask(SIG_SETMASK, &quiet->before, NULL);
    errno = saved;
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
