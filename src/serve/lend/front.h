/* SPDX-License-Identifier: MIT
 *
 * The front of process-thread: it reads heads and small bodies, and lends each connection with a complete one to the worker process
 * with most free threads; without one free the connection waits in its queue, so that none waits inside a worker. It keeps a copy
 * of the descriptor: a worker that dies takes no connection along. With for_life a connection goes to the worker that has fewest of
 * them, and stays there; the front then knows no more than that it is there. So it is with a lease, a connection whose transport is
 * not plain: it goes to a worker with its first bytes, which the front does not read.
 */
#ifndef CNC_FRONT_H
#define CNC_FRONT_H

#include "conn/conn.h"
#include "serve/lend/book.h"
#include "serve/lend/ledger.h"
#include "serve/lend/loan.h"

struct cnc_front;
struct cnc_front_worker;
struct cnc_loan;

enum cnc_front_news {
    CNC_FRONT_REFUSED,  /* the worker in slot has begun nothing with a loan */
    CNC_FRONT_STUCK,    /* the worker in slot does not read its loans */
    CNC_FRONT_UNLINKED, /* the worker in slot has closed its link */
    CNC_FRONT_HELD      /* connections wait, the first for ms; or one was refused since as many do as may */
};

struct cnc_front_config {
    unsigned workers_max;      /* slots */
    unsigned workers;          /* that there should be */
    unsigned threads_max;      /* of each worker */
    unsigned queue_max;        /* connections that may wait; one more gets 503 */
    int64_t queue_timeout_ms;  /* how long; then 503. 0: no limit */
    bool for_life;             /* connections stay with the worker that got them first */
    unsigned (*listener_of)(const struct cnc_front *, const struct cnc_transport_factory *); /* whose connections get it */
    atomic_uint *queued;       /* tells others how many wait; may be NULL */
    atomic_uint *connections;  /* open ones; those that stay with workers count */
    const struct cnc_ledger *ledger;
    void (*ready)(struct cnc_front *); /* called once, when it is known how many threads there are; may be NULL */
    void (*show)(struct cnc_front *, unsigned slot, unsigned free); /* publishes how many free threads the book counts for a worker; may be NULL */
    void (*tell)(struct cnc_front *, enum cnc_front_news, unsigned slot, int64_t ms);
};

struct cnc_front {
    struct cnc_driver *drv;
    struct cnc_front_config cfg;
    struct cnc_book book;
    struct cnc_front_worker *workers;  /* owned; by slot */
    struct cnc_loan *loans;            /* owned */
    char *room;                        /* owned; for a message */
    uint32_t number;                   /* of this front, in the ledger */
    uint32_t uses;                     /* of places, so far */
    uint32_t loan_count, loan_free;    /* places; the first free one, loan_count: none */
    uint32_t lent;                     /* now, those for life included */
    unsigned strangers;                /* workers that have not yet reported their free threads */
    struct cnc_link queue;             /* of connections in the order in which they asked, through their job's link */
    unsigned queue_len;
    struct cnc_timer timer;            /* the next of all things that time moves on */
    int64_t wake_at;                   /* when it fires; INT64_MAX: it is not set */
    int64_t greet_until;               /* ready is called then at the latest */
    int64_t hold_until;                /* the system has no room for descriptors under way; nothing is lent until then */
    int64_t held_told_at;
    unsigned reap_turn, reap_left;     /* worker that is asked next to close an idle connection; how many may be asked */
    bool is_known;                     /* a worker has reported its free threads */
    bool drains;                       /* what stays with workers is theirs alone */
    unsigned long long lost, dropped, revoked; /* lent to a worker that died; left while they waited; taken back unread */
};

int cnc_front_open(struct cnc_front *front, struct cnc_driver *drv, const struct cnc_front_config *cfg);
/* The process serves from now on. It does not wait any longer for workers that have not reported after a while. */
void cnc_front_begin(struct cnc_front *front);
/* cnc_conn_ops.handover of the driver, whose lender is the front. */
void cnc_front_handover(struct cnc_driver *drv, struct cnc_conn *conn);
/* The worker with this process id has started in slot; link is the front's from now on. False: there was no link; it is
 * closed. */
bool cnc_front_attach(struct cnc_front *front, unsigned slot, int64_t pid, int link);
/* Of the worker in slot; 0: there is none. */
int64_t cnc_front_pid(const struct cnc_front *front, unsigned slot);
/* Nothing more for that worker. */
void cnc_front_retire(struct cnc_front *front, unsigned slot, int64_t pid);
/* That worker has ended. Loans that it had not read go to other workers; those whose reply has not begun get 502, the
 * others are cut off. */
void cnc_front_bury(struct cnc_front *front, unsigned slot, int64_t pid);
/* Asks a worker to close an idle connection that is its own. False: there is none to ask. */
bool cnc_front_ask_room(void *front);
/* A stop has begun: connections that stay with workers are not waited for. */
void cnc_front_drain(struct cnc_front *front);
/* The stop's deadline has passed: waiting requests get 503, and loans are given up. */
void cnc_front_give_up(struct cnc_front *front);
void cnc_front_close(struct cnc_front *front);

#endif
