/* SPDX-License-Identifier: MIT
 *
 * Routes that are allowed but probably mistakes.
 */
#ifndef CNC_ROUTE_NOTES_H
#define CNC_ROUTE_NOTES_H

#include "server/router.h"

/* Calls say() with a line about each, in the order of the routes. level: CONCUR_LOG_WARN if a route cannot work as it
 * is written, CONCUR_LOG_INFO if it may be meant so. */
void cnc_route_notes(const struct cnc_router *r, void (*say)(void *arg, int level, const char *line), void *arg);

#endif
