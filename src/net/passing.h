/* SPDX-License-Identifier: MIT
 *
 * Messages between processes, each of bytes and at most two descriptors. A link is a pair of SOCK_SEQPACKET sockets,
 * which keeps messages apart.
 */
#ifndef CNC_PASSING_H
#define CNC_PASSING_H

#include <sys/types.h>
#include <sys/uio.h>

#include "base/base.h"

/* Makes a link. buffer: bytes that may be under way in each direction, as far as the system allows. CONCUR_OK or
 * CONCUR_E_SYS. */
int cnc_passing_pair(int fds[2], int buffer);
/* fd: -1 for none; stays the caller's. CONCUR_OK; CONCUR_AGAIN: the link is full (never if wait), and becomes writable
 * when there is room; CONCUR_E_FULL: the system has no room, for example for descriptors in messages, and no event
 * reports when it has; CONCUR_E_GONE: the other end was closed, or this is no link; CONCUR_E_LIMIT: the message is too
 * large. Async-signal-safe. */
int cnc_passing_send(int link, const struct iovec *iov, int count, int fd, bool wait);
/* The same with two descriptors, and without waiting. */
int cnc_passing_send_two(int link, const struct iovec *iov, int count, const int fds[2]);
#define CNC_PASSING_LOST (-2)

/* Returns the bytes of the message, 0 when the other end was closed, -EAGAIN, or -errno; -EMSGSIZE: it did not fit, and
 * is lost. *fd: the message's descriptor; -1: it had none; CNC_PASSING_LOST: this process has no free descriptor for
 * it. */
ssize_t cnc_passing_recv(int link, void *p, size_t n, int *fd, bool wait);
/* The same for two descriptors, without waiting. A single one becomes the first. If one was lost, so is the other. */
ssize_t cnc_passing_recv_two(int link, void *p, size_t n, int fds[2]);

#endif
