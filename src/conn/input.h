/* SPDX-License-Identifier: MIT
 *
 * Input that a connection keeps in a buffer of its own (input.c).
 */
#ifndef CNC_INPUT_H
#define CNC_INPUT_H

#include "conn/conn.h"

struct cnc_early;

/* INV: at <= len <= cap; bytes [at, len) are not consumed yet. */
struct cnc_input {
    size_t at, len, cap;
    bool is_chunk;                 /* of the size that desks keep (CNC_CHUNK) */
    bool has_head;                 /* a request begins at `at`: head has the state of its parser, or early reads its body */
    struct cnc_early *early;       /* owned; for the request at `at`, until a thread begins it; or NULL */
    struct cnc_http_field *fields; /* owned; those of head. NULL: they lie behind the bytes, in this allocation */
    struct cnc_http_head head;
    char data[];
};

/* Are there bytes that are not consumed yet? */
static inline bool cnc_conn_has_input(const struct cnc_conn *conn)
{
    return conn->in && conn->in->len > conn->in->at;
}

/* Copies *in from the scratch buffer into a buffer of the connection's own, and has *in point there; does nothing if the
 * connection has one already. False: out of memory. */
bool cnc_input_own(struct cnc_conn *conn, struct cnc_slice *in);
/* The same with a complete head at the start of *in: the buffer keeps the parsed head, so that it is not parsed again. */
bool cnc_input_own_head(struct cnc_conn *conn, struct cnc_slice *in, const struct cnc_http_head *head);
/* Drops the head that was kept. */
void cnc_input_drop_head(struct cnc_input *in);
/* Counts n bytes that were read and thrown away. If there have been too many (linger_max), the connection gets the event
 * DEADLINE. */
void cnc_input_discard(struct cnc_conn *conn, size_t n);
/* Out of memory: ends this connection. */
void cnc_input_fail(struct cnc_conn *conn);

#endif
