/* SPDX-License-Identifier: MIT
 *
 * A connection of the load client. Its states are closed, connecting, open, done. The worker reports events, wake-ups
 * and the end of the measured time. Each time advance() does all that can be done now, and sets the next wake-up.
 */
#ifndef TOOLS_CONN_H
#define TOOLS_CONN_H

#include "load/worker.h"

enum conn_state { CONN_CLOSED, CONN_CONNECTING, CONN_OPEN, CONN_DONE };

/* A request under way. */
struct flight {
    int64_t intended_at, sent_at;
    const struct prepared *request;
    bool is_measured;
};

struct conn {
    struct wake wake; /* first member: the worker finds the connection by it */
    struct worker *worker;
    const struct plan *plan;
    struct load_part *part;
    enum conn_state state;
    int fd;
    /* A ring of plan->group->depth. INV: written <= flying <= depth */
    struct flight *flights;
    unsigned first, flying, written;
    size_t offset; /* bytes sent of the first request that is not written */
    uint64_t turn; /* constant rate: requests begun so far */
    int64_t first_at;
    int64_t free_at;  /* since when another request could have been sent */
    int64_t since;    /* when the attempt to connect began; slow readers: when bytes came last */
    int64_t retry_at; /* when to connect again */
    int64_t step_at;  /* slow clients: when to send or read next */
    bool is_answering, has_asked;
    struct response response;
};

void conn_init(struct conn *c, struct worker *w, size_t group, unsigned index);
void conn_on_event(struct conn *c, uint32_t events, int64_t now);
void conn_on_wake(struct conn *c, int64_t now);
/* The measured time is over: counts requests that were due and not sent, and closes it unless answers are awaited. */
void conn_on_end(struct conn *c, int64_t now);
/* Gives up the requests under way. */
void conn_abandon(struct conn *c);

#endif
