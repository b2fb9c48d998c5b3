/* SPDX-License-Identifier: MIT
 *
 * What the client sent, and the life of a request.
 *
 * Every function here is for the request's home only: a callback of that very request, on the thread that runs it. From
 * another thread it is an error of the program: int functions return CONCUR_E_HOME and pointer functions NULL wherever
 * that can be noticed, and nothing promises that it can. Other threads use a ticket, see <concur/async.h>. Function
 * arguments named request must not be NULL. None of these functions blocks.
 *
 * Text that a function returns belongs to the request: it is NUL-terminated, never moves, must not be written to, and
 * is valid until on_end has returned. A request ends when its reply is complete (or the request was given up) and its
 * last timer, offload and ticket is gone. If the client leaves before, or the program aborts its own reply, the request
 * stays valid, concur_request_gone() tells, and on_cancel callbacks run.
 */
#ifndef CONCUR_REQUEST_H
#define CONCUR_REQUEST_H

#include <concur/types.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Tells the request's method (RFC 9110 §9).
 *
 * returns  the token as sent, such as "GET"; "HEAD" also where a route for GET answers it. Never NULL; the request's,
 *          valid until it ends
 * thread   home
 * blocks   no
 * since    0.1 */
CONCUR_API const char *concur_request_method(concur_request *request);

/* Tells the path that was routed: percent-decoded once, dot segments removed (RFC 3986 §5.2.4), without the query.
 *
 * returns  text that begins with "/", or "*" (RFC 9112 §3.2.4); it holds no NUL. Never NULL; the request's, valid until
 *          it ends
 * thread   home
 * blocks   no
 * since    0.1 */
CONCUR_API const char *concur_request_path(concur_request *request);

/* Tells who is at the other end of the connection.
 *
 * returns  "192.0.2.1:50000" or "[2001:db8::1]:50000". Never NULL; the request's, valid until it ends
 * thread   home
 * blocks   no
 * since    0.1 */
CONCUR_API const char *concur_request_peer(concur_request *request);

/* Tells the name that the log uses for this request.
 *
 * returns  16 hexadecimal digits, unlike those of any other request of this server. Never NULL; the request's, valid
 *          until it ends
 * thread   home
 * blocks   no
 * since    0.1 */
CONCUR_API const char *concur_request_id(concur_request *request);

/* Looks up a value by name; of several with the same name the first.
 *
 * where    CONCUR_IN_PARAM, _QUERY, _FORM, _HEADER or _COOKIE
 * name     compared byte by byte, after decoding; for headers in any case. A parameter's name is that in the pattern,
 *          without its braces or star
 * returns  the value, "" for a name without one ("?a" and "?a="); NULL: absent, a bad `where` or name, or a form that is
 *          not in memory or not of its media type. Where there is no memory for a query, a form or cookies, none of them
 *          is found, and a line in the log says so; parameters and headers need none. The request's, valid until it
 *          ends. Any number of calls is fine: the text is made once
 * thread   home
 * blocks   no
 * since    0.1 */
CONCUR_API const char *concur_request_get(concur_request *request, int where, const char *name);

/* Enumerates values in the order in which they were sent; parameters in the order of the pattern.
 *
 * where    as with concur_request_get()
 * i        0, 1, ... until NULL
 * name     gets the name, unless it is NULL itself; the request's, valid until it ends. Untouched where NULL is
 *          returned
 * returns  the value; NULL: there are no more, or as with concur_request_get(). The request's, valid until it ends
 * thread   home
 * blocks   no
 * since    0.1 */
CONCUR_API const char *concur_request_at(concur_request *request, int where, size_t i, const char **name);

/* Gives the whole body, in a route without CONCUR_ROUTE_STREAM: there the handler runs when the body is complete. Over
 * `body_max` the library answers 413 by itself (RFC 9110 §15.5.14).
 *
 * len      gets the body's length in bytes, 0 without a body; may be NULL
 * returns  the bytes with a NUL after them, "" without a body; NULL with *len > 0: over `body_memory`, see
 *          concur_request_body_fd(); NULL with *len == 0: the route is a STREAM one. The request's, valid until it ends
 * thread   home
 * blocks   no
 * since    0.1 */
CONCUR_API const void *concur_request_body(concur_request *request, size_t *len);

/* Gives the file that holds a body over `body_memory`: it has no name and goes with the request.
 *
 * returns  a descriptor that can be read, at offset 0 the first time; the request's, which closes it when it ends:
 *          dup() it to keep it longer. -1: the body is in memory, or not complete yet, or the route is a STREAM one
 * thread   home
 * blocks   no; reading the file may, for the disk
 * since    0.1 */
CONCUR_API int concur_request_body_fd(concur_request *request);

/* Asks for the body piece by piece, in a route with CONCUR_ROUTE_STREAM, whose handler is called before the body. Only
 * now is 100 Continue sent to a client that waits for it (RFC 9110 §10.1.1). A body that no one asks for is discarded.
 *
 * data     called for each piece, later, never from within this call; while it says CONCUR_AGAIN nothing more is read
 *          from the client. Not called for an empty body
 * end      called once in every case, last: rc is CONCUR_OK when the body is complete, else what data returned if that
 *          was negative, else why no more will come: CONCUR_E_LIMIT over `body_max`, CONCUR_E_CANCELLED if the reply
 *          was complete before, or a value of concur_request_gone(). CONCUR_OK from it leaves the matter to the
 *          library: what data returned counts, and over `body_max` it is 413, or an abort of a reply that has begun.
 *          May be NULL
 * arg      handed to both; the caller's, must live until the request ends
 * returns  CONCUR_OK: the body is something pending until end has run; CONCUR_E_STATE: not a STREAM route, or asked
 *          before; CONCUR_E_INVAL: data is NULL; CONCUR_E_GONE: the request was given up
 * thread   home
 * blocks   no
 * since    0.1 */
CONCUR_API int concur_request_on_body(concur_request *request, concur_data_fn data, concur_done_fn end, void *arg);

/* Goes on with what said CONCUR_AGAIN: the data function of concur_request_on_body() gets its piece again, the function
 * of concur_reply_pull() is asked again. Called before that function has returned CONCUR_AGAIN, it counts for that
 * return.
 *
 * returns  CONCUR_OK: the function is called later, never from within this call; also if nothing is held up;
 *          CONCUR_E_GONE: the request was given up
 * thread   home; from elsewhere post a function that calls it, see concur_ticket_post()
 * blocks   no
 * since    0.1 */
CONCUR_API int concur_request_resume(concur_request *request);

/* Takes memory that goes with the request.
 *
 * n        bytes; 0 is fine
 * returns  memory aligned for any type, not cleared; NULL: out of memory, or over what a request may have. The
 *          request's, valid until on_end has returned; never free it
 * thread   home
 * blocks   no
 * since    0.1 */
CONCUR_API void *concur_request_alloc(concur_request *request, size_t n);

/* Tells whether anyone still waits for the reply. On a loop it knows what the loop has seen so far; on a thread that
 * runs one request it looks at the connection, so that a long handler can ask now and then.
 *
 * returns  0: yes; CONCUR_E_GONE: the client left, which without a reset shows when something is sent to it, unless
 *          `half_close` is cancel; CONCUR_E_TIMEOUT: the request's deadline has passed, or the client took nothing of
 *          the reply for `write_timeout`; CONCUR_E_STOPPING: the server's stop has reached its deadline.
 *          After a reply that the program itself aborted: the negative code that its callback returned or that
 *          concur_reply_write() returned, CONCUR_E_LIMIT if concur_reply_pull() got another length than was announced,
 *          else CONCUR_E_CANCELLED. The first reason stays
 * thread   home
 * blocks   no; at most one system call
 * since    0.1 */
CONCUR_API int concur_request_gone(concur_request *request);

/* Sets the request's deadline, instead of any earlier one. When it passes while the request waits, on_cancel callbacks
 * get CONCUR_E_TIMEOUT, and 504 is sent if no reply has begun (RFC 9110 §15.6.5), else the reply is aborted so that the
 * peer can tell. A handler that is running is never interrupted: it may ask concur_request_gone().
 *
 * ms       milliseconds from now, any value; 0: no deadline
 * returns  CONCUR_OK; CONCUR_E_GONE: the request was given up
 * thread   home
 * blocks   no
 * since    0.1 */
CONCUR_API int concur_request_deadline(concur_request *request, unsigned ms);

/* Registers a function for the case that the request is given up before its reply is complete. Several run in reverse
 * order of registration, each at most once.
 *
 * cancel   called later, at home; rc is the reason, as concur_request_gone() tells it. Its return value is ignored
 * arg      handed to cancel; the caller's, must live until cancel or on_end has run
 * returns  CONCUR_OK: it will run if the request is given up; CONCUR_E_INVAL: cancel is NULL; CONCUR_E_NOMEM;
 *          CONCUR_E_GONE: the request has been given up already, cancel will not run
 * thread   home
 * blocks   no
 * since    0.1 */
CONCUR_API int concur_request_on_cancel(concur_request *request, concur_done_fn cancel, void *arg);

/* Registers a function for the request's end: it runs always, once, after every other callback of the request. Several
 * run in reverse order of registration. Here arg's resources are given back.
 *
 * end      called at home; rc is 0 when the reply was completed, else the reason as concur_request_gone() tells it. It
 *          may read the request and must begin nothing; its return value is ignored
 * arg      handed to end; the caller's, must live until end has run
 * returns  CONCUR_OK: end will run; CONCUR_E_INVAL: end is NULL; CONCUR_E_NOMEM; CONCUR_E_STATE: the request is ending
 * thread   home
 * blocks   no
 * since    0.1 */
CONCUR_API int concur_request_on_end(concur_request *request, concur_done_fn end, void *arg);

/* Tells whether the server has begun to stop: a stop or a signal, or for a worker process that a reload or its share of
 * requests replaces it. Requests under way may go on until the stop's deadline; what would go on for ever, such as a
 * stream of events, should come to its end. Also a handler that blocks or computes for long can ask now and then.
 *
 * returns  0: no; CONCUR_E_STOPPING: yes, and it stays so
 * thread   home
 * blocks   no; at most one system call
 * since    0.1 */
CONCUR_API int concur_request_stopping(concur_request *request);

/* Registers a function for the beginning of a stop, as concur_request_stopping() tells it. It may end the reply, or
 * reply. Several run in reverse order of registration, each at most once. None of them counts as something pending.
 *
 * stop     called later, at home, never from within this call: when a stop begins, or soon if it has begun already. Not
 *          called if the request ends or is given up before; at the deadline of the stop on_cancel is
 * arg      handed to stop; the caller's, must live until stop or on_end has run
 * returns  CONCUR_OK: it will run if a stop begins; CONCUR_E_INVAL: stop is NULL; CONCUR_E_NOMEM; CONCUR_E_GONE: the
 *          request was given up, stop will not run
 * thread   home
 * blocks   no
 * since    0.1 */
CONCUR_API int concur_request_on_stop(concur_request *request, concur_handler_fn stop, void *arg);

/* Tells which server the request belongs to.
 *
 * returns  the server; borrowed, never NULL
 * thread   home
 * blocks   no
 * since    0.1 */
CONCUR_API concur_server *concur_request_server(concur_request *request);

#ifdef __cplusplus
}
#endif

#endif
