/* SPDX-License-Identifier: MIT
 *
 * The way out of a connection below its carrier (http1.c): bytes of the one that is driven collect in the home's scratch
 * buffer; what does not fit there, or the peer does not take at once, is queued in chunks.
 */
#ifndef CNC_QUEUE_H
#define CNC_QUEUE_H

#include "conn/conn.h"

#define CNC_QUEUE_COPY_MAX 16384 /* a borrowed piece up to this size is copied rather than queued */

/* Room for n bytes of output in one piece, or NULL: out of memory. */
char *cnc_queue_more_room(struct cnc_conn *conn, size_t n);
void cnc_queue_commit_chunk(struct cnc_conn *conn, size_t n);
/* Queues a piece as it is, behind what is there. Takes it in every case. */
int cnc_queue_piece(struct cnc_conn *conn, struct cnc_piece *piece);
/* Queues a piece, or puts it into the scratch buffer, as fits its size. Takes it in every case. */
int cnc_queue_put(struct cnc_conn *conn, struct cnc_piece *piece);
/* The head of a reply and its whole body: both or neither. Takes the piece in every case. */
int cnc_queue_reply(struct cnc_conn *conn, const struct cnc_http_reply *r, struct cnc_piece *piece);
/* Copies a piece into chunks, past the scratch buffer. */
int cnc_queue_copy(struct cnc_conn *conn, const void *p, size_t n);
/* Room for a piece of a body that is made in place; it is the driver's until cnc_queue_made() takes it. NULL: out of memory. */
char *cnc_queue_make(struct cnc_conn *conn, size_t *n);
/* p: what make returned. With a frame around it, or without. */
bool cnc_queue_is_made(const struct cnc_conn *conn, const void *p);
int cnc_queue_made(struct cnc_conn *conn, size_t n, bool chunked);
/* Frees what make may have left. */
void cnc_queue_unmake(struct cnc_driver *drv);
/* True when as much is queued as the peer is likely to take at one go. */
bool cnc_queue_is_batch(const struct cnc_conn *conn);
/* Sends what it can, and leaves errors to whoever flushes next. */
void cnc_queue_try(struct cnc_conn *conn);

static inline bool cnc_queue_is_scratch(const struct cnc_conn *conn)
{
    return conn->drv->current == conn && !conn->out;
}

/* The same; commit says how many were used. */
static inline char *cnc_queue_room(struct cnc_conn *conn, size_t n)
{
    const struct cnc_driver *drv = conn->drv;
    if (CNC_LIKELY(cnc_queue_is_scratch(conn) && n <= CNC_DESK_SCRATCH - drv->scratch_len))
        return cnc_desk_of(drv->home)->out + drv->scratch_len;
    return cnc_queue_more_room(conn, n);
}

static inline void cnc_queue_commit(struct cnc_conn *conn, size_t n)
{
    if (CNC_LIKELY(cnc_queue_is_scratch(conn)))
        conn->drv->scratch_len += n;
    else
        cnc_queue_commit_chunk(conn, n);
}

#endif
