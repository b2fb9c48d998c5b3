/* SPDX-License-Identifier: MIT
 *
 * Shared by front.c (workers and their links), front_loans.c (connections that are lent) and front_queue.c (those that
 * wait).
 */
#ifndef CNC_FRONT_INTERNAL_H
#define CNC_FRONT_INTERNAL_H

#include "serve/lend/front.h"

#define CNC_NO_PLACE UINT32_MAX
#define CNC_NO_ROOM_MS 20 /* until a send is tried again for which the system had no room */

struct cnc_front_worker {
    struct cnc_io io; /* of the link */
    struct cnc_front *front;
    unsigned slot;
    int64_t pid;           /* 0: no worker is here */
    bool hailed;           /* HELLO was sent */
    bool is_stranger;      /* it has not reported its numbers yet; counted in strangers */
    bool is_lost;          /* its link has ended */
    uint32_t unread_first, unread_last; /* list of places: loans that it has not reported as read, first sent first */
    uint32_t others;       /* connections that it has from earlier fronts, as last reported */
};

/* How many bytes were written to a connection and read from it, by whatever process. */
struct cnc_traffic {
    uint64_t written, read;
    bool is_known;
};

/* A place. INV: if id is not 0, it has a loan of the worker in slot. Else it is free, and slot is the next free
 * place. */
struct cnc_loan {
    uint64_t id;
    struct cnc_conn *conn; /* NULL: for life, and the worker has it */
    int64_t sent_at;
    struct cnc_traffic before; /* what had passed when it was lent */
    uint32_t slot;
    uint32_t number;       /* of the loan on its link, as cnc_book_sent() returned it */
    uint32_t next;         /* in the list of unread loans */
    bool is_unread;        /* in that list. Its bytes are kept, so that it can be lent again */
    bool is_refused;
    bool is_for_life;
};

/* front.c */
/* Has the front's timer fire at this time or earlier. */
void cnc_front_wake_by(struct cnc_front *f, int64_t at);
void cnc_front_show(struct cnc_front *f, unsigned slot);
/* Watches the link for the events that are needed now. To be called whenever CNC_BOOK_CLOGGED was set or cleared. */
void cnc_front_watch(struct cnc_front_worker *w);
/* Nothing can be sent to the worker any more. Its last messages may still arrive. */
void cnc_front_shut(struct cnc_front_worker *w);
/* The link has ended in both directions. */
void cnc_front_lose(struct cnc_front_worker *w);

/* Is conn lent for life? */
static inline bool cnc_front_is_for_life(const struct cnc_front *f, const struct cnc_conn *conn)
{
    return f->cfg.for_life || (conn->flags & CNC_CONN_LEASE);
}

/* front_loans.c */
/* CONCUR_OK: the connection was sent to a worker. CONCUR_AGAIN: no worker can take it now. CONCUR_E_FULL, all have
 * refused it, or CONCUR_E_NOMEM: the caller refuses the request. */
int cnc_front_lend(struct cnc_front *f, struct cnc_conn *conn);
/* False: cnc_front_lend() would return CONCUR_AGAIN. */
bool cnc_front_may_lend(const struct cnc_front *f, const struct cnc_conn *conn);
/* For a loan whose worker has not begun it: lends conn to another worker, or queues it, or answers 503. */
void cnc_front_lend_again(struct cnc_front *f, struct cnc_conn *conn);
/* A message of a worker: notes which loans it has read, and does what the message says of one. */
void cnc_front_on_loan_note(struct cnc_front_worker *w, const struct cnc_loan_note *note, const char *bytes, size_t n);
/* Takes back the loans that the worker has not read, and lends them to others. True: there were some. */
bool cnc_front_revoke(struct cnc_front_worker *w);
/* Takes back the loans of workers that do not read. */
void cnc_front_look_at_unread(struct cnc_front *f, int64_t now);
/* The worker is dead: ends its loans. Their connections go on here, get 502, or are cut off. */
void cnc_front_inherit(struct cnc_front_worker *w);
void cnc_front_give_up_loans(struct cnc_front *f);
/* Changes the number of open connections by those that other processes have. */
void cnc_front_count(struct cnc_front *f, int change);

/* front_queue.c */
void cnc_front_queue(struct cnc_front *f, struct cnc_conn *conn);
/* Lends waiting connections while workers can take them. */
void cnc_front_serve_queue(struct cnc_front *f);
/* Refuses connections that have waited for too long, and reports long waits. */
void cnc_front_look_at_queue(struct cnc_front *f, int64_t now);
void cnc_front_empty_queue(struct cnc_front *f);

#endif
