/* SPDX-License-Identifier: MIT
 *
 * What the client sent, and the life of a request.
 *
 * A request ends when its reply is complete or it was given up, and nothing is pending. It is given up when the client
 * left, a deadline passed, the server's stop reached its deadline, or the program aborted its own reply. Then
 * concur_request_gone() returns the reason and on_cancel functions run; the request stays valid until its end.
 *
 * For all functions here, where nothing else is said:
 *
 *   request  not NULL
 *   returns  text and memory are the request's, never move, and are valid until its last on_end function has returned.
 *            Text must not be written to
 *   arg      passed to the callback as it is; the caller's, must live until the request ends
 *   thread   home: in a callback of this very request. Elsewhere int functions return CONCUR_E_HOME and all pointer
 *            functions NULL if the library notices; do not rely on that. Other threads use a ticket: <concur/async.h>
 *   blocks   no
 */
#ifndef CONCUR_REQUEST_H
#define CONCUR_REQUEST_H

#include <concur/types.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- what the client sent ---- */

/* Gives the request's method (RFC 9110 §9).
 *
 * returns  as sent, such as "GET". In a route for GET it may be "HEAD". Never NULL */
CONCUR_API const char *concur_request_method(concur_request *request);

/* Gives the path: percent-decoded once, without dot segments (RFC 3986 §5.2.4) and without the query. Routes match it.
 *
 * returns  text that begins with "/", or "*" (RFC 9112 §3.2.4). It contains no byte 0. Never NULL */
CONCUR_API const char *concur_request_path(concur_request *request);

/* Gives the address of the other end of the connection.
 *
 * returns  "192.0.2.1:50000", "[2001:db8::1]:50000" or "unix:"; "" if it is not known. Never NULL */
CONCUR_API const char *concur_request_peer(concur_request *request);

/* Gives the name of this request in the log.
 *
 * returns  16 hexadecimal digits; no other request of this server has the same. Never NULL */
CONCUR_API const char *concur_request_id(concur_request *request);

/* Looks up a value by name; the first of several.
 *
 * where    CONCUR_IN_PARAM, _QUERY, _FORM, _HEADER or _COOKIE
 * name     compared byte by byte after decoding; for headers in any case. A parameter's name is that in the pattern,
 *          without braces or star
 * returns  the value; "" for "?a" and for "?a=". NULL: it is absent; where or name is bad; the form has another media type
 *          or is in a file; or there is no memory to read the query, form or cookies: this is logged, and
 *          concur_request_count() tells it. Each of the three is read once, so later calls are cheap */
CONCUR_API const char *concur_request_get(concur_request *request, int where, const char *name);

/* Gives one value after the other, in the order sent; parameters in the pattern's.
 *
 * where    as for concur_request_get()
 * i        0, 1, ... until NULL is returned
 * name     receives the name, unless it is NULL or NULL is returned
 * returns  the value; NULL: there are no more, or as for concur_request_get() */
CONCUR_API const char *concur_request_at(concur_request *request, int where, size_t i, const char **name);

/* Looks up one of several values with the same name.
 *
 * where, name  as for concur_request_get()
 * i            0 for the value that concur_request_get() returns, 1 for the second one, ...
 * returns      the value; NULL: there is none, or as for concur_request_get() */
CONCUR_API const char *concur_request_nth(concur_request *request, int where, const char *name, size_t i);

/* Counts values, and tells why there are none.
 *
 * where    as for concur_request_get()
 * name     as for concur_request_get(); NULL: all names
 * returns  the number; CONCUR_E_NOMEM: there is no memory to read the query, form or cookies; CONCUR_E_LIMIT: the form is
 *          over `body_memory`, so it is in a file; CONCUR_E_INVAL: bad where */
CONCUR_API int concur_request_count(concur_request *request, int where, const char *name);

/* Gives the host that the request is for: that of an absolute target, else the field Host (RFC 9112 §3.2.2, §3.3).
 *
 * returns  "example.org", "example.org:8080" or "[2001:db8::1]:8080", as sent; "" if an HTTP/1.0 client sent none. Never
 *          NULL */
CONCUR_API const char *concur_request_host(concur_request *request);

/* Gives the target as it was sent (RFC 9112 §3.2): not decoded, with its query.
 *
 * returns  text such as "/a%20b?x=1", "http://example.org/a" or "*". Never NULL */
CONCUR_API const char *concur_request_target(concur_request *request);

/* Gives the target's query as it was sent: not decoded, without the "?" before it.
 *
 * returns  text, "" for an empty query; NULL: the target has no "?" */
CONCUR_API const char *concur_request_query(concur_request *request);

/* Gives the HTTP version of the request (RFC 9110 §2.5).
 *
 * returns  one of CONCUR_HTTP_*; a later minor version of HTTP/1 counts as CONCUR_HTTP_1_1 */
CONCUR_API int concur_request_version(concur_request *request);

/* Gives the address at the other end of the connection, without its port.
 *
 * returns  "192.0.2.1" or "2001:db8::1", without brackets; "unix:" on a Unix socket; "" if it is not known. Never NULL */
CONCUR_API const char *concur_request_peer_address(concur_request *request);

/* Gives the port at the other end of the connection.
 *
 * returns  1 to 65535; 0: it has none, or it is not known */
CONCUR_API int concur_request_peer_port(concur_request *request);

/* Gives the server's address that the client has reached: an actual one, even if the server listens on "0.0.0.0:80".
 *
 * returns  "192.0.2.1:80", "[2001:db8::1]:80" or "unix:PATH"; "" if it is not known. Never NULL */
CONCUR_API const char *concur_request_local(concur_request *request);

/* ---- the body ---- */

/* Gives the whole body. Without CONCUR_ROUTE_STREAM a handler runs when the body is complete; the library answers a body
 * over `body_max` with 413 (RFC 9110 §15.5.14).
 *
 * len      receives the length in bytes, 0 without a body; may be NULL
 * returns  the bytes, followed by a NUL; "" without a body. NULL with *len > 0: the body is over `body_memory`, see
 *          concur_request_body_fd(). NULL with *len == 0: a STREAM route */
CONCUR_API const void *concur_request_body(concur_request *request, size_t *len);

/* Gives the file, which has no name, that holds a body over `body_memory`.
 *
 * returns  a readable descriptor, at offset 0 the first time. The library closes it when the request ends; dup() it to
 *          keep it longer. -1: the body is in memory or not complete yet, or a STREAM route
 * blocks   no; reading the file may wait for the disk */
CONCUR_API int concur_request_body_fd(concur_request *request);

/* Asks for the body in pieces. With CONCUR_ROUTE_STREAM a handler is called before the body, and a body that it does not
 * ask for is discarded. A client that waits for 100 Continue gets it now (RFC 9110 §10.1.1). The body is pending until end
 * has run.
 *
 * data     called for each piece, never from within this call; never for an empty body. While it has returned CONCUR_AGAIN,
 *          nothing is read from the client
 * end      called exactly once, last; may be NULL. Its rc is
 *          CONCUR_OK           the body is complete
 *          a negative code     data returned it
 *          CONCUR_E_LIMIT      over `body_max`
 *          CONCUR_E_CANCELLED  the reply was complete before the body
 *          any other           what concur_request_gone() returns
 *          If it returns CONCUR_OK after an error of data or `body_max`, the library replies with that error's
 *          status, or aborts a reply that has begun
 * returns  CONCUR_OK
 *          CONCUR_E_INVAL  data is NULL
 *          CONCUR_E_STATE  not a STREAM route, or asked before
 *          CONCUR_E_GONE   given up */
CONCUR_API int concur_request_on_body(concur_request *request, concur_data_fn data, concur_done_fn end, void *arg);

/* Calls again, but not from within this call, a function that returned CONCUR_AGAIN: the data function of
 * concur_request_on_body() with the same piece, or the function of concur_reply_pull(). If it is called while that
 * function runs, a CONCUR_AGAIN that it then returns is resumed at once.
 *
 * returns  CONCUR_OK, also if nothing waits; CONCUR_E_GONE: given up
 * thread   home; from another thread, post a function that calls it: concur_ticket_post() */
CONCUR_API int concur_request_resume(concur_request *request);

/* ---- the life of a request ---- */

/* Allocates memory that is freed with the request.
 *
 * n        bytes; 0 is fine
 * returns  memory aligned for any type, not cleared; never free it. NULL: out of memory, or over `request_memory` */
CONCUR_API void *concur_request_alloc(concur_request *request, size_t n);

/* Keeps a pointer of the program's with the request, for its later callbacks. It replaces one with the same key.
 *
 * key      any address that is the caller's own, such as that of a static variable, so that parts of a program do not get
 *          in each other's way. It is compared and never read; NULL is a key, too
 * data     NULL: nothing is kept with that key any more
 * free_fn  called once, as free_fn(data), at home: when another pointer is set with that key, or at the request's end,
 *          after every on_end. NULL: nothing to call
 * returns  CONCUR_OK; CONCUR_E_NOMEM; CONCUR_E_STATE: the request is ending. After an error data is still the caller's,
 *          and an earlier pointer stays */
CONCUR_API int concur_request_set_data(concur_request *request, const void *key, void *data, concur_free_fn free_fn);

/* Gives the pointer that concur_request_set_data() keeps.
 *
 * returns  the pointer; NULL: none is kept with that key */
CONCUR_API void *concur_request_data(concur_request *request, const void *key);

/* Tells whether the request was given up, so that a long handler can ask now and then. On a thread that runs one request
 * it looks at the connection. On a loop it returns what the loop has seen so far.
 *
 * returns  0                   no
 *          CONCUR_E_GONE       the client left. If it closed without a reset, this shows only when something is sent to
 *                              it, unless `half_close` is cancel
 *          CONCUR_E_TIMEOUT    the request's deadline passed, or the client took nothing of the reply for
 *                              `write_timeout`
 *          CONCUR_E_STOPPING   the server's stop reached its deadline
 *          If the program aborted its own reply:
 *          a negative code     what its callback or concur_reply_write() returned
 *          CONCUR_E_LIMIT      concur_reply_pull() got another length than announced
 *          CONCUR_E_CANCELLED  any other reason
 *          Only the first reason is kept
 * blocks   no; at most one system call */
CONCUR_API int concur_request_gone(concur_request *request);

/* Sets the request's deadline, in place of an earlier one and of `request_timeout`. Once it has passed, the request is
 * given up with CONCUR_E_TIMEOUT: the client gets 504 (RFC 9110 §15.6.5), or an aborted reply if one has begun. A running
 * callback is never interrupted; it may ask concur_request_gone().
 *
 * ms       milliseconds from now, any value; 0: no deadline
 * returns  CONCUR_OK; CONCUR_E_GONE: given up */
CONCUR_API int concur_request_deadline(concur_request *request, unsigned ms);

/* Continues a request after a function of concur_server_before() has returned CONCUR_AGAIN: later functions and the
 * handler run, but never from within this call. If the callback that calls this leaves anything pending, the library
 * answers 500.
 *
 * returns  CONCUR_OK
 *          CONCUR_E_STATE  no such function waits, or a reply has begun
 *          CONCUR_E_GONE   given up */
CONCUR_API int concur_request_pass(concur_request *request);

/* Registers a function that is called once if the request is given up before its reply is complete. Several run in reverse
 * order.
 *
 * cancel   called later, at home; rc is what concur_request_gone() returns. Its return value is ignored
 * arg      must live until cancel or on_end has run
 * returns  CONCUR_OK
 *          CONCUR_E_INVAL  cancel is NULL
 *          CONCUR_E_NOMEM
 *          CONCUR_E_GONE   already given up: cancel will not run */
CONCUR_API int concur_request_on_cancel(concur_request *request, concur_done_fn cancel, void *arg);

/* Registers a function that is always called, once, after all other callbacks of the request: free here what belongs to
 * it. Several run in reverse order.
 *
 * end      called at home; rc is 0 if the reply was completed, else what concur_request_gone() returns. It may read the
 *          request but not begin anything. Its return value is ignored
 * arg      must live until end has run
 * returns  CONCUR_OK
 *          CONCUR_E_INVAL  end is NULL
 *          CONCUR_E_NOMEM
 *          CONCUR_E_STATE  the request is ending */
CONCUR_API int concur_request_on_end(concur_request *request, concur_done_fn end, void *arg);

/* Tells whether a stop has begun: of the server, or of this worker process, which a reload or `requests_per_worker`
 * replaces. Requests may go on until the stop's deadline, but an endless reply, such as a stream of events, should end.
 *
 * returns  0: no; CONCUR_E_STOPPING: yes, for good
 * blocks   no; at most one system call */
CONCUR_API int concur_request_stopping(concur_request *request);

/* Registers a function that is called once when a stop begins (see concur_request_stopping()), or soon if it has begun. It
 * may reply or end the reply. Several run in reverse order. It is not pending.
 *
 * stop     called at home, never from within this call. Not called if the request ends or is given up before
 * arg      must live until stop or on_end has run
 * returns  CONCUR_OK
 *          CONCUR_E_INVAL  stop is NULL
 *          CONCUR_E_NOMEM
 *          CONCUR_E_GONE   given up: stop will not run */
CONCUR_API int concur_request_on_stop(concur_request *request, concur_handler_fn stop, void *arg);

/* Gives the request's server, which the caller does not own. Never NULL. */
CONCUR_API concur_server *concur_request_server(concur_request *request);

#ifdef __cplusplus
}
#endif

#endif
