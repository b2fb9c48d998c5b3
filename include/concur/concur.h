/* SPDX-License-Identifier: MIT
 *
 * libconcur: one handler, six concurrency models. A program registers handlers, names an engine and serves HTTP.
 *
 *     static int hello(concur_request *r, void *arg) { return concur_reply_text(r, 200, "Hello, World!"); }
 *     ...
 *     concur_server *s = concur_server_new(CONCUR_ENGINE_EVENT, NULL);
 *     concur_server_listen(s, "127.0.0.1:8080");
 *     concur_server_route(s, "GET /", 0, hello, NULL);
 *     int rc = concur_server_run(s);
 *     concur_server_free(s);
 *
 *   <concur/error.h>    return codes and their text
 *   <concur/types.h>    objects, engines, flags, function types, and what a home is
 *   <concur/server.h>   set-up, options, start, stop
 *   <concur/request.h>  what the client sent, the body, memory, deadlines, the request's end
 *   <concur/reply.h>    whole, pulled and pushed replies
 *   <concur/async.h>    work on other threads, timers, descriptors, tickets
 *   <concur/shared.h>   counters and memory that all handlers share; what each thread has one of
 *
 * How to read the descriptions. Text is NUL-terminated UTF-8 or ASCII. *returns* lists every value; where a
 * thread rule is broken CONCUR_E_HOME may come on top. *thread* says who may call: "set-up" is one thread at a time
 * before run or start, "home" is a callback of that very request, "any" is any thread at any time. *blocks* says
 * whether and how long a call may wait. Where nothing is said about a pointer that is passed in, it is read during the
 * call only and stays the caller's.
 */
#ifndef CONCUR_CONCUR_H
#define CONCUR_CONCUR_H

#include <concur/async.h>
#include <concur/error.h>
#include <concur/export.h>
#include <concur/reply.h>
#include <concur/request.h>
#include <concur/server.h>
#include <concur/shared.h>
#include <concur/types.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The version of these headers (semantic versioning; before 1.0 a minor version may break). */
#define CONCUR_VERSION_MAJOR 0
#define CONCUR_VERSION_MINOR 1
#define CONCUR_VERSION_PATCH 0
#define CONCUR_VERSION "0.1.0"

/* Tells the version of the library that the program runs with; compare with CONCUR_VERSION, that of the headers.
 *
 * returns  static text "MAJOR.MINOR.PATCH"
 * thread   any, also inside a handler
 * blocks   no
 * since    0.1 */
CONCUR_API const char *concur_version(void);

#ifdef __cplusplus
}
#endif

#endif
