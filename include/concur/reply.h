/* SPDX-License-Identifier: MIT
 *
 * The reply: whole (text, printf, bytes), pulled (the library asks for bytes when it can send some), or pushed (begin,
 * write, end). One request has one reply; a second one is CONCUR_E_STATE and does no harm.
 *
 * Errors stick: after a field was refused, or memory ran out, every later call for this reply returns that first error
 * and sends nothing more, and concur_reply_end() reports it. A program may look at the last call only, and return its
 * result: if no reply has begun, the library then answers with that error's status and without the fields that were
 * collected. CONCUR_E_STATE does not stick.
 *
 * Framing is the library's (RFC 9112 §6): Content-Length where the length is known, else chunked, or the connection's
 * end for an HTTP/1.0 client. A reply to HEAD has the same head but no body; 204, 205 and 304 have no body, and neither
 * the length nor the type of what is handed over (RFC 9110 §15.3.5, §15.3.6, §15.4.5). What is handed over is dropped.
 * An abort is always visible to the peer: the connection closes before the announced end.
 *
 * A reply has one Content-Type (RFC 9110 §8.3). A field Content-Type that concur_reply_header() added wins over what the
 * reply's own call gives or implies, also for 204, 205 and 304.
 *
 * Every function is for the request's home only (else CONCUR_E_HOME, as in <concur/request.h>), and request must not be
 * NULL. Where a description says "given up", concur_request_gone() tells the reason.
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

/* Adds a field to the reply's head (RFC 9110 §6.3), before the reply begins. The same name may come several times; each
 * becomes a line of its own. Of Content-Type the last one counts; with an empty value none is sent.
 *
 * name     a token (RFC 9110 §5.1). Not those that are the library's alone: Connection, Content-Length,
 *          Transfer-Encoding, Trailer, TE, Keep-Alive, Upgrade, Proxy-Connection, Date. Copied
 * value    without CR, LF or other control characters but tab (RFC 9110 §5.5). Copied
 * returns  CONCUR_OK; CONCUR_E_INVAL: name or value may not be sent; CONCUR_E_NOMEM; CONCUR_E_STATE: the reply has
 *          begun; CONCUR_E_GONE: given up. The first two errors stick
 * thread   home
 * blocks   no
 * since    0.1 */
CONCUR_API int concur_reply_header(concur_request *request, const char *name, const char *value);

/* Replies with a text, as text/plain; charset=utf-8 unless a field says otherwise.
 *
 * status   200..599
 * text     copied; NULL: an empty body
 * returns  CONCUR_OK: the reply is on its way; CONCUR_E_INVAL: bad status; CONCUR_E_NOMEM; CONCUR_E_STATE: a second
 *          reply; CONCUR_E_GONE: given up; an error that stuck
 * thread   home
 * blocks   no: what the client does not take at once is sent later, by the library
 * since    0.1 */
CONCUR_API int concur_reply_text(concur_request *request, int status, const char *text);

/* Replies with formatted text.
 *
 * status   200..599
 * type     the Content-Type, such as "application/json" (RFC 9110 §8.3); NULL: text/plain; charset=utf-8. Copied
 * format   as with printf
 * returns  as concur_reply_text(); CONCUR_E_INVAL also for a type that may not be sent or a format that fails
 * thread   home
 * blocks   as concur_reply_text()
 * since    0.1 */
CONCUR_API int concur_reply_printf(concur_request *request, int status, const char *type, const char *format, ...)
    CONCUR_PRINTF(4, 5);

/* Replies with bytes.
 *
 * status   200..599
 * type     the Content-Type, unless a field says it; NULL: none is sent. Copied
 * bytes    n bytes; may be NULL if n is 0. With free_fn they are not copied and must not change until it is called
 * n        any length that memory can have; one that cannot be, such as a negative number, is refused
 * free_fn  called exactly once, as free_fn(arg), when the bytes are not needed any more: also when this call fails,
 *          then before it returns. On any thread of the library. NULL: the bytes are copied
 * arg      handed to free_fn
 * returns  as concur_reply_text(); CONCUR_E_INVAL also for a type that may not be sent, a length that cannot be, or no
 *          bytes where n is not 0
 * thread   home
 * blocks   as concur_reply_text()
 * since    0.1 */
CONCUR_API int concur_reply_bytes(concur_request *request, int status, const char *type, const void *bytes, size_t n,
                                  concur_free_fn free_fn, void *arg);

/* Replies with a body that a function produces while it is sent.
 *
 * status   200..599
 * type     the Content-Type, unless a field says it; NULL: none is sent. Copied
 * len      bytes that will come, or -1: unknown. Fewer or more than announced is an abort
 * pull     see concur_pull_fn; called later, never from within this call, whenever there is room; not at all for HEAD,
 *          204, 205 and 304
 * arg      handed to pull; the caller's, must live until the request ends
 * returns  CONCUR_OK: the reply has begun and is pending; CONCUR_E_INVAL: bad status, type or len, or no pull;
 *          CONCUR_E_NOMEM; CONCUR_E_STATE: a second reply; CONCUR_E_GONE: given up; an error that stuck
 * thread   home
 * blocks   no
 * since    0.1 */
CONCUR_API int concur_reply_pull(concur_request *request, int status, const char *type, int64_t len,
                                 concur_pull_fn pull, void *arg);

/* Begins a reply whose body follows by concur_reply_write(), up to concur_reply_end(). Until then the request needs
 * something pending when a callback returns, else the reply is aborted.
 *
 * A reply without a body is complete with its head, and the connection goes on to its next request. For 204, 205 and 304
 * the program may go on as it likes; what it writes is dropped. A body of the request that it asked for is read first.
 * To HEAD nothing more is of use to anybody: concur_request_gone() says CONCUR_E_GONE from now on, as if the client had
 * left, and on_end gets CONCUR_OK.
 *
 * status   200..599
 * type     the Content-Type, unless a field says it; NULL: none is sent. Copied
 * returns  CONCUR_OK; CONCUR_E_INVAL: bad status or type; CONCUR_E_NOMEM; CONCUR_E_STATE: a second reply;
 *          CONCUR_E_GONE: given up; an error that stuck
 * thread   home
 * blocks   no
 * since    0.1 */
CONCUR_API int concur_reply_begin(concur_request *request, int status, const char *type);

/* Sends a piece of the body that concur_reply_begin() promised.
 *
 * On a loop it queues: CONCUR_AGAIN says that the piece was taken, and that now more than the high mark waits to be
 * sent, so that the program should go on in concur_reply_on_drain(). A program that writes on all the same has its
 * reply aborted where more than `output_max` would wait. On a thread of the request, on a worker of its own, and in a
 * CONCUR_ROUTE_BLOCKING handler on the pool, it waits for room instead and does not return CONCUR_AGAIN.
 *
 * bytes    copied; may be NULL if n is 0
 * n        any length that memory can have; 0 sends nothing
 * returns  CONCUR_OK; CONCUR_AGAIN: taken, over the high mark; CONCUR_E_STATE: no reply begun, or ended; CONCUR_E_GONE:
 *          given up; CONCUR_E_TIMEOUT: the client took nothing for `write_timeout`; CONCUR_E_INVAL: a length that cannot
 *          be, or no bytes where n is not 0; CONCUR_E_LIMIT: written on after CONCUR_AGAIN, over `output_max`;
 *          CONCUR_E_NOMEM; an error that stuck. With the last four the reply is aborted, since a piece of it is missing
 * thread   home
 * blocks   no on a loop; else while over the high mark, at most `write_timeout` without progress
 * since    0.1 */
CONCUR_API int concur_reply_write(concur_request *request, const void *bytes, size_t n);

/* Asks to be called when there is room for more after CONCUR_AGAIN. Counts as something pending.
 *
 * drain    called once, later, never from within this call: when what waits to be sent has fallen under the low mark,
 *          or at once if it is under it already; not if the request is given up (on_cancel is). NULL: not any more
 * arg      handed to drain; the caller's, must live until drain or on_end has run
 * returns  CONCUR_OK: a function that was registered before and has not run is replaced; CONCUR_E_STATE: no reply
 *          begun, or ended; CONCUR_E_GONE: given up
 * thread   home
 * blocks   no
 * since    0.1 */
CONCUR_API int concur_reply_on_drain(concur_request *request, concur_handler_fn drain, void *arg);

/* Ends a reply that concur_reply_begin() began. Nothing needs to be pending any more.
 *
 * returns  CONCUR_OK: the reply is complete and on its way; an error that stuck: it was aborted; CONCUR_E_STATE: no
 *          reply begun by begin, or ended; CONCUR_E_GONE: given up
 * thread   home
 * blocks   as concur_reply_text()
 * since    0.1 */
CONCUR_API int concur_reply_end(concur_request *request);

#ifdef __cplusplus
}
#endif

#endif
