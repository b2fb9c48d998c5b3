/* SPDX-License-Identifier: MIT
 *
 * Listening sockets.
 */
#ifndef CNC_LISTENER_H
#define CNC_LISTENER_H

#include "net/address.h"

struct cnc_listener_options {
    int backlog;
    /* What accepted sockets inherit. Not for FD: its options are its owner's. */
    bool nodelay;            /* TCP_NODELAY */
    int64_t receive_wait_ms; /* SO_RCVTIMEO; 0: none */
};

/* Opens, binds and listens; the descriptor is non-blocking. CONCUR_OK with *fd, or CONCUR_E_LISTEN / CONCUR_E_SYS with a
 * sentence in concur_last_error(). */
int cnc_listener_open(int *fd, const struct cnc_address *address, const struct cnc_listener_options *options);
/* Where fd is bound, port 0 resolved, as text. Returns the length, 0 on error. */
size_t cnc_listener_text(int fd, char *out, size_t n);
/* Removes the socket file of a unix address that this process bound; harmless for others. */
void cnc_listener_unlink(const struct cnc_address *address);

#endif
