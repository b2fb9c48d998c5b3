/* SPDX-License-Identifier: MIT
 *
 * Replying later: timers, descriptors, work on other threads, and tickets for the program's own threads.
 *
 * A call here that returns CONCUR_OK holds the request until its callback has run. Each callback runs exactly once, at
 * the request's home, and never within the call that registered it. When the request is given up (see
 * <concur/request.h>), pending timers and waits run at once and queued work is dropped; concur_request_gone() tells the
 * callback so. So each callback is the one place to clean up.
 *
 * arg is passed to the callback as it is. It stays the caller's and must live until the callback has run. After an
 * error no callback runs. request and ticket must not be NULL.
 *
 * thread   concur_request_*(): home. concur_ticket_*(): any thread that holds the ticket, also at home
 * blocks   none of these functions does
 * returns  from concur_request_*(), besides what each of them lists: CONCUR_E_NOMEM; CONCUR_E_GONE: the request was
 *          given up; CONCUR_E_STATE: called by an on_end function
 */
#ifndef CONCUR_ASYNC_H
#define CONCUR_ASYNC_H

#include <concur/types.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Runs a function that may block or compute for long, then another one at home. The first runs on the pool of
 * `pool_threads` threads, first come, first served. Without a pool it runs at home, which it keeps busy: on a loop it
 * stops all other requests.
 *
 * work     sees its argument only; starts after the calling callback has returned
 * done     rc is what work returned, or CONCUR_E_CANCELLED: work was dropped before it started. NULL: the request waits
 *          for work all the same
 * arg      passed to both
 * returns  CONCUR_OK          done will run
 *          CONCUR_E_INVAL     work is NULL
 *          CONCUR_E_FULL      `pool_queue_max` tasks wait already
 *          CONCUR_E_STOPPING  the server stops */
CONCUR_API int concur_request_offload(concur_request *request, concur_work_fn work, concur_done_fn done, void *arg);

/* Calls a function after a time. Any number of timers may be pending; of two with the same time the first registered
 * runs first.
 *
 * ms       milliseconds from now, any value; 0: as soon as the calling callback has returned
 * timer    not called before its time, unless the request is given up
 * returns  CONCUR_OK       timer will run
 *          CONCUR_E_INVAL  timer is NULL */
CONCUR_API int concur_request_after(concur_request *request, unsigned ms, concur_handler_fn timer, void *arg);

/* Cancels a timer of concur_request_after(): the one that was registered first of those with this function and arg. It is
 * not called. A request that has nothing else pending when the callback returns needs a reply.
 *
 * returns  CONCUR_OK
 *          CONCUR_E_STATE  there is no such timer: it has run, say; or the request is ending
 *          CONCUR_E_GONE   given up: the timer is called in any case */
CONCUR_API int concur_request_cancel_after(concur_request *request, concur_handler_fn timer, void *arg);

/* Waits until a descriptor of the program's, such as a database socket, is ready. A request may wait for up to 16
 * descriptors at once, and once for each.
 *
 * fd       stays the caller's; must stay open until done has run
 * events   CONCUR_READ, CONCUR_WRITE or both
 * ms       milliseconds until CONCUR_E_TIMEOUT; 0: no limit
 * done     rc is the set of ready events (1..3; an error or hang-up of the descriptor counts as all that were asked
 *          for), CONCUR_E_TIMEOUT, or the reason that concur_request_gone() returns. Only a negative rc is fit for
 *          `return rc;`
 * returns  CONCUR_OK       done will run
 *          CONCUR_E_INVAL  bad fd or events, or done is NULL
 *          CONCUR_E_LIMIT  16 waits are pending
 *          CONCUR_E_STATE  the request waits for fd already
 *          CONCUR_E_SYS    the system cannot wait for fd (a plain file, for example)
 *          CONCUR_E_FULL   this thread needs a loop, and there are no descriptors left for one */
CONCUR_API int concur_request_await(concur_request *request, int fd, int events, unsigned ms, concur_done_fn done,
                                    void *arg);

/* Cancels a wait for a descriptor: its done function is not called, and the descriptor may be closed. A request that has
 * nothing else pending when the callback returns needs a reply.
 *
 * returns  CONCUR_OK
 *          CONCUR_E_STATE  this request does not wait for fd, or the request is ending
 *          CONCUR_E_GONE   given up: done is called in any case */
CONCUR_API int concur_request_cancel_await(concur_request *request, int fd);

/* Makes a ticket. The request waits until the ticket is released; until then any thread may post functions to the
 * request's home. If the last ticket is released with no reply and nothing else pending, the answer is 500.
 *
 * returns  the ticket, which the caller owns and must release exactly once. It is valid until then, also after the
 *          server's stop, but not after concur_server_free(). NULL: out of memory, or given up */
CONCUR_API concur_ticket *concur_request_defer(concur_request *request);

/* Runs a function at the request's home. Functions that one thread posts run in that order. Several threads may post at
 * once.
 *
 * post     called also after the client left
 * returns  CONCUR_OK          post will run
 *          CONCUR_E_INVAL     post is NULL
 *          CONCUR_E_STOPPING  the server has stopped, and the request's home is closed
 *          CONCUR_E_NOMEM
 *          CONCUR_E_FORKED */
CONCUR_API int concur_ticket_post(concur_ticket *ticket, concur_handler_fn post, void *arg);

/* Tells whether the request was given up, so that work for it can be dropped.
 *
 * returns  0: no; else the reason, as concur_request_gone() returns it. May be late by a moment */
CONCUR_API int concur_ticket_cancelled(const concur_ticket *ticket);

/* Releases a ticket, which is then invalid. Functions that were posted before still run. */
CONCUR_API void concur_ticket_release(concur_ticket *ticket);

#ifdef __cplusplus
}
#endif

#endif
