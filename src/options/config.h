/* SPDX-License-Identifier: MIT
 *
 * The options as plain values: one member for each row of options.def, named like it.
 *   BOOL bool; INT, AUTO, SIZE (bytes) and TIME (ms) int64_t; ENUM int; STRING const char *, never NULL;
 *   LIST struct cnc_config_list
 * "auto" is replaced by a number here: pool_threads, threads_max and workers have the engine's default.
 */
#ifndef CNC_CONFIG_H
#define CNC_CONFIG_H

#include "base/base.h"

enum cnc_half_close { CNC_HALF_CLOSE_CANCEL = 0, CNC_HALF_CLOSE_ALLOW = 1 };
enum cnc_lend { CNC_LEND_REQUEST = 0, CNC_LEND_CONNECTION = 1 };
enum cnc_sighup { CNC_SIGHUP_RELOAD = 0, CNC_SIGHUP_LEAVE = 1 };
enum cnc_blocking { CNC_BLOCKING_AUTO = 0, CNC_BLOCKING_ON = 1, CNC_BLOCKING_OFF = 2 };

struct cnc_config_list {
    const char *const *items; /* borrowed from the options */
    size_t count;
};

#define CNC_MEMBER_BOOL(name) bool name;
#define CNC_MEMBER_INT(name) int64_t name;
#define CNC_MEMBER_AUTO(name) int64_t name;
#define CNC_MEMBER_SIZE(name) int64_t name;
#define CNC_MEMBER_TIME(name) int64_t name;
#define CNC_MEMBER_ENUM(name) int name;
#define CNC_MEMBER_STRING(name) const char *name;
#define CNC_MEMBER_LIST(name) struct cnc_config_list name;

#define CNC_MEMBER_OF_SERVER_START(member) member
#define CNC_MEMBER_OF_SERVER_RELOAD(member) member
#define CNC_MEMBER_OF_SERVER_ROUTE(member) member
#define CNC_MEMBER_OF_SERVER_ROUTE_ONLY(member)
#define CNC_MEMBER_OF_ROUTE_START(member)
#define CNC_MEMBER_OF_ROUTE_RELOAD(member)
#define CNC_MEMBER_OF_ROUTE_ROUTE(member) member
#define CNC_MEMBER_OF_ROUTE_ROUTE_ONLY(member) member

struct cnc_config {
#define CNC_OPTION(id, name, type, dflt, min, max, unit, scope, engines, doc) \
    CNC_MEMBER_OF_SERVER_##scope(CNC_MEMBER_##type(name))
#include "options/options.def"
};

struct cnc_route_config {
#define CNC_OPTION(id, name, type, dflt, min, max, unit, scope, engines, doc) \
    CNC_MEMBER_OF_ROUTE_##scope(CNC_MEMBER_##type(name))
#include "options/options.def"
};

#endif
