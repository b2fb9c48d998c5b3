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
 *   <concur/server.h>   set-up, options, start, stop
 *   <concur/request.h>  what the client sent, the body, memory, deadlines, the request's end
 *   <concur/reply.h>    replies
 *   <concur/async.h>    replying later: timers, descriptors, work on other threads, tickets
 *   <concur/shared.h>   counters, memory and topics that all handlers share; values of each thread
 *   <concur/types.h>    objects, engines, flags, types of functions
 *   <concur/error.h>    return codes and their text
 *
 * Words:
 *
 *   callback    a function of the program that the library calls: a handler, a timer, a hook
 *   loop        a thread that waits for many connections and runs callbacks in between (event, event-pool, process-event)
 *   pool        the option `pool_threads`: threads for routes that block and for offloaded work
 *   home        where all callbacks of a request run: a loop or a thread. One at a time, never nested; two callbacks
 *               may run on different threads. So a request's own state needs no lock, on any engine
 *   pending     what a request waits for: a timer, descriptor, offload, ticket, topic, body, pull or drain
 *   given up    of a request: nobody waits for its reply any more, see <concur/request.h>
 *   worker      a process that runs handlers
 *   master      the process that starts and watches the workers: on prefork, process-thread and process-event, and with
 *               the option `master`
 *   host        the process that called run or start; in run it is also the master, if any
 *   generation  the workers of one configuration; a reload replaces them by the next generation
 *
 * What holds for a whole header or section is said once, at its head. The lines of a description:
 *
 *   text     NUL-terminated, UTF-8 or ASCII
 *   pointer  a pointer argument stays the caller's and is read during the call only, unless its line says otherwise
 *   returns  every value; besides these CONCUR_E_HOME, if the library notices that a thread rule is broken
 *   thread   where it may be called. "set-up": one thread at a time, before run or start. "home": a callback of that
 *            very request. "any": any thread at any time, also in a handler
 *   blocks   whether and how long a call may wait
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

/* The version of these headers (semantic versioning; before 1.0 a minor version may break programs). */
#define CONCUR_VERSION_MAJOR 0
#define CONCUR_VERSION_MINOR 1
#define CONCUR_VERSION_PATCH 0
#define CONCUR_VERSION "0.1.0"

/* Returns the version of the library that the program runs with, as static text "MAJOR.MINOR.PATCH". CONCUR_VERSION is
 * that of the headers.
 *
 * thread   any
 * blocks   no */
CONCUR_API const char *concur_version(void);

#ifdef __cplusplus
}
#endif

#endif
