/* SPDX-License-Identifier: MIT
 *
 * Finds workloads and concur-demo: in the build tree of this program, or where it is installed.
 */
#ifndef TOOLS_PLACES_H
#define TOOLS_PLACES_H

#include <stdbool.h>
#include <stddef.h>

/* Finds the file of a workload, given by its path or its name. */
bool places_workload(const char *text, char *out, size_t room);
/* Finds concur-demo; if it is not found, *out is its name, for a search in PATH. */
void places_demo(char *out, size_t room);

#endif
