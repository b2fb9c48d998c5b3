/* SPDX-License-Identifier: MIT
 *
 * The front of process-thread. It reads heads and small bodies, and lends each connection with a complete request to
 * the worker process with the most free threads. If no thread is free, the connection waits in the front's queue, never
 * in a worker. The front keeps a copy of the descriptor, so the connection survives the worker.
 *
 * A connection is lent for life if the worker keeps it until it is closed. It goes to the worker that has the fewest of
 * them, and the front only counts it. That is so for all connections if lend = connection, and always for a lease: a
 * connection whose transport is not plain. A lease is lent when its first bytes have come, and the worker reads them.
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
    CNC_FRONT_REFUSED,  /* the worker in slot has refused a loan */
    CNC_FRONT_STUCK,    /* the worker in slot does not read its loans */
    CNC_FRONT_UNLINKED, /* the worker in slot has closed its link */
    CNC_FRONT_HELD      /* connections wait in the queue, the first one for ms; 0: one was refused, since it is full */
};

struct cnc_front_config {
    unsigned workers_max;      /* number of slots */
    unsigned workers;          /* how many there should be */
    unsigned threads_max;      /* of each worker */
    unsigned queue_max;        /* connections that may wait; one more gets 503 */
    int64_t queue_timeout_ms;  /* how long one may wait before it gets 503; 0: no limit */
    bool for_life;             /* all connections are lent for life */
    /* The index of a listener whose connections get this transport. */
    unsigned (*listener_of)(const struct cnc_front *, const struct cnc_transport_factory *);
    atomic_uint *queued;       /* gets the length of the queue, for other processes; may be NULL */
    atomic_uint *connections;  /* open connections; those that were lent for life count */
    const struct cnc_ledger *ledger;
    void (*ready)(struct cnc_front *); /* called once, when the workers have reported their free threads; may be NULL */
    /* Publishes how many free threads a worker has, as the book counts them; may be NULL. */
    void (*show)(struct cnc_front *, unsigned slot, unsigned free);
    /* Reports an event, for a log line. */
    void (*tell)(struct cnc_front *, enum cnc_front_news, unsigned slot, int64_t ms);
};

struct cnc_front {
    struct cnc_driver *drv;
    struct cnc_front_config cfg;
    struct cnc_book book;
    struct cnc_front_worker *workers;  /* owned; by slot */
    struct cnc_loan *loans;            /* owned */
    char *room;                        /* owned; buffer for a message */
    uint32_t number;                   /* of this front, in the ledger */
    uint32_t uses;                     /* loans sent so far; makes loan numbers unique */
    uint32_t loan_count, loan_free;    /* places in loans; the first free place, loan_count: none is free */
    uint32_t lent;                     /* loans now, those for life included */
    unsigned strangers;                /* workers that have not yet reported their free threads */
    struct cnc_link queue;             /* waiting connections, the first to be lent first; linked by their job */
    unsigned queue_len;
    struct cnc_timer timer;            /* fires at the first time at which the front must do something */
    int64_t wake_at;                   /* when timer fires; INT64_MAX: it is not set */
    int64_t greet_until;               /* ready is called then at the latest */
    int64_t hold_until;                /* nothing is lent until then: too many descriptors are in messages under way */
    int64_t held_told_at;              /* when HELD was reported last */
    unsigned reap_turn, reap_left;     /* the next worker that is asked to close an idle connection; tries left */
    bool is_known;                     /* a worker has reported its free threads */
    bool drains;                       /* the server stops: connections for life are not counted any more */
    unsigned long long lost, dropped, revoked; /* loans of dead workers; clients that left the queue; revoked loans */
};

int cnc_front_open(struct cnc_front *front, struct cnc_driver *drv, const struct cnc_front_config *cfg);
/* The process serves from now on. Calls ready() when all workers have reported, or after a second. */
void cnc_front_begin(struct cnc_front *front);
/* cnc_conn_ops.handover of the driver, whose lender is the front. */
void cnc_front_handover(struct cnc_driver *drv, struct cnc_conn *conn);
/* The worker with this process id has started in slot. Owns link from now on. False: an argument is wrong, and link is
 * closed. */
bool cnc_front_attach(struct cnc_front *front, unsigned slot, int64_t pid, int link);
/* The process id of the worker in slot; 0: there is none. */
int64_t cnc_front_pid(const struct cnc_front *front, unsigned slot);
/* That worker gets no more loans. */
void cnc_front_retire(struct cnc_front *front, unsigned slot, int64_t pid);
/* That worker has ended. Loans that it had not read are lent to others. Of the other loans those whose reply has not
 * begun get 502, those that were idle go on here, and the rest is cut off. */
void cnc_front_bury(struct cnc_front *front, unsigned slot, int64_t pid);
/* Asks workers, one after the other, to close an idle connection that was lent for life. False: none could be asked. */
bool cnc_front_ask_room(void *front);
/* A stop has begun: from now on connections for life are not counted, so the front does not wait for them. */
void cnc_front_drain(struct cnc_front *front);
/* The stop's deadline has passed: waiting requests get 503, and the front closes its copies of lent connections. */
void cnc_front_give_up(struct cnc_front *front);
void cnc_front_close(struct cnc_front *front);

#endif
