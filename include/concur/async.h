/* SPDX-License-Identifier: MIT
 *
 * Replying later: timers, descriptors, work on other threads, and tickets for the program's own threads.
 *
 * What is registered here is pending: the request does not end before the callback has run. Each callback runs exactly
 * once unless it is cancelled, at home, and never within the call that registered it. If the request is given up, timers
 * and waits are called at once, and work that has not begun is dropped. So the callback is the place to clean up;
 * concur_request_gone() tells it why it was called. If a call here fails, its callback does not run.
 *
 *   request  not NULL; nor is ticket
 *   arg      passed to the callback as it is; the caller's, must live until the callback has run
 *   thread   concur_request_*(): home. concur_ticket_*(): any thread that holds the ticket, also at home
 *   blocks   no
 *   returns  from concur_request_*(), besides the listed codes: CONCUR_E_NOMEM; CONCUR_E_GONE: given up; CONCUR_E_STATE:
 *            called by an on_end function
 */
#ifndef CONCUR_ASYNC_H
#define CONCUR_ASYNC_H

#include <concur/types.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Runs a function that may block or compute for long on a thread of the pool, then done at home. Without a pool work
 * runs at home; on a loop it then stops all other requests.
 *
 * work     starts after the calling callback has returned, in the order of the calls
 * done     rc is what work returned, or CONCUR_E_CANCELLED: work was dropped before it began. NULL: the request still
 *          waits for work
 * arg      passed to both
 * returns  CONCUR_OK          done will run
 *          CONCUR_E_INVAL     work is NULL
 *          CONCUR_E_FULL      `pool_queue_max` tasks wait already
 *          CONCUR_E_STOPPING  the server stops */
CONCUR_API int concur_request_offload(concur_request *request, concur_work_fn work, concur_done_fn done, void *arg);

/* Calls a function after a time. Any number of timers may be pending; those with the same time run in the order of the
 * calls.
 *
 * ms       milliseconds from now, any value; 0: as soon as the calling callback has returned
 * timer    never called early, unless the request is given up
 * returns  CONCUR_OK       timer will run
 *          CONCUR_E_INVAL  timer is NULL */
CONCUR_API int concur_request_after(concur_request *request, unsigned ms, concur_handler_fn timer, void *arg);

/* Cancels the first timer of concur_request_after() with this function and arg.
 *
 * returns  CONCUR_OK       it will not be called
 *          CONCUR_E_STATE  there is none: it has run, say; or the request is ending
 *          CONCUR_E_GONE   given up: the timer is still called */
CONCUR_API int concur_request_cancel_after(concur_request *request, concur_handler_fn timer, void *arg);

/* Waits until a descriptor of the program's, such as a database socket, is ready. A request may wait for 16 different
 * descriptors at once.
 *
 * fd       stays the caller's; must stay open until done has run
 * events   CONCUR_READ, CONCUR_WRITE or both
 * ms       milliseconds until CONCUR_E_TIMEOUT; 0: no limit
 * done     rc is CONCUR_READ, CONCUR_WRITE or both; after an error or hang-up of the descriptor all that were asked for.
 *          Or CONCUR_E_TIMEOUT, or what concur_request_gone() returns. Do not return a positive rc from done: as a
 *          result of a callback it has another meaning
 * returns  CONCUR_OK       done will run
 *          CONCUR_E_INVAL  bad fd or events, or done is NULL
 *          CONCUR_E_LIMIT  16 waits are pending
 *          CONCUR_E_STATE  the request waits for fd already
 *          CONCUR_E_SYS    the system cannot wait for fd (a plain file, for example)
 *          CONCUR_E_FULL   this thread needs a loop, and there are no descriptors left for one */
CONCUR_API int concur_request_await(concur_request *request, int fd, int events, unsigned ms, concur_done_fn done,
                                    void *arg);

/* Cancels a wait for a descriptor.
 *
 * returns  CONCUR_OK       done will not be called, and fd may be closed
 *          CONCUR_E_STATE  this request does not wait for fd, or is ending
 *          CONCUR_E_GONE   given up: done is still called */
CONCUR_API int concur_request_cancel_await(concur_request *request, int fd);

/* Makes a ticket, with which any thread may post functions to the request's home. A ticket is pending until it is
 * released; if there is neither a reply then nor anything pending, the answer is 500.
 *
 * returns  the ticket, which the caller owns and must release exactly once: also after the server's stop, but before
 *          concur_server_free(). NULL: out of memory, or the request was given up or is ending */
CONCUR_API concur_ticket *concur_request_defer(concur_request *request);

/* Runs a function at the request's home. Functions that one thread posts run in that order. Several threads may post at
 * once.
 *
 * post     called also if the request was given up
 * returns  CONCUR_OK          post will run
 *          CONCUR_E_INVAL     post is NULL
 *          CONCUR_E_STOPPING  the server has stopped, and the request's home is closed
 *          CONCUR_E_NOMEM
 *          CONCUR_E_FORKED */
CONCUR_API int concur_ticket_post(concur_ticket *ticket, concur_handler_fn post, void *arg);

/* Tells whether the request was given up, so that work for it can be dropped.
 *
 * returns  what concur_request_gone() returns, perhaps a moment late */
CONCUR_API int concur_ticket_cancelled(const concur_ticket *ticket);

/* Releases a ticket, which is then invalid. Functions that were posted before still run. */
CONCUR_API void concur_ticket_release(concur_ticket *ticket);

#ifdef __cplusplus
}
#endif

#endif
