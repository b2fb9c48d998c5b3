/* SPDX-License-Identifier: MIT
 *
 * The reply. It is whole (concur_reply_text(), _printf(), _bytes(), _redirect()), pulled (_pull(): the library asks for
 * bytes when it can send some) or pushed (_begin(), _write(), _end()). A request has one reply; a second one is
 * CONCUR_E_STATE and does no harm.
 *
 * Errors are remembered. After concur_reply_header() has refused a field, or memory ran out, every later call for this
 * reply returns that first error and sends nothing. So a program may look at its last call only and return its result: if
 * no reply has begun, the client gets the error's status, without the fields that were added. CONCUR_E_STATE is not
 * remembered.
 *
 * The library does the framing (RFC 9112 §6): Content-Length if the length is known, else chunked; for HTTP/1.0 the
 * connection closes at the end. A reply to HEAD has the same head as one to GET, and no body. Replies with 204, 205 and
 * 304 have no body, length or type (RFC 9110 §15.3.5, §15.3.6, §15.4.5): what the program passes for these is dropped. The
 * client can always tell that a reply was aborted: the connection closes before the announced end.
 *
 * A reply has one Content-Type (RFC 9110 §8.3). One that concur_reply_header() added wins over what the other calls
 * give or imply, also for 204, 205 and 304.
 *
 * For all functions here, where nothing else is said:
 *
 *   request  not NULL
 *   status   200..599
 *   type     the Content-Type, such as "application/json"; NULL: none is sent. Copied
 *   returns  CONCUR_OK
 *            CONCUR_E_INVAL  a bad status, type or other argument
 *            CONCUR_E_NOMEM
 *            CONCUR_E_STATE  a second reply
 *            CONCUR_E_GONE   given up: concur_request_gone() returns the reason
 *            CONCUR_E_FORKED
 *            or the remembered error
 *   thread   home
 *   blocks   no: what the client does not take at once is sent later, by the library
 */
#ifndef CONCUR_REPLY_H
#define CONCUR_REPLY_H

#include <concur/types.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define CONCUR_PRINTF(at, first) __attribute__((__format__(__printf__, at, first)))
#else
#define CONCUR_PRINTF(at, first)
#endif

/* Adds a field to the reply's head (RFC 9110 §6.3). A name may be added several times; each gets a line of its own.
 * Only Content-Type replaces an earlier one; with the value "" none is sent.
 *
 * name     a token (RFC 9110 §5.1), but not one of the fields that only the library sends: Connection, Content-Length,
 *          Transfer-Encoding, Trailer, TE, Keep-Alive, Upgrade, Proxy-Connection, Date. Copied
 * value    without control characters such as CR and LF, except tab (RFC 9110 §5.5). Copied
 * returns  as above; CONCUR_E_STATE: the reply has begun. CONCUR_E_INVAL and CONCUR_E_NOMEM are remembered */
CONCUR_API int concur_reply_header(concur_request *request, const char *name, const char *value);

/* Replaces all fields of a name by one, or adds it if there is none.
 *
 * name, value, returns: as for concur_reply_header() */
CONCUR_API int concur_reply_set_header(concur_request *request, const char *name, const char *value);

/* Removes all fields of a name that were added. It is no error if there is none.
 *
 * name, returns: as for concur_reply_header() */
CONCUR_API int concur_reply_remove_header(concur_request *request, const char *name);

/* Gives the value of a field that was added to the reply; of several with the same name the first.
 *
 * name     in any case
 * returns  a copy in the request's memory, a new one for each call; NULL: none was added, or out of memory */
CONCUR_API const char *concur_reply_get_header(concur_request *request, const char *name);

/* Adds a Set-Cookie field (RFC 6265 §4.1). To remove a cookie from the client, set it again with the same domain and path
 * and with max_age 0.
 *
 * name     a token; "__Secure-..." needs CONCUR_COOKIE_SECURE, "__Host-..." also path "/" and no domain
 * value    visible ASCII without quotes, commas, semicolons and backslashes; it may be enclosed in quotes. The library
 *          does not encode it
 * domain   the host and its subdomains get the cookie back; NULL: only the host that set it
 * path     begins with "/": only targets under it get the cookie back; NULL: the folder of the request's path
 * max_age  seconds until the client drops it; -1: when its session ends
 * flags    CONCUR_COOKIE_* bits
 * returns  as for concur_reply_header(); CONCUR_E_INVAL also for what clients would ignore */
CONCUR_API int concur_reply_cookie(concur_request *request, const char *name, const char *value, const char *domain,
                                   const char *path, int64_t max_age, int flags);

/* Sends an interim reply before the reply begins (RFC 9110 §15.2), such as 103 with Link fields, so that the client can
 * fetch what the page will need (RFC 8297). Any number may be sent; the reply must follow. HTTP/1.0 clients are sent
 * nothing.
 *
 *     static const char *const links[] = { "</style.css>; rel=preload; as=style" };
 *     concur_reply_interim(r, 103, "Link", links, 1);
 *
 * status   102..199: the library itself sends 100 and 101
 * name     of the fields, as for concur_reply_header(); may be NULL if n is 0
 * values   n values, each in a field of its own. Copied. They are not fields of the reply
 * returns  as above, but no error is remembered; CONCUR_E_FULL: more than `output_max` waits to be sent, nothing was added
 * blocks   as concur_reply_write(). On a loop it is sent after the callback has returned */
CONCUR_API int concur_reply_interim(concur_request *request, int status, const char *name, const char *const *values,
                                    size_t n);

/* Replies with a text, as text/plain; charset=utf-8.
 *
 * text     copied; NULL: an empty body */
CONCUR_API int concur_reply_text(concur_request *request, int status, const char *text);

/* Replies with formatted text.
 *
 * type     NULL: text/plain; charset=utf-8
 * format   as for printf(); if it fails: CONCUR_E_INVAL */
CONCUR_API int concur_reply_printf(concur_request *request, int status, const char *type, const char *format, ...)
    CONCUR_PRINTF(4, 5);

/* Replies with bytes.
 *
 * bytes    n bytes; may be NULL if n is 0. With free_fn they are not copied and must not change until it is called
 * n        CONCUR_E_INVAL for an impossible length, such as a negative number
 * free_fn  called exactly once, as free_fn(arg), on any thread of the library, when the bytes are not needed any more: if
 *          this call fails, before it returns. NULL: the bytes are copied */
CONCUR_API int concur_reply_bytes(concur_request *request, int status, const char *type, const void *bytes, size_t n,
                                  concur_free_fn free_fn, void *arg);

/* Replies with a redirect (RFC 9110 §15.4): the field Location, and a body of one line.
 *
 * status   301, 302, 303, 307 or 308
 * location a URI or a path such as "/login?next=%2F" (RFC 3986 §4.1): ASCII, anything else percent-encoded. Copied. It may
 *          lead anywhere, so check what comes from a client
 * returns  as above; CONCUR_E_INVAL also for a bad location */
CONCUR_API int concur_reply_redirect(concur_request *request, int status, const char *location);

/* Replies with a body that a function produces while it is sent.
 *
 * len      bytes that pull will produce; -1: not known. If it produces fewer or more, the reply is aborted
 * pull     see concur_pull_fn. Called when there is room, never from within this call, nor for a reply without a body
 * arg      passed to pull; the caller's, must live until the request ends */
CONCUR_API int concur_reply_pull(concur_request *request, int status, const char *type, int64_t len,
                                 concur_pull_fn pull, void *arg);

/* Begins a reply whose body follows with concur_reply_write(), until concur_reply_end(). If a callback returns before that
 * with nothing pending, the reply is aborted.
 *
 * A reply without a body is complete at once, or when a request body that the program asked for has been read. With 204,
 * 205 and 304 concur_reply_write() still succeeds, and drops the bytes. To HEAD the request is given up with
 * CONCUR_E_GONE (no body is wanted), but on_end gets CONCUR_OK. */
CONCUR_API int concur_reply_begin(concur_request *request, int status, const char *type);

/* Sends a piece of the body after concur_reply_begin().
 *
 * On a loop the bytes are queued. CONCUR_AGAIN says that they were taken, and that more than `output_high` now waits to be
 * sent: go on when concur_reply_on_drain() says so. If the program writes on and more than `output_max` would wait, the
 * reply is aborted. Elsewhere (on thread, process-thread, prefork, and for a blocking route on the pool) the call waits
 * for room and never returns CONCUR_AGAIN.
 *
 * bytes    copied; may be NULL if n is 0
 * n        0 sends nothing
 * returns  as above, and:
 *          CONCUR_AGAIN      taken, over `output_high`
 *          CONCUR_E_STATE    no reply was begun, or it has ended
 *          CONCUR_E_TIMEOUT  the client took nothing for `write_timeout`
 *          CONCUR_E_INVAL    an impossible length, or bytes is NULL and n is not 0
 *          CONCUR_E_LIMIT    over `output_max` after CONCUR_AGAIN
 *          CONCUR_E_INVAL, _LIMIT, _NOMEM and a remembered error abort the reply: a piece is missing
 * blocks   no on a loop; else while over `output_high`, at most `write_timeout` without progress */
CONCUR_API int concur_reply_write(concur_request *request, const void *bytes, size_t n);

/* Calls a function when there is room again after CONCUR_AGAIN. It is pending.
 *
 * drain    called once, never from within this call, as soon as less than `output_low` waits to be sent; not if the request
 *          is given up. It replaces one that has not been called yet; NULL only removes that one
 * arg      passed to drain; the caller's, must live until drain or on_end has run
 * returns  CONCUR_OK; CONCUR_E_GONE; CONCUR_E_STATE: no reply was begun, or it has ended */
CONCUR_API int concur_reply_on_drain(concur_request *request, concur_handler_fn drain, void *arg);

/* Ends a reply that concur_reply_begin() began.
 *
 * returns  CONCUR_OK: the reply is complete and on its way; CONCUR_E_STATE: no reply was begun, or it has ended;
 *          CONCUR_E_GONE; the remembered error: the reply was aborted */
CONCUR_API int concur_reply_end(concur_request *request);

/* Tells whether the reply has begun. After that its status and its fields cannot be changed.
 *
 * returns  0: it has not; else its status */
CONCUR_API int concur_reply_status(concur_request *request);

/* Tells how many bytes of the reply's body the library has taken so far, without head and framing. Some may still wait to
 * be sent.
 *
 * returns  bytes; 0 before the reply has begun, and for a reply without a body, such as one to HEAD */
CONCUR_API int64_t concur_reply_sent(concur_request *request);

#ifdef __cplusplus
}
#endif

#endif
