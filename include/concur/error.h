/* SPDX-License-Identifier: MIT
 *
 * Return codes: CONCUR_OK, positive non-errors, negative errors. The numbers never change; new ones are only added.
 *
 * If a handler or another callback of a request returns one of these (`return rc;`), the client gets the status that
 * is noted here, or 500 if there is none (RFC 9110 §15.6.1).
 */
#ifndef CONCUR_ERROR_H
#define CONCUR_ERROR_H

#include <concur/export.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef enum {
    CONCUR_OK = 0,
    CONCUR_DECLINE = 1,         /* from a route's handler: not mine, ask the next route */
    CONCUR_AGAIN = 2,           /* not now; on_drain or concur_request_resume() says when */
    CONCUR_E_INVAL = -1,        /* an argument is out of its range, or text that may not be sent */
    CONCUR_E_NOMEM = -2,        /* out of memory */
    CONCUR_E_SYS = -3,          /* a system call failed; concur_last_error() says which and why */
    CONCUR_E_STATE = -4,        /* not possible now: a second reply, a route after start, a reload without a master */
    CONCUR_E_OPTION = -5,       /* a bad option or configuration file; concur_server_error() lists all errors */
    CONCUR_E_LISTEN = -6,       /* no address to listen on, or one that cannot be bound */
    CONCUR_E_THREADS = -7,      /* the engine forks, and the process has other threads */
    CONCUR_E_FORKED = -8,       /* the object belongs to the process from which the program forked this one */
    CONCUR_E_HOME = -9,         /* called on the wrong thread: see each function's thread line */
    CONCUR_E_UNSUPPORTED = -10, /* this build lacks the engine or feature, or the engine cannot do it */
    CONCUR_E_GONE = -11,        /* the client left: nothing is sent and nothing is logged */
    CONCUR_E_CANCELLED = -12,   /* queued work was dropped before it began: 503 */
    CONCUR_E_STOPPING = -13,    /* the server stops: 503 */
    CONCUR_E_FULL = -14,        /* a queue is at its limit: 503 with Retry-After */
    CONCUR_E_TIMEOUT = -15,     /* a deadline has passed: 504 */
    CONCUR_E_UPSTREAM = -16,    /* another server failed: 502 */
    CONCUR_E_LIMIT = -17,       /* over a size limit, or the caller's buffer is too small: 413 */
    CONCUR_E_BUSY = -18         /* something still runs and could not be waited for */
} concur_code;

/* Says in a few words what a return code means.
 *
 * code     any value
 * returns  static English text without a full stop, never NULL; "unknown code" for a value that is not in the list
 * thread   any, also a signal handler
 * blocks   no */
CONCUR_API const char *concur_strerror(int code);

/* Gives the details of the latest error that a call on this thread returned: which value, address or system call. A
 * call that succeeds does not change the text, so read it only after an error.
 *
 * returns  one line without a newline, never NULL; "" before the thread's first error. The library's, valid until the
 *          thread's next call of any function of the library
 * thread   any
 * blocks   no */
CONCUR_API const char *concur_last_error(void);

#ifdef __cplusplus
}
#endif

#endif
