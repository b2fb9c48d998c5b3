/* SPDX-License-Identifier: MIT
 *
 * One client that pipelines requests as fast as the server takes them and reads nothing, and then reads: what the server
 * takes meanwhile is bounded, and every request that was sent is answered.
 */
#ifndef E2E_FLOOD_H
#define E2E_FLOOD_H

#include "e2e/client.h"
#include "e2e/harness.h"

struct flood {
    size_t length;      /* of each request; 0: drawn for each, between FLOOD_SHORTEST and FLOOD_LONGEST */
    size_t most;        /* requests that are offered */
    unsigned pause_ms;  /* longest pause before and between reads */
    int pauses;         /* how many there are at most */
    int receive_buffer; /* 0: as the system sees fit */
    bool tops_up;       /* goes on sending while it reads, in the end `most` requests */
    long growth_kib;    /* the memory of the server's processes grows by less */
    /* out */
    size_t sent, answered;
    long grew_kib; /* at most, where it was looked at */
};

enum { FLOOD_SHORTEST = 27, FLOOD_LONGEST = 200 };

/* Everything that is not given is drawn from the seed. Fails the test, or prints the figures of one run when loud. */
void flood_draw(struct flood *f, uint64_t seed, unsigned pause_ms);
void flood_run(struct flood *f, const struct demo *d, uint64_t seed);

#endif
