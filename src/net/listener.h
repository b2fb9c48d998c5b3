/* SPDX-License-Identifier: MIT
 *
 * Listening sockets.
 */
#ifndef CNC_LISTENER_H
#define CNC_LISTENER_H

#include "net/address.h"

struct cnc_listener_options {
    int backlog;
    /* Options that accepted sockets get from the listening one. Not used for FD, whose options belong to its owner. */
    bool nodelay;            /* TCP_NODELAY */
    int64_t receive_wait_ms; /* SO_RCVTIMEO; 0: none */
};

/* The file that the bind of a unix address has made. A path may name another file later. */
struct cnc_listener_file {
    uint64_t device, inode; /* 0 both: none was made */
};

/* Opens, binds and listens; the descriptor is non-blocking. A socket file that nobody serves any more is removed first;
 * whatever else is at the path of a unix address stays, and refuses it. CONCUR_OK with *fd and *file, or CONCUR_E_LISTEN /
 * CONCUR_E_SYS with a sentence in concur_last_error(). */
int cnc_listener_open(int *fd, struct cnc_listener_file *file, const struct cnc_address *address,
                      const struct cnc_listener_options *options);
/* Where fd is bound, port 0 resolved, as text. Returns the length, 0 on error. */
size_t cnc_listener_text(int fd, char *out, size_t n);
/* Removes the socket file of a unix address if it is still the one that the bind made; to be called while the socket is open,
 * since the system may give the inode to another file later. Harmless for other addresses. */
void cnc_listener_unlink(const struct cnc_address *address, const struct cnc_listener_file *file);

#endif
