/* SPDX-License-Identifier: MIT
 *
 * How bytes are read from and written to a connected descriptor. The functions are those that TLS needs: a handshake,
 * bytes that are decrypted but not read yet, a read that must write first, a write that must read first.
 */
#ifndef CNC_TRANSPORT_H
#define CNC_TRANSPORT_H

#include <sys/uio.h>

#include "base/base.h"

/* What a call that returned -EAGAIN waits for. */
enum { CNC_WANT_READ = 1, CNC_WANT_WRITE = 2 };

struct cnc_transport_ops {
    const char *name;
    /* Goes on with the handshake. 1: complete; -EAGAIN: wants(state, true) says what it waits for; or another -errno.
     * Never blocks. */
    int (*greet)(int fd, void *state);
    /* Bytes read; 0: the peer has shut its side; -EAGAIN or another -errno. wait: may block for as long as SO_RCVTIMEO
     * says. */
    ssize_t (*read)(int fd, void *state, void *p, size_t n, bool wait);
    /* Bytes taken, -EAGAIN, or another -errno. Never blocks, never raises SIGPIPE. */
    ssize_t (*write)(int fd, void *state, const struct iovec *iov, int count);
    /* Bytes that the transport has taken from the descriptor and that read would return. No event comes for them. */
    size_t (*pending)(void *state);
    /* CNC_WANT_* after -EAGAIN of a read or write (a TLS read may have to write first). */
    int (*wants)(void *state, bool reading);
    /* Sends the transport's last message, if it has one, and shuts the write side: 0, -EAGAIN or -errno. */
    int (*finish)(int fd, void *state);
    /* Frees state; the descriptor is the caller's. */
    void (*destroy)(void *state);
};

extern const struct cnc_transport_ops cnc_transport_plain;

/* Makes the transports of a listener's connections. For each process that accepts, or that gets connections from one
 * that accepts. */
struct cnc_transport_factory {
    const struct cnc_transport_ops *ops;
    /* The state for an accepted descriptor; NULL: out of memory. */
    void *(*make)(void *arg, int fd);
    void *arg;
};

#endif
