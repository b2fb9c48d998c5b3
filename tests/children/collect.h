/* SPDX-License-Identifier: MIT
 *
 * A carrier that collects: a request that it begins has no connection, and what the request answers is kept in memory. It can
 * say that it is full, give a body in pieces of random lengths, and leave at any byte of the reply.
 */
#ifndef COLLECT_H
#define COLLECT_H

#include "request/request.h"

enum collect_end { COLLECT_OPEN, COLLECT_WHOLE, COLLECT_ABORTED, COLLECT_LEFT, COLLECT_REFUSED };

struct collect_text {
    char *p;
    size_t n, cap;
};

/* INV: stream != NULL only while end is OPEN. */
struct collect {
    /* set by the owner, which has cleared the rest */
    struct cnc_home *home;
    void (*over)(struct collect *); /* once, at home, in no call of the request: the carrier is used no more */
    size_t leave_at;                /* so many bytes of the reply are taken, then it leaves; SIZE_MAX: it stays */
    size_t high;                    /* with more than so many bytes it says CONCUR_AGAIN */
    uint64_t seed;                  /* of the pieces of the body; not 0 */
    const char *input;              /* the body of the request; the owner's */
    size_t input_n;
    /* what it has seen */
    enum collect_end end;
    int status;
    struct collect_text type, fields, body;
    unsigned replies, interims, again, drains, pieces, resumes;
    /* its own */
    struct cnc_stream *stream;
    size_t taken, waiting, input_at;
    char *held; /* a piece of the body that is being given, or was left in place */
    size_t held_n;
    char made[4096];
    bool no_body, wanted, paused, told;
    bool give_due, drain_due, leave_due;
    struct cnc_task give, drain, leave, over_task;
};

/* Begins a request, in no call of one. fields: lines of the head, such as "X-A: b\r\n", or "". */
void collect_begin(struct collect *c, concur_server *server, const char *method, const char *target, const char *fields);
/* Leaves soon, as a client does. */
void collect_leave(struct collect *c);
/* Frees what it has collected. */
void collect_deinit(struct collect *c);
const char *collect_end_name(enum collect_end end);

#endif
