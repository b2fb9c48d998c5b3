/* SPDX-License-Identifier: MIT
 *
 * Addresses as text and as sockaddr. Names are not resolved: a name server must not delay the start, and a name may
 * have several addresses.
 */
#ifndef CNC_ADDRESS_H
#define CNC_ADDRESS_H

#include "base/base.h"

#include <sys/socket.h>

enum cnc_address_kind {
    CNC_ADDRESS_IPV4 = 1,
    CNC_ADDRESS_IPV6 = 2,
    CNC_ADDRESS_UNIX = 3,
    CNC_ADDRESS_FD = 4 /* a listening socket that was opened outside the library */
};

#define CNC_ADDRESS_ERROR_MAX 320   /* bytes of the longest error of cnc_address_parse() */
#define CNC_ADDRESS_TEXT_MAX 128    /* bytes of the longest text of cnc_address_text() */

struct cnc_address {
    enum cnc_address_kind kind;
    struct sockaddr_storage addr; /* not used for FD */
    socklen_t addr_len;           /* 0 for FD */
    int fd;                       /* FD: borrowed; else -1 */
    int unix_mode;                /* UNIX: permission bits of the socket file; -1: as the umask says */
    /* "*": IPv6 with IPV6_V6ONLY off, which takes IPv4 too; a machine without IPv6 uses 0.0.0.0 and the same port.
     * Every other IPv6 address is IPv6 only. */
    bool any;
};

/* Reads one address of the option `listen`:
 *   127.0.0.1:80   [::1]:443   *:8080   localhost:8080 (127.0.0.1)   unix:/path   fd:3
 * followed by mode=OCTAL on unix. Port 0 asks the kernel for a free one. Returns CONCUR_OK, CONCUR_E_INVAL, or
 * CONCUR_E_UNSUPPORTED for tls=NAME, with a sentence at err that names the text and says what is allowed. */
int cnc_address_parse(struct cnc_address *out, const char *text, char *err, size_t err_size);

/* Writes "127.0.0.1:80", "[::1]:80" or "unix:/path" ("unix:" for a socket without a name) and a NUL; IPv4 within IPv6
 * is shown as IPv4. Returns the length without NUL. If n is too small or the family is unknown, returns 0, and writes
 * "" if n > 0. Makes no system call. */
size_t cnc_address_text(const struct sockaddr *sa, socklen_t len, char *out, size_t n);

#endif
