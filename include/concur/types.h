/* SPDX-License-Identifier: MIT
 *
 * Types that several headers share: opaque objects, engines, flags, and the functions that a program passes in.
 *
 * Enumerators have explicit values and are passed as int, so that more can be added. Flags and returned codes are int, too:
 * the names of the enums are for variables and debuggers. The function types never change.
 *
 * A *home* is a serial executor: at most one thread runs it at a time, the thread may change between two callbacks, and
 * callbacks never nest. Every callback of a request runs at the request's home. So a request's own state needs no lock,
 * on any engine. What several requests share is the program's to protect; <concur/shared.h> has what means the same on
 * every engine.
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

/* Routes and options that one engine serves. Made by concur_server_new(), freed by concur_server_free(). */
typedef struct concur_server concur_server;

/* One request and its reply. The library makes and frees it. It is valid in every callback that gets it, and between them
 * while one is still to come; never after on_end. */
typedef struct concur_request concur_request;

/* The only part of a request that other threads may use: see <concur/async.h>. */
typedef struct concur_ticket concur_ticket;

/* What handlers share, see <concur/shared.h>: a number that any handler may add to, and memory under a lock. */
typedef struct concur_counter concur_counter;
typedef struct concur_shared concur_shared;

/* A value that each thread has for itself, such as a database connection: see <concur/shared.h>. */
typedef struct concur_local concur_local;

/* What requests wait for and anybody publishes, in any process of the server: see <concur/shared.h>. */
typedef struct concur_topic concur_topic;

/* The concurrency models. A program names one; CONCUR_ENGINE in the environment or `engine` in the configuration file
 * may name another one. */
typedef enum {
    CONCUR_ENGINE_DEFAULT = 0,        /* from file or environment, else event-pool */
    CONCUR_ENGINE_PREFORK = 1,        /* "prefork": worker processes, each with one connection at a time */
    CONCUR_ENGINE_THREAD = 2,         /* "thread": one process, one thread for each current request */
    CONCUR_ENGINE_EVENT = 3,          /* "event": one thread runs one loop, and no handler may block */
    CONCUR_ENGINE_PROCESS_THREAD = 4, /* "process-thread": a front process and worker processes with many threads */
    CONCUR_ENGINE_PROCESS_EVENT = 5,  /* "process-event": a master, and worker processes that each run a loop */
    CONCUR_ENGINE_EVENT_POOL = 6      /* "event-pool": one loop, and a hidden pool of threads for long tasks */
} concur_engine;

/* Flags of concur_server_route(). */
typedef enum {
    CONCUR_ROUTE_BLOCKING = 1, /* the handler may block: it runs on the pool if there is one, else in place */
    CONCUR_ROUTE_STREAM = 2,   /* the handler is called when the head is complete, before the body */
    CONCUR_ROUTE_IN_MEMORY = 4 /* the body is whole in memory, however `body_memory` is set: up to `body_max` of the route,
                                  at most 64m; a larger one is answered with 413 */
} concur_route_flag;

/* When a hook of concur_server_hook() is called. */
typedef enum {
    CONCUR_HOOK_BEFORE_FORK = 1,  /* a process of the server is about to be forked */
    CONCUR_HOOK_WORKER_START = 2, /* a process that runs handlers is about to serve */
    CONCUR_HOOK_WORKER_EXIT = 3,  /* it has served its last request */
    CONCUR_HOOK_EVENT = 4         /* something happened to the server's processes */
} concur_hook_moment;

/* Flags of concur_server_before() and concur_server_after(). */
typedef enum {
    CONCUR_ROUTES_MAIN_ONLY = 1 /* not for requests that another request makes within the server. This version has none */
} concur_routes_flag;

/* For concur_server_page(), in place of one status. */
typedef enum {
    CONCUR_PAGE_ALL = 0, /* every status from 400 */
    CONCUR_PAGE_4XX = 4,
    CONCUR_PAGE_5XX = 5
} concur_page_status;

/* Needs that concur_server_require() takes, as bits. */
typedef enum {
    CONCUR_NEED_SHARED_MEMORY = 1 /* all handlers and the program itself run in one process and share its memory */
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

/* A route's handler, a posted function, a timer, a drain, the beginning of a stop. Runs at the request's home.
 *
 * returns  the same for every callback of a request, unless its registration says otherwise:
 *          CONCUR_OK       it replied, or left something pending (a timer, wait, offload, ticket, body, pull or drain)
 *          CONCUR_DECLINE  only from a route's handler, before any reply: ask the next route that matches; after the
 *                          last one the answer is 404
 *          200..599        if no reply has begun: reply with that status and a short page of the library
 *          negative        if no reply has begun: the status that <concur/error.h> notes; CONCUR_E_GONE sends nothing
 *
 * If a reply has begun and is not complete, a status or a negative code aborts it so that the client can tell (the
 * connection closes before the announced end, RFC 9112 §8), and gives the request up: concur_request_gone() returns that
 * code, or CONCUR_E_CANCELLED for a status. After a complete reply the value is ignored.
 *
 * Everything else is a bug of the program and answered with 500: CONCUR_DECLINE from another callback, any other number,
 * and CONCUR_OK with neither a reply nor anything pending. Each 500, and each reply that such a value cut off, gets a log
 * line with the route, the code and what was wrong; a process writes at most ten such lines a second, and how many it
 * left out. */
typedef int (*concur_handler_fn)(concur_request *request, void *arg);

/* Called when something has ended, at the request's home. rc is CONCUR_OK or a negative reason unless the registration
 * says otherwise; `return rc;` answers with its status. Returns as concur_handler_fn. */
typedef int (*concur_done_fn)(concur_request *request, int rc, void *arg);

/* A reply with this status is about to be made: see concur_server_after() and concur_server_page(), which also say what
 * the function returns. Runs at the request's home. */
typedef int (*concur_status_fn)(concur_request *request, int status, void *arg);

/* Takes a piece of the request's body, at the request's home.
 *
 * data     n >= 1 bytes. The library's, valid during the call, or after CONCUR_AGAIN until concur_request_resume()
 * returns  CONCUR_OK      taken
 *          CONCUR_AGAIN   not taken: the same piece is given again after concur_request_resume()
 *          negative code  no more of the body is wanted; as for concur_handler_fn */
typedef int (*concur_data_fn)(concur_request *request, const void *data, size_t n, void *arg);

/* Produces the next piece of the reply's body, at the request's home.
 *
 * n        in: room at out in bytes, at least 1; out: the bytes written, 0: the body ends here
 * returns  CONCUR_OK
 *          CONCUR_AGAIN   nothing yet, *n is ignored: asked again after concur_request_resume()
 *          negative code  aborts the reply, as for concur_handler_fn */
typedef int (*concur_pull_fn)(concur_request *request, void *out, size_t *n, void *arg);

/* Work of concur_request_offload(). Sees its argument only, may block, and must not call a function that takes a request.
 * Returns the rc for the done function. */
typedef int (*concur_work_fn)(void *arg);

/* Makes a thread's value for concur_server_local(), on that thread, after any fork; may block. Returns NULL if it cannot
 * be made. */
typedef void *(*concur_make_fn)(void *arg);

/* Frees what a program passed in. Called on any thread of the library and must not block for long, unless the
 * registration says otherwise. */
typedef void (*concur_free_fn)(void *arg);

/* Takes one line of the log, without a newline, valid during the call; level is CONCUR_LOG_*. Called on any thread of the
 * library, on several at once. Must not call the library and should not block. */
typedef void (*concur_log_fn)(int level, const char *line, void *arg);

/* A hook of the server's life. what is CONCUR_HOOK_*; detail is one line for people, without a newline, never NULL, valid
 * during the call. Returns CONCUR_OK or a negative code; concur_server_hook() says what that does. */
typedef int (*concur_hook_fn)(concur_server *server, int what, const char *detail, void *arg);

#ifdef __cplusplus
}
#endif

#endif
