/* SPDX-License-Identifier: MIT
 *
 * Bodies that a poller reads before a thread takes their request (early.c). Head and body stay in the connection's input buffer
 * as they came. When the body is complete, or too large to be read early, the connection is handed over.
 */
#ifndef CNC_EARLY_H
#define CNC_EARLY_H

#include "conn/input.h"
#include "exec/timer.h"

/* How far a body is read early. Beyond any of these bounds the connection is handed over as it is. */
struct cnc_early_terms {
    int64_t body_max;     /* bytes of the body */
    size_t bytes_max;     /* bytes of head and body, chunk sizes included */
    int64_t timeout_ms;   /* counted from the complete head; 0: none */
    atomic_size_t *sum;   /* bytes of memory that all bodies of this process use which are being read early */
    size_t sum_max;       /* bound of *sum */
};

/* INV: *terms.sum includes counted. late is set only while the body is read. */
struct cnc_early {
    struct cnc_conn *conn;
    struct cnc_early_terms terms;
    struct cnc_timer late; /* timeout_ms has passed */
    int64_t head_at;       /* when the head was complete, ms */
    int64_t asked_at;      /* when the connection was handed over, ms: it waits for a thread since then */
    int64_t body;          /* bytes of the body so far */
    size_t looked;         /* bytes of head and body that were parsed */
    size_t counted;        /* bytes of memory */
    bool is_continued;     /* 100 Continue was sent */
};

/* A complete head is at the start of *in. True: its body is not complete, and is read before a thread takes the request. A
 * poller reads it; on a thread the connection must go back to the poller for that. */
bool cnc_early_read(struct cnc_conn *conn, const struct cnc_http_head *head, struct cnc_slice *in);
/* The input has grown to `in`: looks at the new bytes. */
void cnc_early_look(struct cnc_conn *conn, struct cnc_slice in);
/* The input buffer may have grown: counts its memory. False: that would exceed sum_max; the connection is handed over. */
bool cnc_early_count(struct cnc_conn *conn);
/* In a worker whose front has read the body: keeps what the thread must know. body_ms: how long reading the body took. False:
 * out of memory. */
bool cnc_early_attach(struct cnc_conn *conn, bool is_continued, uint32_t body_ms);
/* The connection is being handed over, and conn->deadline is the time of that: keeps it as asked_at, and sets conn->deadline to
 * the time of the head. */
void cnc_early_leave(struct cnc_conn *conn);
/* Frees in->early; its memory is no longer counted, and its timer is cancelled. */
void cnc_early_end(struct cnc_input *in);

/* Is a body being read early? */
static inline bool cnc_early_is_reading(const struct cnc_conn *conn)
{
    return conn->state == CNC_CONN_HEAD && conn->in && conn->in->early && !(conn->flags & CNC_CONN_READY);
}

/* Was 100 Continue sent before the connection was handed over? */
static inline bool cnc_early_is_continued(const struct cnc_conn *conn)
{
    return conn->in && conn->in->early && conn->in->early->is_continued;
}

/* Since when a connection that was handed over has waited for a thread, ms. */
static inline int64_t cnc_early_asked_at(const struct cnc_conn *conn)
{
    return conn->in && conn->in->early ? conn->in->early->asked_at : conn->deadline;
}

#endif
