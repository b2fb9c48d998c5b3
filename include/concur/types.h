/* SPDX-License-Identifier: MIT
 *
 * Types that several headers share: objects, engines, flags, and the functions that a program passes in.
 *
 * Enumerators and flags are passed and returned as int, so that more can be added; the enums' own names are for variables
 * and debuggers. The function types never change.
 */
#ifndef CONCUR_TYPES_H
#define CONCUR_TYPES_H

#include <stddef.h>
#include <stdint.h>

#include <concur/error.h>
#include <concur/export.h>

#ifdef __cplusplus
extern "C" {
#endif

/* A server: its addresses, routes and options, and later its threads and processes. See <concur/server.h>. */
typedef struct concur_server concur_server;

/* One request and its reply. The library makes it, and frees it after the last on_end function has returned. */
typedef struct concur_request concur_request;

/* The way from other threads to a request: see <concur/async.h>. */
typedef struct concur_ticket concur_ticket;

/* Shared by all processes of the server, see <concur/shared.h>: a number, memory with a lock, an event to wait for. */
typedef struct concur_counter concur_counter;
typedef struct concur_shared concur_shared;
typedef struct concur_topic concur_topic;

/* A value that each thread has for itself, such as a database connection: see <concur/shared.h>. */
typedef struct concur_local concur_local;

/* The concurrency models; docs/engines.md compares them. A program names one; environment or configuration file may
 * name another one. */
typedef enum {
    CONCUR_ENGINE_DEFAULT = 0,        /* the file or the environment decides, else event-pool */
    CONCUR_ENGINE_PREFORK = 1,        /* "prefork": worker processes; each has one connection at a time */
    CONCUR_ENGINE_THREAD = 2,         /* "thread": one process; a thread for each current request */
    CONCUR_ENGINE_EVENT = 3,          /* "event": one process, one loop; a handler that blocks stops all others */
    CONCUR_ENGINE_PROCESS_THREAD = 4, /* "process-thread": one process accepts; worker processes have many threads */
    CONCUR_ENGINE_PROCESS_EVENT = 5,  /* "process-event": worker processes; each is one loop */
    CONCUR_ENGINE_EVENT_POOL = 6      /* "event-pool": one process, one loop; a pool of threads for what blocks */
} concur_engine;

/* Flags of concur_server_route(). */
typedef enum {
    CONCUR_ROUTE_BLOCKING = 1, /* the handler may block: it runs on the pool if there is one, else where others do */
    CONCUR_ROUTE_STREAM = 2,   /* the handler is called before the body: see concur_request_on_body() */
    CONCUR_ROUTE_IN_MEMORY = 4 /* the body never goes to a file: all of it, up to `body_max`, which is then 64m at most,
                                  stays in memory. Not together with CONCUR_ROUTE_STREAM */
} concur_route_flag;

/* When a hook of concur_server_hook() is called. */
typedef enum {
    CONCUR_HOOK_BEFORE_FORK = 1,  /* a process of the server is about to be forked */
    CONCUR_HOOK_WORKER_START = 2, /* a process that runs handlers is about to serve */
    CONCUR_HOOK_WORKER_EXIT = 3,  /* such a process has served its last request */
    CONCUR_HOOK_EVENT = 4         /* something happened to the server's processes */
} concur_hook_moment;

/* Flags of concur_server_before() and concur_server_after(). */
typedef enum {
    CONCUR_ROUTES_MAIN_ONLY = 1 /* for requests of clients only. No effect yet: there are no others in this version */
} concur_routes_flag;

/* For concur_server_page(), in place of one status. */
typedef enum {
    CONCUR_PAGE_ALL = 0, /* every status from 400 */
    CONCUR_PAGE_4XX = 4,
    CONCUR_PAGE_5XX = 5
} concur_page_status;

/* Bits for concur_server_require(). */
typedef enum {
    CONCUR_NEED_SHARED_MEMORY = 1 /* all handlers run in one process and share its memory */
} concur_need;

/* What concur_request_await() waits for, as bits. */
typedef enum {
    CONCUR_READ = 1,
    CONCUR_WRITE = 2
} concur_readiness;

/* Where concur_request_get() and concur_request_at() look. */
typedef enum {
    CONCUR_IN_PARAM = 1,  /* parameters of the route's pattern, percent-decoded */
    CONCUR_IN_QUERY = 2,  /* the target's query, decoded: percent escapes, and "+" as space */
    CONCUR_IN_FORM = 3,   /* an application/x-www-form-urlencoded body in memory, decoded the same way */
    CONCUR_IN_HEADER = 4, /* the request's fields (RFC 9110 §6.3), as sent; names in any case. Host is that of an
                             absolute target if there is one (RFC 9112 §3.2.2) */
    CONCUR_IN_COOKIE = 5  /* pairs of the Cookie fields (RFC 6265 §4.2), as sent */
} concur_where;

/* Flags of concur_reply_cookie(); a set of bits, of the last three at most one. */
typedef enum {
    CONCUR_COOKIE_SECURE = 1,     /* Secure: sent over TLS only */
    CONCUR_COOKIE_HTTP_ONLY = 2,  /* HttpOnly: scripts in the page do not see it */
    CONCUR_COOKIE_LAX = 4,        /* SameSite=Lax: from other sites only when somebody follows a link */
    CONCUR_COOKIE_STRICT = 8,     /* SameSite=Strict: never from other sites */
    CONCUR_COOKIE_CROSS_SITE = 16 /* SameSite=None: from other sites too; needs CONCUR_COOKIE_SECURE */
} concur_cookie_flag;

/* What concur_request_version() returns: ten times the major version plus the minor one. */
typedef enum {
    CONCUR_HTTP_1_0 = 10,
    CONCUR_HTTP_1_1 = 11
} concur_http_version;

/* Levels of concur_log_fn; lower is more severe. */
typedef enum {
    CONCUR_LOG_ERROR = 1,
    CONCUR_LOG_WARN = 2,
    CONCUR_LOG_INFO = 3,
    CONCUR_LOG_DEBUG = 4
} concur_log_level;

/* What concur_server_text() writes. */
typedef enum {
    CONCUR_TEXT_HELP = 1, /* every option: default, bounds, unit and a line of documentation */
    CONCUR_TEXT_DUMP = 2, /* the current values and where each comes from, in the configuration file's syntax */
    CONCUR_TEXT_NOTES = 3 /* what should be looked at: options that the engine ignores, values from the environment,
                             CONCUR_* variables that name no option, routes that probably mean something else */
} concur_text;

/* A route's handler, a timer, and most other callbacks of a request. Runs at the request's home.
 *
 * returns  for every callback of a request, unless its registration says otherwise:
 *          CONCUR_OK       it replied, or something is pending
 *          CONCUR_DECLINE  only from a route's handler, before any reply: ask the next route that matches; after the
 *                          last one the answer is 404
 *          200..599        reply with this status and a short page
 *          negative        reply with the status that <concur/error.h> notes for it; CONCUR_E_GONE sends nothing
 *
 * If a reply has begun and is not complete, a status or a negative code aborts it: the connection closes before the
 * announced end (RFC 9112 §8), so the client can tell. The request is given up; concur_request_gone() returns the code,
 * or CONCUR_E_CANCELLED for a status. After a complete reply the value is ignored.
 *
 * Everything else is a bug of the program and answered with 500: CONCUR_DECLINE from another callback, any other number,
 * and CONCUR_OK with neither a reply nor anything pending. Each 500, and each reply that is aborted like this, is logged
 * with route, code and reason: at most ten lines a second in a process, then how many were left out. */
typedef int (*concur_handler_fn)(concur_request *request, void *arg);

/* The end of an offload, a wait, a body or a request, with its result. rc is CONCUR_OK or a negative reason unless the
 * registration says otherwise; `return rc;` answers with its status. All else: as concur_handler_fn. */
typedef int (*concur_done_fn)(concur_request *request, int rc, void *arg);

/* Changes a reply or makes an error page: see concur_server_after() and concur_server_page(), also for what it returns.
 * Runs at the request's home. */
typedef int (*concur_status_fn)(concur_request *request, int status, void *arg);

/* Takes a piece of the request's body, at the request's home.
 *
 * data     n >= 1 bytes. The library's, valid during the call, or after CONCUR_AGAIN until concur_request_resume()
 * returns  CONCUR_OK      taken
 *          CONCUR_AGAIN   not taken: the same piece is given again after concur_request_resume()
 *          negative code  no more of the body is wanted; the end function gets this code */
typedef int (*concur_data_fn)(concur_request *request, const void *data, size_t n, void *arg);

/* Produces the next piece of the reply's body, at the request's home.
 *
 * n        in: room at out in bytes, at least 1; out: the bytes written, 0: the body ends here
 * returns  CONCUR_OK
 *          CONCUR_AGAIN   nothing yet, *n is ignored: asked again after concur_request_resume()
 *          negative code  aborts the reply, as for concur_handler_fn */
typedef int (*concur_pull_fn)(concur_request *request, void *out, size_t *n, void *arg);

/* Work of concur_request_offload(). It may block, and must not call a function that takes a request. Returns the rc for
 * the done function. */
typedef int (*concur_work_fn)(void *arg);

/* Makes a thread's value for concur_server_local(), on that thread, after any fork; may block. Returns NULL if it cannot
 * be made. */
typedef void *(*concur_make_fn)(void *arg);

/* Frees something of the program's. Called on any thread of the library, and must not block for long, unless the
 * registration says otherwise. */
typedef void (*concur_free_fn)(void *arg);

/* Takes a line of the log. It has no newline and is valid during the call; level is CONCUR_LOG_*. concur_server_log()
 * says on which threads. Must not call the library, and should not block. */
typedef void (*concur_log_fn)(int level, const char *line, void *arg);

/* A hook of the server's life. what is CONCUR_HOOK_*; detail is one line for people, without a newline, never NULL, valid
 * during the call. Returns CONCUR_OK or a negative code; concur_server_hook() says what that does. */
typedef int (*concur_hook_fn)(concur_server *server, int what, const char *detail, void *arg);

#ifdef __cplusplus
}
#endif

#endif
