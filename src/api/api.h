/* SPDX-License-Identifier: MIT
 *
 * Shared by the files of this folder.
 */
#ifndef CNC_API_H
#define CNC_API_H

#include <concur/concur.h>

#include "engines/configure.h"
#include "server/server.h"

/* Not run or started yet: what the set-up functions ask. */
static inline bool cnc_api_is_set_up(concur_server *s)
{
    return atomic_load(&s->state) == CNC_SERVER_SETUP;
}

/* server.c: puts a set-up in force, made of all layers. As cnc_configure(): after CONCUR_E_NOMEM there may be none. */
int cnc_api_resolve(concur_server *s);
void cnc_api_destroy(concur_server *s);
/* Keeps the one line of check, run or start, in place of an earlier one. Returns code. */
int cnc_api_fail(concur_server *s, int code, const char *fmt, ...) CNC_PRINTF(3, 4);

#endif
