/* SPDX-License-Identifier: MIT
 *
 * Types that several headers share: the opaque objects, the engines, flags, and the functions that a program hands
 * over.
 *
 * Enumerators have explicit values and are passed as int, so that they can grow. The function types below never change.
 *
 * A *home* is a serial executor: at most one thread runs it at a time, the thread may change between two callbacks, and
 * two callbacks never nest. Every callback of a request runs at the request's home. A request's own state therefore
 * needs no lock, on any engine. What several requests share is the program's to guard; <concur/shared.h> has what means
 * the same on every engine.
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

/* A set of routes and options that one engine serves. Made by concur_server_new(), freed by concur_server_free(). */
typedef struct concur_server concur_server;

/* One request and its reply. The library makes and frees it; a program never does. It is valid in every callback that
 * gets it, and between them for as long as one of them is still to come; after on_end never. */
typedef struct concur_request concur_request;

/* The one thing of a request that other threads may touch: see <concur/async.h>. */
typedef struct concur_ticket concur_ticket;

/* What handlers share, see <concur/shared.h>: a number that anyone may add to, and memory under a lock. Each is made
 * during the set-up and belongs to its server. */
typedef struct concur_counter concur_counter;
typedef struct concur_shared concur_shared;

/* What each thread that runs handlers has one of, such as a database connection: see <concur/shared.h>. */
typedef struct concur_local concur_local;

/* The concurrency models. A program names one; CONCUR_ENGINE in the environment or `engine` in the configuration file
 * may name another one. */
typedef enum {
    CONCUR_ENGINE_DEFAULT = 0,        /* from file or environment, else event-pool */
    CONCUR_ENGINE_PREFORK = 1,        /* "prefork": worker processes, one connection each at a time */
    CONCUR_ENGINE_THREAD = 2,         /* "thread": one process, a thread for every request in flight */
    CONCUR_ENGINE_EVENT = 3,          /* "event": one loop, one handler thread, nothing may block */
    CONCUR_ENGINE_PROCESS_THREAD = 4, /* "process-thread": a front process and multithreaded workers */
    CONCUR_ENGINE_PROCESS_EVENT = 5,  /* "process-event": a master and workers that are loops */
    CONCUR_ENGINE_EVENT_POOL = 6      /* "event-pool": one loop and a hidden pool of threads for long tasks */
} concur_engine;

/* Flags of concur_server_route(). */
enum {
    CONCUR_ROUTE_BLOCKING = 1, /* the handler may block: it runs on the pool where there is one, else in place */
    CONCUR_ROUTE_STREAM = 2    /* the handler is called when the head is complete, before the body */
};

/* When concur_server_hook() calls. */
enum {
    CONCUR_HOOK_BEFORE_FORK = 1,  /* a process of the server is about to be forked */
    CONCUR_HOOK_WORKER_START = 2, /* a process that runs handlers is about to serve */
    CONCUR_HOOK_WORKER_EXIT = 3,  /* it has served its last request */
    CONCUR_HOOK_EVENT = 4         /* something happened to the server's processes */
};

/* What concur_server_require() asks for; a set of bits. */
enum {
    CONCUR_NEED_SHARED_MEMORY = 1 /* all handlers, and the program itself, run in one process and share its memory */
};

/* What concur_request_await() waits for; a set of bits. */
enum {
    CONCUR_READ = 1,
    CONCUR_WRITE = 2
};

/* Where concur_request_get() and concur_request_at() look. */
enum {
    CONCUR_IN_PARAM = 1,  /* parameters of the route's pattern, percent-decoded */
    CONCUR_IN_QUERY = 2,  /* the target's query, decoded: percent escapes, and "+" as space */
    CONCUR_IN_FORM = 3,   /* an application/x-www-form-urlencoded body in memory, decoded likewise */
    CONCUR_IN_HEADER = 4, /* the request's fields (RFC 9110 §6.3), as sent; names in any case. Host is that of an
                             absolute target where there is one (RFC 9112 §3.2.2) */
    CONCUR_IN_COOKIE = 5  /* pairs of the Cookie fields (RFC 6265 §4.2), as sent */
};

/* Levels of concur_log_fn; the lower, the graver. */
enum {
    CONCUR_LOG_ERROR = 1,
    CONCUR_LOG_WARN = 2,
    CONCUR_LOG_INFO = 3,
    CONCUR_LOG_DEBUG = 4
};

/* What concur_server_text() writes. */
enum {
    CONCUR_TEXT_HELP = 1, /* every option: default, bounds, unit and a line of documentation */
    CONCUR_TEXT_DUMP = 2, /* the values in force with their origin, in the configuration file's syntax */
    CONCUR_TEXT_NOTES = 3 /* what is worth knowing: options that the engine ignores, values from the environment,
                             variables CONCUR_* that name no option, routes that are probably meant otherwise */
};

/* A route's handler, a posted function, a timer, a drain, the beginning of a stop. Runs at the request's home.
 *
 * The return value is the same for every callback of a request unless its registration says otherwise:
 *   CONCUR_OK       it replied, or left something pending (a timer, an offload, a ticket, a body, a pull, a drain)
 *   CONCUR_DECLINE  only from a route's handler, before any reply: the next route that matches is asked, in the end 404
 *   200..599        that status with a short page of the library, if no reply has begun
 *   negative        the status that <concur/error.h> names, if no reply has begun; CONCUR_E_GONE sends nothing
 * Once a reply has begun and is not complete, a status or a negative value aborts it so that the peer can tell (the
 * connection closes before the announced end, RFC 9112 §8), and gives the request up: concur_request_gone() tells that
 * value, or CONCUR_E_CANCELLED for a status. After a complete reply the value is ignored.
 * Anything else is a bug of the program and answered with 500: CONCUR_DECLINE from a later callback, another number,
 * and CONCUR_OK with neither a reply nor anything pending. Of each 500, and of each reply that was cut off by what a
 * callback returned, a line in the log says the route, the code and what was wrong; a process writes at most ten such
 * lines a second, and how many it left out. */
typedef int (*concur_handler_fn)(concur_request *request, void *arg);

/* Something ended: rc says how, CONCUR_OK or a negative reason unless the registration says otherwise. `return rc;`
 * answers with its status; return values are those of concur_handler_fn. Runs at the request's home. */
typedef int (*concur_done_fn)(concur_request *request, int rc, void *arg);

/* A piece of the request's body: n >= 1 bytes at data, the library's, valid during the call, or until
 * concur_request_resume() if the call returns CONCUR_AGAIN. Returns CONCUR_OK (taken), CONCUR_AGAIN (kept in place; the
 * same piece is offered again after resume) or a negative code (no more of the body is wanted; as with
 * concur_handler_fn). Runs at the request's home. */
typedef int (*concur_data_fn)(concur_request *request, const void *data, size_t n, void *arg);

/* Fills the reply's body: *n is the room at out in bytes, at least 1, and becomes the bytes written. Returns CONCUR_OK
 * (*n == 0 ends the body), CONCUR_AGAIN (nothing yet, *n is not looked at; concur_request_resume() asks again) or a
 * negative code, which aborts the reply as with concur_handler_fn. Runs at the request's home. */
typedef int (*concur_pull_fn)(concur_request *request, void *out, size_t *n, void *arg);

/* Work of concur_request_offload(): sees its argument only, may block, and must not call a function of the library that
 * takes a request. Its value goes to the done function as it is. */
typedef int (*concur_work_fn)(void *arg);

/* Makes what concur_server_local() keeps one of for each thread, on that thread, after any fork; may block. NULL: it
 * could not be made. */
typedef void *(*concur_make_fn)(void *arg);

/* Frees what a program handed over. Called on any thread of the library, unless the registration says otherwise; must
 * not block for long. */
typedef void (*concur_free_fn)(void *arg);

/* Takes one line of the log, without a newline; level is one of CONCUR_LOG_*. The line is valid during the call. Called
 * on any thread of the library, on several at once; it must not call the library and should not block. */
typedef void (*concur_log_fn)(int level, const char *line, void *arg);

/* A hook of the server's life: what is one of CONCUR_HOOK_*, detail a short line for people, never NULL and without a
 * newline, valid during the call. Returns CONCUR_OK or a negative code, which concur_server_hook() gives a meaning. */
typedef int (*concur_hook_fn)(concur_server *server, int what, const char *detail, void *arg);

#ifdef __cplusplus
}
#endif

#endif
