/* SPDX-License-Identifier: MIT
 *
 * Users who ask without a pause, each one request at a time: some on a connection that they keep, some on a fresh one for
 * each request. One thread plays them all.
 */
#ifndef E2E_CROWD_H
#define E2E_CROWD_H

#include "e2e/client.h"
#include "e2e/harness.h"

enum { CROWD_MAX = 64, STALL_MS = 200 };

struct user {
    struct client c;
    bool keeps;
    int asked;        /* requests on this connection, the one under way included */
    int64_t asked_at; /* the request under way */
    long pid;         /* who answered a /whoami on this connection last; 0: nobody yet */
    unsigned mark;    /* the test's; 0 on a new connection */
    long answered;    /* replies of every kind, on all connections */
    int64_t waited;   /* ms, for all of them */
};

struct crowd;
/* What has become of the user's request: a reply, or none. A connection that has ended, or on which the server has said
 * that it will, is replaced after this. */
typedef void crowd_fn(struct crowd *l, struct user *u, const struct reply *r);

struct crowd {
    /* Given before crowd_start(). */
    unsigned port;
    int kept, fresh;            /* users of each kind */
    const char *const *targets; /* one is drawn for each request; NULL: a mixture, each connection begins with /whoami */
    int target_count;
    int most;                   /* requests on a kept connection, before its user takes a new one; 0: without end */
    uint64_t seed;
    crowd_fn *on_end;
    void *arg;
    /* The load's own. */
    int count;
    struct user users[CROWD_MAX];
    int64_t looked_at;
    int64_t stalled_at; /* when all were silent for STALL_MS last, because this process was busy elsewhere; 0: never */
};

void crowd_start(struct crowd *l);
/* Goes on for ms, not scaled. Fails when somebody has waited for longer than WAIT_MS, which is. */
void crowd_run(struct crowd *l, unsigned ms);
/* Nobody asks any more: waits for what is under way, and closes everything. */
void crowd_stop(struct crowd *l);
/* Closes everything as it is. */
void crowd_drop(struct crowd *l);

/* The number behind "name": in JSON; fails when there is none. */
long json_number(const char *json, const char *name);

#endif
