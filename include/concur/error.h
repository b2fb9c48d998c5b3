/* SPDX-License-Identifier: MIT
 *
 * Return codes: 0, positive codes that are no errors, negative errors. The numbers never change; new ones are only added.
 *
 * A callback of a request may return any error (`return rc;`). The client then gets the HTTP status that is noted here;
 * 500 if none is noted (RFC 9110 §15.6.1).
 */
#ifndef CONCUR_ERROR_H
#define CONCUR_ERROR_H

#include <concur/export.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef enum {
    CONCUR_OK = 0,
    CONCUR_DECLINE = 1,         /* from a handler: try the next route. See also _before(), _page() */
    CONCUR_AGAIN = 2,           /* not now: wait for room, or continue with concur_request_resume() or _pass() */
    CONCUR_E_INVAL = -1,        /* a bad argument: out of its range, say, or text that may not be sent */
    CONCUR_E_NOMEM = -2,        /* out of memory */
    CONCUR_E_SYS = -3,          /* a system call failed; concur_last_error() says which and why */
    CONCUR_E_STATE = -4,        /* not possible now: a second reply, a route after start, a reload without a master */
    CONCUR_E_OPTION = -5,       /* a bad option or configuration file; concur_server_error() lists all errors */
    CONCUR_E_LISTEN = -6,       /* no address to listen on, or one that cannot be bound */
    CONCUR_E_THREADS = -7,      /* the engine forks, and the process has other threads */
    CONCUR_E_FORKED = -8,       /* the program forked, and the object belongs to the parent process */
    CONCUR_E_HOME = -9,         /* called on the wrong thread: see the function's thread line */
    CONCUR_E_UNSUPPORTED = -10, /* this build lacks the engine or feature, or the engine cannot do it */
    CONCUR_E_GONE = -11,        /* the request was given up, since the client left, say: nothing is sent or logged */
    CONCUR_E_CANCELLED = -12,   /* queued work was dropped before it began: 503 */
    CONCUR_E_STOPPING = -13,    /* the server stops: 503 */
    CONCUR_E_FULL = -14,        /* a queue is at its limit: 503 with Retry-After */
    CONCUR_E_TIMEOUT = -15,     /* a deadline has passed: 504 */
    CONCUR_E_UPSTREAM = -16,    /* a server that the program asked has failed: 502 */
    CONCUR_E_LIMIT = -17,       /* too large or too many: 413. Or the caller's buffer is too small */
    CONCUR_E_BUSY = -18         /* code of the program still ran when the stop's deadline was over */
} concur_code;

/* Says in a few words what a return code means.
 *
 * code     any value
 * returns  static English text without a full stop, never NULL; "unknown code" for a value that is not in the list
 * thread   any, also a signal handler
 * blocks   no */
CONCUR_API const char *concur_strerror(int code);

/* Gives the details of this thread's latest error that has any: which value, address or system call. Such errors are
 * CONCUR_E_SYS, errors of the set-up, of run and start, and of <concur/shared.h>. Other errors, and success, leave the
 * text as it was.
 *
 * returns  one line without a newline, never NULL; "" at first. It is valid until the thread's next call of the library
 * thread   any
 * blocks   no */
CONCUR_API const char *concur_last_error(void);

#ifdef __cplusplus
}
#endif

#endif
