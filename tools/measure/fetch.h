/* SPDX-License-Identifier: MIT
 *
 * Sends one request on a new connection, and returns the answer with its content.
 */
#ifndef TOOLS_FETCH_H
#define TOOLS_FETCH_H

#include "load/load.h"

struct answer {
    int status;
    char *body; /* owned; without the chunked coding, and with a NUL behind it */
    size_t body_len;
};

/* 0, or a negative errno: -EPROTO: the answer is not HTTP; -ECONNRESET: it ended early; -ETIMEDOUT. keep: NULL, or it
 * gets the open connection after an answer, else -1. */
int fetch(const struct load_target *target, const struct workload_request *request, unsigned timeout_ms,
          struct answer *out, int *keep);
void answer_free(struct answer *a);

#endif
