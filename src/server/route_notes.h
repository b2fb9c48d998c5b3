/* SPDX-License-Identifier: MIT
 *
 * Routes that are allowed but probably mistakes.
 */
#ifndef CNC_ROUTE_NOTES_H
#define CNC_ROUTE_NOTES_H

#include "server/router.h"

/* Says a line of each, in the order of the routes: level is CONCUR_LOG_WARN where something cannot work as it is written,
 * CONCUR_LOG_INFO where it may be meant. */
void cnc_route_notes(const struct cnc_router *r, void (*say)(void *arg, int level, const char *line), void *arg);

#endif
