/* SPDX-License-Identifier: MIT
 *
 * Between client.c, which moves bytes, and reply.c, which understands them.
 */
#ifndef E2E_FILL_H
#define E2E_FILL_H

#include "e2e/client.h"

enum fill { FILL_MORE = 0, FILL_END = 1, FILL_TIMEOUT = 2 };

/* Waits for bytes until deadline (as of now_ms), adds them to c->in. Pointers into c->in are invalid after it. */
enum fill client_fill(struct client *c, int64_t deadline);

#endif
