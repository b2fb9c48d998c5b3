/* SPDX-License-Identifier: MIT
 *
 * Makes connections with the transport of a listener. In a front of process-thread it makes leases instead: the front
 * only waits for the first bytes of such a connection, and the worker that gets it makes the transport.
 */
#include "base/sys.h"
#include "conn/conn.h"

struct cnc_conn *cnc_conn_create_with(int fd, const struct cnc_transport_factory *factory)
{
    if (CNC_LIKELY(!factory))
        return cnc_conn_create(fd, &cnc_transport_plain, NULL);
    void *ext = factory->make(factory->arg, fd);
    struct cnc_conn *conn = ext ? cnc_conn_create(fd, factory->ops, ext) : NULL;
    if (ext && !conn)
        factory->ops->destroy(ext);
    return conn;
}

/* The transport of a lease. Its handshake is complete when bytes have come. It cannot read or write. */

static int lease_greet(int fd, void *state)
{
    char byte;
    ssize_t n;
    (void)state;
    do
        n = cnc_sys_recv(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
    while (n < 0 && errno == EINTR);
    return n > 0 ? 1 : n == 0 ? -EPIPE : -errno;
}

static ssize_t lease_read(int fd, void *state, void *p, size_t n, bool wait)
{
    (void)fd, (void)state, (void)p, (void)n, (void)wait;
    return -EIO;
}

static ssize_t lease_write(int fd, void *state, const struct iovec *iov, int count)
{
    (void)fd, (void)state, (void)iov, (void)count;
    return -EIO;
}

static size_t lease_pending(void *state)
{
    (void)state;
    return 0;
}

static int lease_wants(void *state, bool reading)
{
    (void)state;
    return reading ? CNC_WANT_READ : CNC_WANT_WRITE;
}

static int lease_finish(int fd, void *state)
{
    (void)fd, (void)state;
    return -EIO;
}

static void lease_destroy(void *state)
{
    (void)state;
}

static const struct cnc_transport_ops lease_transport = {
    .name = "lease",
    .greet = lease_greet,
    .read = lease_read,
    .write = lease_write,
    .pending = lease_pending,
    .wants = lease_wants,
    .finish = lease_finish,
    .destroy = lease_destroy,
};

struct cnc_conn *cnc_conn_create_lease(int fd, const struct cnc_transport_factory *factory)
{
    struct cnc_conn *conn = cnc_conn_create(fd, &lease_transport, (void *)(uintptr_t)factory);
    if (conn)
        conn->flags |= CNC_CONN_LEASE;
    return conn;
}

const struct cnc_transport_factory *cnc_conn_lease_factory(const struct cnc_conn *conn)
{
    return conn->ext;
}
