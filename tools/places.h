/* SPDX-License-Identifier: MIT
 *
 * Finds workloads and concur-demo: in the build tree of this program, or where it is installed.
 */
#ifndef TOOLS_PLACES_H
#define TOOLS_PLACES_H

#include <stdbool.h>
#include <stddef.h>

/* The file of a workload that is given by its path or by its name. */
bool places_workload(const char *text, char *out, size_t room);
/* concur-demo; where it is not found, its bare name, to be looked up in PATH. */
void places_demo(char *out, size_t room);

#endif
