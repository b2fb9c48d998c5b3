/* SPDX-License-Identifier: MIT
 *
 * Shared by the files of this folder.
 */
#ifndef CNC_API_H
#define CNC_API_H

#include <concur/concur.h>

#include "engines/configure.h"
#include "server/server.h"

/* The server has not been run or started yet: only then may the set-up functions change it. */
static inline bool cnc_api_is_set_up(concur_server *s)
{
    return atomic_load(&s->state) == CNC_SERVER_SETUP;
}

/* server.c */
/* Makes a set-up of all layers and puts it in force. Returns as cnc_configure(): after CONCUR_E_NOMEM s->setup may be NULL. */
int cnc_api_resolve(concur_server *s);
/* Frees the server and all that it owns. No thread of the library may use it any more. */
void cnc_api_destroy(concur_server *s);
/* Sets the thread's last error, and keeps its line for concur_server_error(): only the line of the last check, run or start is
 * kept. Returns code. */
int cnc_api_fail(concur_server *s, int code, const char *fmt, ...) CNC_PRINTF(3, 4);

#endif
