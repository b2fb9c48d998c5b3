/* SPDX-License-Identifier: MIT */
#include "net/transport.h"

#include "base/sys.h"

static int plain_greet(int fd, void *state)
{
    (void)fd;
    (void)state;
    return 1;
}

CNC_HOT static ssize_t plain_read(int fd, void *state, void *p, size_t n, bool wait)
{
    ssize_t got;
    (void)state;
    do
        got = cnc_sys_recv(fd, p, n, wait ? 0 : MSG_DONTWAIT);
    while (CNC_UNLIKELY(got < 0 && errno == EINTR));
    return got >= 0 ? got : -errno;
}

CNC_HOT static ssize_t plain_write(int fd, void *state, const struct iovec *iov, int count)
{
    struct msghdr m = { .msg_iov = (struct iovec *)(uintptr_t)iov, .msg_iovlen = (size_t)count };
    ssize_t put;
    (void)state;
    do
        put = count == 1 ? cnc_sys_send(fd, iov->iov_base, iov->iov_len, MSG_NOSIGNAL | MSG_DONTWAIT)
                         : cnc_sys_sendmsg(fd, &m, MSG_NOSIGNAL | MSG_DONTWAIT);
    while (CNC_UNLIKELY(put < 0 && errno == EINTR));
    return put >= 0 ? put : -errno;
}

static size_t plain_pending(void *state)
{
    (void)state;
    return 0;
}

static int plain_wants(void *state, bool reading)
{
    (void)state;
    return reading ? CNC_WANT_READ : CNC_WANT_WRITE;
}

static int plain_finish(int fd, void *state)
{
    (void)state;
    return cnc_sys_shutdown_write(fd) == 0 ? 0 : -errno;
}

static void plain_destroy(void *state)
{
    (void)state;
}

const struct cnc_transport_ops cnc_transport_plain = {
    .name = "plain",
    .greet = plain_greet,
    .read = plain_read,
    .write = plain_write,
    .pending = plain_pending,
    .wants = plain_wants,
    .finish = plain_finish,
    .destroy = plain_destroy,
};
