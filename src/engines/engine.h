/* SPDX-License-Identifier: MIT
 *
 * The six engines; table.c lists those that this build has.
 */
#ifndef CNC_ENGINE_H
#define CNC_ENGINE_H

#include "server/role.h"

/* The engine with this id; NULL: this build does not have it. */
const struct cnc_engine_ops *cnc_engine_find(int id);

extern const struct cnc_engine_ops cnc_engine_prefork;
extern const struct cnc_engine_ops cnc_engine_thread;
extern const struct cnc_engine_ops cnc_engine_event;
extern const struct cnc_engine_ops cnc_engine_process_thread;
extern const struct cnc_engine_ops cnc_engine_process_event;
extern const struct cnc_engine_ops cnc_engine_event_pool;

#endif
