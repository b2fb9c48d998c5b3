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
    bool is_chunk;
    bool has_head;                 /* head, or early, goes on with [at, ...) */
    struct cnc_early *early;       /* owned; of the request at `at`, until a thread begins it; or NULL */
    struct cnc_http_field *fields; /* owned; of head. NULL: those lie behind the bytes, in this allocation */
    struct cnc_http_head head;
    char data[];
};

/* Bytes behind what was consumed? */
static inline bool cnc_conn_has_input(const struct cnc_conn *conn)
{
    return conn->in && conn->in->len > conn->in->at;
}

/* Moves what a protocol has not taken from the scratch buffer into a buffer of the connection's own. False: out of memory. */
bool cnc_input_own(struct cnc_conn *conn, struct cnc_slice *in);
/* The same with a complete head at the start of *in, which nobody has to parse again. */
bool cnc_input_own_head(struct cnc_conn *conn, struct cnc_slice *in, const struct cnc_http_head *head);
/* Frees what belongs to a head that was kept. */
void cnc_input_drop_head(struct cnc_input *in);
/* n bytes were read and thrown away; when there have been too many the connection's time is over. */
void cnc_input_discard(struct cnc_conn *conn, size_t n);
/* Out of memory: that costs this connection. */
void cnc_input_fail(struct cnc_conn *conn);

#endif
