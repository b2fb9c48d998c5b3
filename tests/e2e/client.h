/* SPDX-License-Identifier: MIT
 *
 * A client that sends any bytes and reads replies strictly: what RFC 9112 does not allow in a response is MALFORMED,
 * and `problem` says what. Deadlines are in milliseconds, scaled as in harness.h.
 */
#ifndef E2E_CLIENT_H
#define E2E_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { WAIT_MS = 10000 }; /* for what should come at once */

struct client {
    int fd;
    char *in; /* received and not taken: in[at .. at + n) */
    size_t at, n, size;
    bool eof, reset;
};

enum reply_kind {
    REPLY_OK = 0,
    REPLY_NONE = 1,      /* the connection ended cleanly before the first byte */
    REPLY_RESET = 2,     /* reset before the reply was complete */
    REPLY_TRUNCATED = 3, /* ended cleanly within the reply */
    REPLY_TIMEOUT = 4,
    REPLY_MALFORMED = 5
};

struct reply {
    enum reply_kind kind;
    int status;
    int continues; /* 100 Continue before it */
    bool says_close, says_keep_alive, is_chunked, ends_by_close, has_length;
    char *head; /* NUL-terminated, without the empty line */
    char *body; /* NUL-terminated */
    size_t head_len, body_len;
    const char *problem;
};

enum client_fate { CLIENT_OPEN = 0, CLIENT_EOF = 1, CLIENT_RESET = 2, CLIENT_BYTES = 3 /* bytes came instead */ };

void client_open(struct client *c, unsigned port);
/* With a receive buffer of at least n bytes, so that little is taken in advance. */
void client_open_small(struct client *c, unsigned port, int n);
void client_close(struct client *c);
void client_abort(struct client *c);  /* with a reset */
void client_finish(struct client *c); /* shuts the sending side */
void client_shrink(struct client *c); /* gives its buffer back; nothing may be left in it */

/* All n bytes, or false: the peer closed, or did not take them within WAIT_MS. */
bool client_send(struct client *c, const void *data, size_t n);
bool client_text(struct client *c, const char *text);
/* In pieces, each in a segment of its own. */
bool client_send_pieces(struct client *c, const char *data, size_t n, size_t piece);
/* What the kernel takes without waiting; -1: the connection is gone. */
long client_send_some(struct client *c, const void *data, size_t n);

/* The next final reply. is_head: no body follows. Free it, whatever its kind. */
void client_read(struct client *c, struct reply *r, bool is_head, unsigned ms);
void reply_free(struct reply *r);
const char *reply_kind_name(const struct reply *r);
/* The value of the field, up to CR, compared without case; NULL: absent. */
const char *reply_field(const struct reply *r, const char *name, size_t *n);
bool reply_field_is(const struct reply *r, const char *name, const char *value);

/* Waits until n bytes are there and not taken; false: the connection ended or ms passed before. */
bool client_wait_bytes(struct client *c, size_t n, unsigned ms);
/* Exactly n bytes, and no more off the socket; false as above. Not mixed with the other ways to read. */
bool client_take(struct client *c, char *out, size_t n, unsigned ms);
/* Reads and drops everything until the end; returns how many bytes. false in *ended: not within ms. */
uint64_t client_drain(struct client *c, unsigned ms, bool *ended);
/* How the connection stands after ms at the latest; returns as soon as it is not OPEN. */
enum client_fate client_fate(struct client *c, unsigned ms);

/* Together: a fresh connection, the request, its reply (status asserted), close. */
void ask(unsigned port, const char *request, int status, struct reply *r);
/* GET target on a fresh connection; asserts the status and, unless NULL, the body. */
void expect_get(unsigned port, const char *target, int status, const char *body);
/* The server serves: "GET /" within ms (scaled), "Hello, World!". Returns how long it took in ms. */
int64_t expect_alive(unsigned port, unsigned ms);
/* Opens c and has a handler hold its thread for ms. Returns when the handler has begun: not on a loop without a pool. */
void ask_to_hold(struct client *c, unsigned port, unsigned ms);
/* A number of GET /test/counts. */
long long counter(unsigned port, const char *name);
/* Polls /test/counts until all that was begun has ended. */
void expect_balanced(unsigned port, unsigned ms);

#endif
