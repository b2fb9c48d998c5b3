/* SPDX-License-Identifier: MIT
 *
 * The front of process-thread: it reads heads, and lends each connection with a complete one to the worker process with most
 * free threads; without one free the connection waits in its queue, so that none waits inside a worker. It keeps a copy of the
 * descriptor: a worker that dies takes no connection along.
 */
#ifndef CNC_FRONT_H
#define CNC_FRONT_H

#include "conn/loan.h"

struct cnc_front_worker;
struct cnc_loan;

struct cnc_front;

struct cnc_front_config {
    unsigned workers_max;     /* slots */
    unsigned queue_max;       /* connections that may wait; one more gets 503 */
    int64_t queue_timeout_ms; /* how long; then 503. 0: no limit */
    bool for_life;            /* connections stay with the worker that got them first */
    atomic_uint *queued;      /* tells others how many wait */
    struct cnc_ledger ledger;
    void (*ready)(struct cnc_front *); /* called once, when it is known how many threads there are; may be NULL */
};

struct cnc_front {
    struct cnc_driver *drv;
    struct cnc_front_config cfg;
    struct cnc_front_worker **workers; /* owned; by slot */
    struct cnc_loan *loans;            /* owned */
    char *room;                        /* owned; for a message */
    uint32_t loan_count, loan_free;    /* places; the first free one, loan_count: none */
    uint32_t lent;                     /* now */
    unsigned strangers;                /* workers that have not told yet how many threads are free */
    uint32_t epoch;                    /* of this front's ids */
    struct cnc_link queue;             /* of connections, through their job's link */
    unsigned queue_len;
    unsigned turn;                     /* of workers with the same number of free threads, the first to be asked */
    struct cnc_timer late;             /* the first of the queue has waited too long */
    unsigned long long lost, dropped;  /* lent to a worker that died; left while they waited */
};

int cnc_front_open(struct cnc_front *front, struct cnc_driver *drv, const struct cnc_front_config *cfg);
/* cnc_conn_ops.handover of the driver, whose lender is the front. */
void cnc_front_handover(struct cnc_driver *drv, struct cnc_conn *conn);
/* The worker in slot has come up; link is the front's from now on. False: there was no link, or no memory; it is closed. */
bool cnc_front_attach(struct cnc_front *front, unsigned slot, int link);
/* Nothing more for the worker in slot. */
void cnc_front_retire(struct cnc_front *front, unsigned slot);
/* The worker in slot was waited for: whose reply has not begun gets 502, the others are cut off. */
void cnc_front_bury(struct cnc_front *front, unsigned slot);
/* The stop's deadline: who waits gets 503, who is lent is given up. */
void cnc_front_give_up(struct cnc_front *front);
void cnc_front_close(struct cnc_front *front);

#endif
