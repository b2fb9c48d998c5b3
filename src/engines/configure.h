/* SPDX-License-Identifier: MIT
 *
 * Makes a set-up of the configuration, and checks that an engine can serve it: at the start and for each reload.
 */
#ifndef CNC_CONFIGURE_H
#define CNC_CONFIGURE_H

#include "engines/engine.h"

/* Builds a set-up beside the one in force, from what the program said, the file as it was read, and the environment.
 * CONCUR_OK; CONCUR_E_NOMEM: *out is NULL; CONCUR_E_OPTION or _UNSUPPORTED: *out is there all the same, for texts, but cannot
 * be served. */
int cnc_configure(concur_server *server, struct cnc_setup **out);
/* The same with the file read again. CONCUR_OK, or an error with a sentence and *out is NULL: also if it could not be served,
 * or would change what a running server cannot change. */
int cnc_configure_again(concur_server *server, struct cnc_setup **out);
/* Can it be served, as far as that can be said without a resource? CONCUR_OK, or an error with a sentence. */
int cnc_configure_check(const concur_server *server, const struct cnc_setup *setup);

#endif
