/* SPDX-License-Identifier: MIT
 *
 * One request on a connection of its own, and the answer with its content.
 */
#ifndef TOOLS_FETCH_H
#define TOOLS_FETCH_H

#include "load/load.h"

struct answer {
    int status;
    char *body; /* owned; chunks are joined, a NUL behind it does not count */
    size_t body_len;
};

/* 0 or a negative errno: -EPROTO what came is not HTTP, -ECONNRESET it ended early, -ETIMEDOUT. `keep`: NULL, or takes
 * the connection after an answer, open; -1 without one. */
int fetch(const struct load_target *target, const struct workload_request *request, unsigned timeout_ms,
          struct answer *out, int *keep);
void answer_free(struct answer *a);

#endif
