/* SPDX-License-Identifier: MIT
 *
 * Reads JSON strictly and names the path of each member, such as workloads[].engines[].problem.
 */
#ifndef TESTS_TOOLS_JSON_WALK_H
#define TESTS_TOOLS_JSON_WALK_H

#include <stdbool.h>

/* False: it is not JSON. */
bool json_walk(const char *text, void (*on_member)(const char *path, void *arg), void *arg);

#endif
