/* SPDX-License-Identifier: MIT
 *
 * Listening sockets.
 */
#ifndef CNC_LISTENER_H
#define CNC_LISTENER_H

#include "net/address.h"

struct cnc_listener_options {
    int backlog;
    /* Options that accepted sockets inherit from the listening one. Not used for FD, whose options are set by its
     * owner. */
    bool nodelay;            /* TCP_NODELAY */
    int64_t receive_wait_ms; /* SO_RCVTIMEO; 0: none */
};

/* The file that the bind of a unix address has made. A path may name another file later. */
struct cnc_listener_file {
    uint64_t device, inode; /* 0 both: none was made */
};

/* Opens a listening socket; it is non-blocking. For a unix address, a socket file that no process serves is removed
 * first; any other file at the path stays, and the call fails. CONCUR_OK with *fd and *file, or CONCUR_E_LISTEN or
 * CONCUR_E_SYS with the thread's last error set. */
int cnc_listener_open(int *fd, struct cnc_listener_file *file, const struct cnc_address *address,
                      const struct cnc_listener_options *options);
/* Writes the address to which fd is bound, as cnc_address_text(). Returns the length, 0 on error. */
size_t cnc_listener_text(int fd, char *out, size_t n);
/* Removes the socket file of a unix address if it is still the one that the bind made. Must be called while the socket
 * is open, since another file may get the same inode later. Does nothing for other addresses. */
void cnc_listener_unlink(const struct cnc_address *address, const struct cnc_listener_file *file);

#endif
