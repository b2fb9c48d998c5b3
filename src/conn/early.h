/* SPDX-License-Identifier: MIT
 *
 * Bodies that are read before a thread takes their request (early.c). Head and body stay together in the connection's input
 * buffer, as they came, until the body is complete or too large for that; then the connection is handed over.
 */
#ifndef CNC_EARLY_H
#define CNC_EARLY_H

#include "conn/input.h"
#include "exec/timer.h"

/* How far a body is read early. Over any of these bounds the connection is handed over as it is. */
struct cnc_early_terms {
    int64_t body_max;     /* bytes of the body */
    size_t bytes_max;     /* bytes of head and body, chunk sizes included */
    int64_t timeout_ms;   /* from the complete head; 0: none */
    atomic_size_t *sum;   /* memory of all bodies of this process that are read early */
    size_t sum_max;
};

/* INV: counted is a part of *terms.sum. late is set only while the body is read. */
struct cnc_early {
    struct cnc_conn *conn;
    struct cnc_early_terms terms;
    struct cnc_timer late; /* timeout_ms has passed */
    int64_t head_at;       /* when the head was complete */
    int64_t asked_at;      /* when the connection was handed over */
    int64_t body;          /* bytes of the body so far */
    size_t looked;         /* bytes of head and body that the body's machine has read */
    size_t counted;
    bool is_continued;     /* 100 Continue was sent */
};

static inline bool cnc_early_has_body(const struct cnc_http_head *head)
{
    return head->content_length > 0 || (head->flags & CNC_HTTP_CHUNKED);
}

/* A head is complete at the start of *in. True: its body is not, and is read before a thread has the request: here, or, where
 * this is a thread, by whoever gets the connection from it. */
bool cnc_early_read(struct cnc_conn *conn, const struct cnc_http_head *head, struct cnc_slice *in);
/* The input has grown: reads on. */
void cnc_early_look(struct cnc_conn *conn, struct cnc_slice in);
/* The input buffer may have grown. False: there is no room for more; the connection is handed over. */
bool cnc_early_count(struct cnc_conn *conn);
/* In another process than the one that has read the body: what the thread has to know. False: out of memory. */
bool cnc_early_attach(struct cnc_conn *conn, bool is_continued, uint32_t body_ms);
/* Before the connection is handed over: notes when that was, and sets conn->deadline to the time of the head. */
void cnc_early_leave(struct cnc_conn *conn);
/* The memory is no longer counted. */
void cnc_early_end(struct cnc_input *in);

/* A body is being read early. */
static inline bool cnc_early_is_reading(const struct cnc_conn *conn)
{
    return conn->state == CNC_CONN_HEAD && conn->in && conn->in->early && !(conn->flags & CNC_CONN_READY);
}

/* 100 Continue was sent before the connection was handed over. */
static inline bool cnc_early_is_continued(const struct cnc_conn *conn)
{
    return conn->in && conn->in->early && conn->in->early->is_continued;
}

/* Since when a connection that was handed over waits for a thread. */
static inline int64_t cnc_early_asked_at(const struct cnc_conn *conn)
{
    return conn->in && conn->in->early ? conn->in->early->asked_at : conn->deadline;
}

#endif
