/* SPDX-License-Identifier: MIT
 *
 * Output of a connection, below its carrier (http1.c). Bytes of the connection that is being driven collect in the desk's
 * scratch buffer. What does not fit there, or the kernel does not take at once, is queued in chunks.
 */
#ifndef CNC_QUEUE_H
#define CNC_QUEUE_H

#include "conn/conn.h"

#define CNC_QUEUE_COPY_MAX 16384 /* a borrowed piece up to this size is copied, not queued as it is */

/* Room for n adjacent bytes of output. NULL: out of memory. For cnc_queue_room(), where the scratch buffer will not do. */
char *cnc_queue_more_room(struct cnc_conn *conn, size_t n);
void cnc_queue_commit_chunk(struct cnc_conn *conn, size_t n); /* for cnc_queue_commit() */
/* Queues a borrowed piece without a copy. Takes it in every case: an error drops it. */
int cnc_queue_piece(struct cnc_conn *conn, struct cnc_piece *piece);
/* Queues a piece without a copy, or copies it, depending on its size. Takes it in every case. */
int cnc_queue_put(struct cnc_conn *conn, struct cnc_piece *piece);
/* The head of a reply and its whole body: both or neither. Takes the piece in every case. */
int cnc_queue_reply(struct cnc_conn *conn, const struct cnc_http_reply *r, struct cnc_piece *piece);
/* Copies bytes into chunks, not into the scratch buffer. */
int cnc_queue_copy(struct cnc_conn *conn, const void *p, size_t n);
/* Room for a piece of a body that is made in place; *n: its size. The driver keeps it until cnc_queue_made() queues it. NULL:
 * out of memory. */
char *cnc_queue_make(struct cnc_conn *conn, size_t *n);
/* Is p the room that cnc_queue_make() returned? */
bool cnc_queue_is_made(const struct cnc_conn *conn, const void *p);
/* Queues the first n bytes of that room; chunked: with the frame of a chunk around them. */
int cnc_queue_made(struct cnc_conn *conn, size_t n, bool chunked);
/* Frees room that was made and not queued. */
void cnc_queue_unmake(struct cnc_driver *drv);
/* Is as much queued as the peer is likely to take at once? */
bool cnc_queue_is_batch(const struct cnc_conn *conn);
/* Sends what it can; the next flush reports errors. */
void cnc_queue_try(struct cnc_conn *conn);

static inline bool cnc_queue_is_scratch(const struct cnc_conn *conn)
{
    return conn->drv->current == conn && !conn->out;
}

/* Room for n adjacent bytes of output; cnc_queue_commit() says how many were used. NULL: out of memory. */
static inline char *cnc_queue_room(struct cnc_conn *conn, size_t n)
{
    const struct cnc_driver *drv = conn->drv;
    if (CNC_LIKELY(cnc_queue_is_scratch(conn) && n <= CNC_DESK_SCRATCH - drv->scratch_len))
        return cnc_desk_of(drv->home)->out + drv->scratch_len;
    return cnc_queue_more_room(conn, n);
}

static inline void cnc_queue_commit(struct cnc_conn *conn, size_t n)
{
    if (CNC_LIKELY(!conn->out)) /* room in a chunk has put that chunk there */
        conn->drv->scratch_len += n;
    else
        cnc_queue_commit_chunk(conn, n);
}

#endif
