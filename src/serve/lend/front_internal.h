/* SPDX-License-Identifier: MIT
 *
 * Shared by front.c (workers and their links), front_loans.c (connections that are lent) and front_queue.c (those that wait).
 */
#ifndef CNC_FRONT_INTERNAL_H
#define CNC_FRONT_INTERNAL_H

#include "serve/lend/front.h"

#define CNC_NO_PLACE UINT32_MAX
#define CNC_NO_ROOM_MS 20 /* until the system may have room for a message again */

struct cnc_front_worker {
    struct cnc_io io; /* of the link */
    struct cnc_front *front;
    unsigned slot;
    int64_t pid;           /* 0: no worker is here */
    bool hailed;           /* it was asked for its numbers */
    bool is_stranger;      /* it is waited for */
    bool is_lost;          /* its link has ended */
    uint32_t unread_first, unread_last; /* loans that it has not read, as far as is known, in the order in which they were sent */
    uint32_t others;       /* connections there that earlier fronts have lent, as last reported */
};

/* What has passed a connection: bytes written to it, and bytes read from it. */
struct cnc_traffic {
    uint64_t written, read;
    bool is_known;
};

/* INV: id != 0: lent to the worker in slot. Else a place that is free; slot is then the next free one. */
struct cnc_loan {
    uint64_t id;
    struct cnc_conn *conn; /* NULL: it is the worker's for life, and was read */
    int64_t sent_at;
    struct cnc_traffic before; /* when it was lent */
    uint32_t slot;
    uint32_t number;       /* which of those on that link */
    uint32_t next;         /* of those that were not read */
    bool is_unread;        /* its bytes are kept: if no worker begins it, it is lent again */
    bool is_refused;
    bool is_for_life;
};

/* front.c */
void cnc_front_wake_by(struct cnc_front *f, int64_t at);
void cnc_front_show(struct cnc_front *f, unsigned slot);
/* Whoever sets or clears CNC_BOOK_CLOGGED calls it. */
void cnc_front_watch(struct cnc_front_worker *w);
/* Nothing can be sent to it any more; its last messages may still arrive. */
void cnc_front_shut(struct cnc_front_worker *w);
/* Nor does anything come from it. */
void cnc_front_lose(struct cnc_front_worker *w);

/* Does it stay with the worker that gets it? */
static inline bool cnc_front_is_for_life(const struct cnc_front *f, const struct cnc_conn *conn)
{
    return f->cfg.for_life || (conn->flags & CNC_CONN_LEASE);
}

/* front_loans.c */
/* CONCUR_OK: a worker has the connection. CONCUR_AGAIN: no worker can take it now. CONCUR_E_FULL: all have refused it;
 * CONCUR_E_NOMEM: with both it will not be lent. */
int cnc_front_lend(struct cnc_front *f, struct cnc_conn *conn);
/* False: that would be CONCUR_AGAIN. */
bool cnc_front_may_lend(const struct cnc_front *f, const struct cnc_conn *conn);
/* A connection that was lent, and not begun: to another worker, or into the queue, or refused. */
void cnc_front_lend_again(struct cnc_front *f, struct cnc_conn *conn);
/* What a worker says of a loan. */
void cnc_front_on_loan_note(struct cnc_front_worker *w, const struct cnc_loan_note *note, const char *bytes, size_t n);
/* Loans that the worker has not read are taken back and go to others. True: there were some. */
bool cnc_front_revoke(struct cnc_front_worker *w);
/* Which were read, and who does not read. */
void cnc_front_look_at_unread(struct cnc_front *f, int64_t now);
/* The worker is dead: judges what it had. */
void cnc_front_inherit(struct cnc_front_worker *w);
void cnc_front_give_up_loans(struct cnc_front *f);
/* Of connections that count here though they are elsewhere. */
void cnc_front_count(struct cnc_front *f, int change);

/* front_queue.c */
void cnc_front_queue(struct cnc_front *f, struct cnc_conn *conn);
void cnc_front_serve_queue(struct cnc_front *f);
/* Who has waited too long. */
void cnc_front_look_at_queue(struct cnc_front *f, int64_t now);
void cnc_front_empty_queue(struct cnc_front *f);

#endif
