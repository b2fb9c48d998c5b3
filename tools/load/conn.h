/* SPDX-License-Identifier: MIT
 *
 * A connection of the load client: closed, connecting, open; then done. Events, wakes and the end of the measured time
 * come from its worker; each ends in advance(), which does all that can be done now and says when to wake it next.
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
    struct wake wake; /* first: the worker finds the connection by it */
    struct worker *worker;
    const struct plan *plan;
    struct load_part *part;
    enum conn_state state;
    int fd;
    /* A ring of plan->group->depth. INV: written <= flying <= depth */
    struct flight *flights;
    unsigned first, flying, written;
    size_t offset; /* bytes sent of the first that is not written */
    uint64_t turn; /* constant rate: requests taken so far */
    int64_t first_at;
    int64_t free_at;  /* since then it could have sent another */
    int64_t since;    /* the attempt to connect began; slow readers: bytes came */
    int64_t retry_at; /* no connection before */
    int64_t step_at;  /* slow: nothing before */
    bool is_answering, has_asked;
    struct response response;
};

void conn_init(struct conn *c, struct worker *w, size_t group, unsigned index);
void conn_on_event(struct conn *c, uint32_t events, int64_t now);
void conn_on_wake(struct conn *c, int64_t now);
/* The measured time is over: counts what was to be sent, and ends it unless answers are due. */
void conn_on_end(struct conn *c, int64_t now);
/* Gives up what is under way. */
void conn_abandon(struct conn *c);

#endif
