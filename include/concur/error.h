/* SPDX-License-Identifier: MIT
 *
 * Return codes: CONCUR_OK, positive non-errors, negative errors. The numbers never change; new ones are only added.
 *
 * Where a handler or a callback of a request returns one of them (`return rc;`), it is answered with the status that is
 * noted here; an error without a number is a 500 (RFC 9110 §15.6.1).
 */
#ifndef CONCUR_ERROR_H
#define CONCUR_ERROR_H

#include <concur/export.h>

#ifdef __cplusplus
extern "C" {
#endif

enum {
    CONCUR_OK = 0,
    CONCUR_DECLINE = 1,         /* from a route's handler: not mine, ask the next route */
    CONCUR_AGAIN = 2,           /* later: on_drain or concur_request_resume() says when */
    CONCUR_E_INVAL = -1,        /* an argument is out of its range, or text that cannot be sent */
    CONCUR_E_NOMEM = -2,        /* out of memory */
    CONCUR_E_SYS = -3,          /* a system call failed; concur_last_error() names it and says why */
    CONCUR_E_STATE = -4,        /* not now: a second reply, a route after start, a reload without a master */
    CONCUR_E_OPTION = -5,       /* an option or the configuration file; concur_server_error() has all of it */
    CONCUR_E_LISTEN = -6,       /* no address to listen on, or one that cannot be bound */
    CONCUR_E_THREADS = -7,      /* the host has other threads, and the engine forks */
    CONCUR_E_FORKED = -8,       /* what it is about ran before a fork of the program's, and belongs to the other process */
    CONCUR_E_HOME = -9,         /* called from a thread that may not: see each function's thread line */
    CONCUR_E_UNSUPPORTED = -10, /* this build lacks the engine or feature, or the engine cannot do it */
    CONCUR_E_GONE = -11,        /* the client left: nothing is sent and nothing is logged */
    CONCUR_E_CANCELLED = -12,   /* queued work was dropped before it began: 503 */
    CONCUR_E_STOPPING = -13,    /* the server stops: 503 */
    CONCUR_E_FULL = -14,        /* a queue is at its limit: 503 with Retry-After */
    CONCUR_E_TIMEOUT = -15,     /* a deadline has passed: 504 */
    CONCUR_E_UPSTREAM = -16,    /* another server failed us: 502 */
    CONCUR_E_LIMIT = -17,       /* over a size limit, or too small a buffer of the caller: 413 */
    CONCUR_E_BUSY = -18         /* something still runs and could not be waited for */
};

/* Says in a few words what a return code means.
 *
 * code     any value
 * returns  static text in English without a full stop, never NULL; a code that is none of ours gives "unknown code"
 * thread   any, also inside a handler or a signal handler
 * blocks   no
 * since    0.1 */
CONCUR_API const char *concur_strerror(int code);

/* Gives the details of the latest error that a call on this thread returned: which value, which address, which system
 * call.
 *
 * returns  text of one line without a newline, "" before the first error of the thread, never NULL. Owned by the
 *          library and valid until the next call of any function of the library on the same thread. A call that
 *          succeeds leaves the text as it is: look at it only after an error
 * thread   any; each thread sees its own errors only. Inside a handler: yes
 * blocks   no
 * since    0.1 */
CONCUR_API const char *concur_last_error(void);

#ifdef __cplusplus
}
#endif

#endif
