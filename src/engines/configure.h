/* SPDX-License-Identifier: MIT
 *
 * Makes a set-up from the configuration, and checks that an engine can serve it: at the start and for each reload.
 */
#ifndef CNC_CONFIGURE_H
#define CNC_CONFIGURE_H

#include "engines/engine.h"

/* Builds a set-up, beside the one in force, from the program's options, the file as it was read, and the environment.
 * CONCUR_OK; CONCUR_E_NOMEM, and *out is NULL; CONCUR_E_OPTION or _UNSUPPORTED, and *out is set for texts such as the
 * dump, but cannot be served. */
int cnc_configure(concur_server *server, struct cnc_setup **out);
/* The same, but reads the file again. CONCUR_OK, or an error with the thread's last error set and *out NULL: also if
 * the set-up could not be served, or would change what cannot change while the server runs. */
int cnc_configure_again(concur_server *server, struct cnc_setup **out);
/* Can the set-up be served? Checks what it can without opening anything. CONCUR_OK, or an error with the thread's last
 * error set. */
int cnc_configure_check(const concur_server *server, const struct cnc_setup *setup);

#endif
