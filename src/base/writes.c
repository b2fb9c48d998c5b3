/* SPDX-License-Identifier: MIT
 *
 * Writes that could end the process by a signal: over the limit of file sizes (SIGXFSZ), or into a pipe without a
 * reader (SIGPIPE). The library must not end its host, so these signals are held back. Nor does it wait for a reader of
 * stderr.
 */
#include <stdio.h>
#include <sys/stat.h>

#include "base/base.h"
#include "base/sys.h"

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

/* The kernel sends these signals at once, to the thread that has called write(). So those that are pending now, and
 * were not before, come from its writes, and are removed. */
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

ssize_t cnc_sys_write(int fd, const void *p, size_t n)
{
    struct cnc_quiet quiet;
    if (CNC_FAULT(CNC_FAULT_WRITE, ENOSPC))
        return -1;
    cnc_sys_quiet(&quiet);
    ssize_t put = write(fd, p, n);
    cnc_sys_unquiet(&quiet);
    return put;
}

/* ---- stderr ---- */

/* Does a pipe or a terminal take a line without a wait? Other processes may write to it too, so a pipe must be half
 * empty. */
static bool writes_has_room(int fd)
{
    struct pollfd p = { .fd = fd, .events = POLLOUT };
    int size = fcntl(fd, F_GETPIPE_SZ), unread = 0;
    if (poll(&p, 1, 0) != 1 || !(p.revents & POLLOUT))
        return false;
    return size <= 0 || ioctl(fd, FIONREAD, &unread) < 0 || unread <= size / 2;
}

/* Other processes may share this stderr, so it must not be made non-blocking. It is opened again with that flag. If
 * that is not possible, it is written only if poll() reports room. */
static ssize_t write_at_once(int fd, const void *p, size_t n)
{
    char path[32];
    (void)snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    int own = CNC_OPENS(open(path, O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC));
    if (own < 0 && (errno == ENXIO || errno == EAGAIN)) /* a pipe without a reader */
        return -1;
    if (own < 0)
        return writes_has_room(fd) ? cnc_sys_write(fd, p, n) : -1;
    ssize_t put = cnc_sys_write(own, p, n);
    cnc_sys_close(&own);
    return put;
}

ssize_t cnc_sys_write_at_once(int fd, const void *p, size_t n)
{
    struct stat st;
    if (CNC_FAULT(CNC_FAULT_WRITE, ENOSPC) || fstat(fd, &st) < 0)
        return -1;
    if (S_ISSOCK(st.st_mode))
        return send(fd, p, n, MSG_DONTWAIT | MSG_NOSIGNAL);
    /* A file never waits for a reader; and a second descriptor would have its own offset. */
    return S_ISREG(st.st_mode) ? cnc_sys_write(fd, p, n) : write_at_once(fd, p, n);
}

bool cnc_sys_is_open(int fd)
{
    return fcntl(fd, F_GETFD) >= 0;
}
