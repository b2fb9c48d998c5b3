/* SPDX-License-Identifier: MIT
 *
 * Messages of bytes, each with at most one descriptor, between processes: a pair of sockets that keeps the borders.
 */
#ifndef CNC_PASSING_H
#define CNC_PASSING_H

#include <sys/types.h>
#include <sys/uio.h>

#include "base/base.h"

/* buffer: bytes that may be under way in each direction, as far as the system allows. CONCUR_OK or CONCUR_E_SYS. */
int cnc_passing_pair(int fds[2], int buffer);
/* fd: -1 for none; stays the caller's. CONCUR_OK; CONCUR_AGAIN: the link is full (never if wait), and becomes writable when there
 * is room; CONCUR_E_FULL: the system has no room, for example for descriptors in messages, and no event tells when there is;
 * CONCUR_E_GONE: the other end has closed, or this is no link; CONCUR_E_LIMIT: the message is too large. Async-signal-safe. */
int cnc_passing_send(int link, const struct iovec *iov, int count, int fd, bool wait);
/* The same with two descriptors, and without waiting. */
int cnc_passing_send_two(int link, const struct iovec *iov, int count, const int fds[2]);
#define CNC_PASSING_LOST (-2)

/* Bytes of the message, 0 at the end, -EAGAIN, or -errno; -EMSGSIZE: it did not fit, and is lost. *fd: what came along; -1:
 * nothing; CNC_PASSING_LOST: this process had no room for another descriptor. */
ssize_t cnc_passing_recv(int link, void *p, size_t n, int *fd, bool wait);
/* The same for two descriptors, without waiting; one that came alone is the first. If one was lost so is the other. */
ssize_t cnc_passing_recv_two(int link, void *p, size_t n, int fds[2]);

#endif
