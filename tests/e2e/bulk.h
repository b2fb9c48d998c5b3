/* SPDX-License-Identifier: MIT
 *
 * A few clients that move large bodies as fast as the server does, each one request at a time on a connection that it keeps.
 */
#ifndef E2E_BULK_H
#define E2E_BULK_H

#include "e2e/client.h"
#include "e2e/harness.h"

enum { BULK_MAX = 16 };

struct mover;

struct bulk {
    /* Given before bulk_open(). */
    unsigned port;
    int clients;
    const char *target;
    size_t up;       /* bytes of the request's body; 0: a GET */
    size_t down;     /* bytes of the reply's body, at least where it is chunked */
    bool is_chunked; /* how the reply's body is framed */
    /* Its own. */
    struct mover *movers;
    char request[256], *body, *room;
    size_t request_len;
};

void bulk_open(struct bulk *b);
/* So many requests more. Fails unless every reply is there, with the body's length. */
void bulk_move(struct bulk *b, size_t count);
void bulk_close(struct bulk *b);

#endif
