/* SPDX-License-Identifier: MIT */
#include "net/passing.h"

#include "base/sys.h"

int cnc_passing_pair(int fds[2], int buffer)
{
    if (cnc_sys_socketpair(fds) < 0)
        return CONCUR_E_SYS;
    for (int i = 0; i < 2; i++)
        (void)cnc_sys_setsockopt(fds[i], SOL_SOCKET, SO_SNDBUF, &buffer, sizeof buffer);
    return CONCUR_OK;
}

int cnc_passing_send(int link, const struct iovec *iov, int count, int fd, bool wait)
{
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(sizeof(int))];
    } control = { 0 };
    struct msghdr m = { .msg_iov = (struct iovec *)(uintptr_t)iov, .msg_iovlen = (size_t)count };
    ssize_t n;
    if (fd >= 0) {
        m.msg_control = control.bytes;
        m.msg_controllen = sizeof control.bytes;
        struct cmsghdr *c = CMSG_FIRSTHDR(&m);
        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        c->cmsg_len = CMSG_LEN(sizeof fd);
        memcpy(CMSG_DATA(c), &fd, sizeof fd);
    }
    do
        n = cnc_sys_sendmsg(link, &m, MSG_NOSIGNAL | (wait ? 0 : MSG_DONTWAIT));
    while (n < 0 && errno == EINTR);
    if (n >= 0)
        return CONCUR_OK;
    if (errno == EMSGSIZE)
        return CONCUR_E_LIMIT;
    return errno == EAGAIN || errno == ENOBUFS || errno == ETOOMANYREFS ? CONCUR_AGAIN : CONCUR_E_GONE;
}

/* The last one; there may be room for more than was asked for, by the padding. */
static void take_descriptor(struct msghdr *m, int *fd)
{
    for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c; c = CMSG_NXTHDR(m, c))
        if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS)
            for (size_t at = 0; CMSG_LEN(at + sizeof *fd) <= c->cmsg_len; at += sizeof *fd) {
                cnc_sys_close(fd);
                memcpy(fd, CMSG_DATA(c) + at, sizeof *fd);
            }
}

ssize_t cnc_passing_recv(int link, void *p, size_t n, int *fd, bool wait)
{
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(sizeof(int))];
    } control;
    struct iovec iov = { .iov_base = p, .iov_len = n };
    struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control.bytes,
                        .msg_controllen = sizeof control.bytes };
    ssize_t got;
    *fd = -1;
    do
        got = cnc_sys_recvmsg(link, &m, MSG_CMSG_CLOEXEC | (wait ? 0 : MSG_DONTWAIT));
    while (got < 0 && errno == EINTR);
    if (got < 0)
        return -errno;
    take_descriptor(&m, fd);
    if (m.msg_flags & MSG_TRUNC) {
        cnc_sys_close(fd);
        return -EMSGSIZE;
    }
    if (m.msg_flags & MSG_CTRUNC) {
        cnc_sys_close(fd);
        *fd = CNC_PASSING_LOST;
    }
    return got;
}
