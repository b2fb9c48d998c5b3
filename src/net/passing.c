/* SPDX-License-Identifier: MIT */
#include "net/passing.h"

#include "base/error.h"
#include "base/sys.h"

int cnc_passing_pair(int fds[2], int buffer)
{
    char why[128];
    if (cnc_sys_socketpair(fds) < 0) {
        int err = errno;
        (void)cnc_error_set(CONCUR_E_SYS, "a link between processes: %s", cnc_files_why(why, sizeof why, err, CNC_FILES_PROCESS));
        errno = err;
        return CONCUR_E_SYS;
    }
    for (int i = 0; i < 2; i++)
        (void)cnc_sys_setsockopt(fds[i], SOL_SOCKET, SO_SNDBUF, &buffer, sizeof buffer);
    return CONCUR_OK;
}

#define MOST 2 /* descriptors with a message */

union control {
    struct cmsghdr align;
    char bytes[CMSG_SPACE(MOST * sizeof(int))];
};

static int send_with(int link, const struct iovec *iov, int count, const int *fds, unsigned n, bool wait)
{
    union control control = { 0 };
    struct msghdr m = { .msg_iov = (struct iovec *)(uintptr_t)iov, .msg_iovlen = (size_t)count };
    ssize_t sent;
    if (n > 0) {
        m.msg_control = control.bytes;
        m.msg_controllen = CMSG_SPACE(n * sizeof *fds);
        struct cmsghdr *c = CMSG_FIRSTHDR(&m);
        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        c->cmsg_len = CMSG_LEN(n * sizeof *fds);
        memcpy(CMSG_DATA(c), fds, n * sizeof *fds);
    }
    do
        sent = cnc_sys_pass(link, &m, MSG_NOSIGNAL | (wait ? 0 : MSG_DONTWAIT));
    while (sent < 0 && errno == EINTR);
    if (sent >= 0)
        return CONCUR_OK;
    switch (errno) {
    case EAGAIN:
        return CONCUR_AGAIN;
    case EMSGSIZE:
        return CONCUR_E_LIMIT;
    case EPIPE:
    case ECONNRESET:
    case ECONNREFUSED:
    case ENOTCONN:
    case EBADF:
    case ENOTSOCK:
        return CONCUR_E_GONE;
    default: /* ENOBUFS, ENOMEM, ETOOMANYREFS, or an error of a filter such as seccomp */
        return CONCUR_E_FULL;
    }
}

int cnc_passing_send(int link, const struct iovec *iov, int count, int fd, bool wait)
{
    return send_with(link, iov, count, &fd, fd >= 0, wait);
}

int cnc_passing_send_two(int link, const struct iovec *iov, int count, const int fds[2])
{
    return send_with(link, iov, count, fds, 2, false);
}

/* Takes the descriptors of a message. Since the buffer has padding, more than most may arrive; all but the last are
 * closed. */
static void take_descriptors(struct msghdr *m, int *fds, unsigned most)
{
    unsigned n = 0;
    for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c; c = CMSG_NXTHDR(m, c))
        if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS)
            for (size_t at = 0; CMSG_LEN(at + sizeof *fds) <= c->cmsg_len; at += sizeof *fds) {
                int *fd = &fds[n < most ? n++ : most - 1];
                cnc_sys_close(fd);
                memcpy(fd, CMSG_DATA(c) + at, sizeof *fd);
            }
}

static void passing_close_all(int *fds, unsigned n, int leave)
{
    for (unsigned i = 0; i < n; i++) {
        cnc_sys_close(&fds[i]);
        fds[i] = leave;
    }
}

#define NO_ROOM_MS 10 /* until a send is tried again for which the system had no room */

static bool lacks_room(int err)
{
    return err == ENOBUFS || err == ENOMEM;
}

static ssize_t recv_with(int link, void *p, size_t n, int *fds, unsigned most, bool wait)
{
    union control control;
    struct iovec iov = { .iov_base = p, .iov_len = n };
    struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control.bytes,
                        .msg_controllen = CMSG_SPACE(most * sizeof *fds) };
    ssize_t got;
    for (unsigned i = 0; i < most; i++)
        fds[i] = -1;
    do
        got = cnc_sys_recvmsg(link, &m, MSG_CMSG_CLOEXEC | (wait ? 0 : MSG_DONTWAIT));
    while (got < 0 && (errno == EINTR || (wait && lacks_room(errno) && cnc_sys_poll(NULL, 0, NO_ROOM_MS) == 0)));
    if (got < 0)
        return lacks_room(errno) ? -EAGAIN : -errno; /* EAGAIN: the message is not lost */
    take_descriptors(&m, fds, most);
    if (m.msg_flags & MSG_TRUNC) {
        passing_close_all(fds, most, -1);
        return -EMSGSIZE;
    }
    if (m.msg_flags & MSG_CTRUNC)
        passing_close_all(fds, most, CNC_PASSING_LOST);
    for (unsigned i = 0; i < most; i++)
        if (CNC_UNLIKELY(fds[i] >= 0 && fds[i] < CNC_FILES_LOW) && (fds[i] = cnc_files_lift(fds[i])) < 0)
            fds[i] = CNC_PASSING_LOST;
    return got;
}

ssize_t cnc_passing_recv(int link, void *p, size_t n, int *fd, bool wait)
{
    return recv_with(link, p, n, fd, 1, wait);
}

ssize_t cnc_passing_recv_two(int link, void *p, size_t n, int fds[2])
{
    return recv_with(link, p, n, fds, 2, false);
}
