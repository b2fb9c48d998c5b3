/* SPDX-License-Identifier: MIT
 *
 * Which bodies are read before a thread takes their request: those that their route wants whole and in memory, unless a
 * function of the program must run before the body is read.
 */
#ifndef CNC_BODIES_H
#define CNC_BODIES_H

#include "conn/early.h"
#include "server/server.h"

/* The answer of cnc_conn_ops.early. bytes_max: most bytes of head and body together. */
bool cnc_bodies_want(concur_server *server, const struct cnc_http_head *head, const char *bytes, size_t bytes_max,
                     struct cnc_early_terms *out);

#endif
