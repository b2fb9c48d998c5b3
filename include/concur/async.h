/* SPDX-License-Identifier: MIT
 *
 * Answering later: work on other threads, timers, descriptors, and tickets for threads of the program's own.
 *
 * What is begun here holds the request until its callback has run, and every callback runs at home, exactly once, never
 * from within the call that began it. When a request is given up (the client left, its deadline, the server's stop, an
 * abort by the program), what is pending does not linger: timers and waits run promptly, queued work is dropped, and
 * concur_request_gone() tells the callbacks, so that each has one place to clean up.
 *
 * CONCUR_E_HOME: as in <concur/request.h>. request and ticket must not be NULL.
 */
#ifndef CONCUR_ASYNC_H
#define CONCUR_ASYNC_H

#include <concur/types.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Runs a function that may block or compute for long away from the request, then another one back at home. On the pool
 * of `pool_threads` threads, first come, first served; without a pool in place, after the callback that asked has
 * returned.
 *
 * work     sees its argument only; starts after the callback that asked has returned
 * done     called once in every case: rc is what work returned, or CONCUR_E_CANCELLED if work was dropped before it
 *          started. NULL: nothing to call, though the request still waits for work
 * arg      handed to both; the caller's, must live until done has run
 * returns  CONCUR_OK: done will run; CONCUR_E_FULL: `pool_queue_max` tasks wait already; CONCUR_E_STOPPING: the server
 *          stops; CONCUR_E_GONE: the request was given up; CONCUR_E_INVAL: no work; CONCUR_E_NOMEM. After an error
 *          neither work nor done runs
 * thread   home
 * blocks   no; without a pool, work keeps the request's home busy, on a loop thus everything
 * since    0.1 */
CONCUR_API int concur_request_offload(concur_request *request, concur_work_fn work, concur_done_fn done, void *arg);

/* Calls a function after a time. Any number may be pending; of two with the same time the first registered runs first.
 *
 * ms       milliseconds from now, any value; 0: as soon as the callback that asked has returned
 * timer    called once: not before its time, unless the request is given up, then at once
 * arg      handed to timer; the caller's, must live until timer has run
 * returns  CONCUR_OK: timer will run; CONCUR_E_INVAL: timer is NULL; CONCUR_E_NOMEM; CONCUR_E_GONE: the request was
 *          given up, timer will not run
 * thread   home
 * blocks   no
 * since    0.1 */
CONCUR_API int concur_request_after(concur_request *request, unsigned ms, concur_handler_fn timer, void *arg);

/* Waits for a descriptor of the program's, such as a database's socket. At most 16 waits of a request at once, one for
 * a descriptor.
 *
 * fd       stays the caller's and must be open until done has run
 * events   CONCUR_READ, CONCUR_WRITE or both
 * ms       milliseconds until CONCUR_E_TIMEOUT; 0: no limit
 * done     called once: rc is the set of events that are ready (1..3; an error or hang-up of the descriptor counts as
 *          all that were asked for), CONCUR_E_TIMEOUT, or the reason as concur_request_gone() tells it. Note that
 *          `return rc;` fits the negative values only
 * arg      handed to done; the caller's, must live until done has run
 * returns  CONCUR_OK: done will run; CONCUR_E_INVAL: bad fd, events or no done; CONCUR_E_LIMIT: 16 are waiting;
 *          CONCUR_E_STATE: fd is waited for already; CONCUR_E_SYS: the system cannot wait for it (a plain file, say);
 *          CONCUR_E_FULL: this thread has no loop yet, and descriptors for one have run out; CONCUR_E_NOMEM;
 *          CONCUR_E_GONE: the request was given up
 * thread   home
 * blocks   no
 * since    0.1 */
CONCUR_API int concur_request_await(concur_request *request, int fd, int events, unsigned ms, concur_done_fn done,
                                    void *arg);

/* Takes a ticket: the request then waits until it is released, and any thread may post functions to the request's home.
 * A request whose last ticket is released with no reply and nothing else pending is answered with 500.
 *
 * returns  the ticket, which the caller owns and releases exactly once: valid until then, also after the server's stop,
 *          but not after concur_server_free(). NULL: out of memory, or the request was given up
 * thread   home
 * blocks   no
 * since    0.1 */
CONCUR_API concur_ticket *concur_request_defer(concur_request *request);

/* Runs a function at the request's home. Functions of one thread run in the order in which it posted them.
 *
 * post     called exactly once, also after the client left; concur_request_gone() tells
 * arg      handed to post; the caller's, must live until post has run. After an error it is still the caller's
 * returns  CONCUR_OK: post will run; CONCUR_E_STOPPING: the request's home is closed, the server has stopped;
 *          CONCUR_E_INVAL: post is NULL; CONCUR_E_NOMEM; CONCUR_E_FORKED. After an error post does not run
 * thread   any that holds the ticket, several at once too; also at home
 * blocks   no
 * since    0.1 */
CONCUR_API int concur_ticket_post(concur_ticket *ticket, concur_handler_fn post, void *arg);

/* Tells whether the request was given up, so that work for it may be dropped.
 *
 * returns  0: someone waits; else the reason, as concur_request_gone() tells it. May lag behind home by a moment
 * thread   any that holds the ticket
 * blocks   no
 * since    0.1 */
CONCUR_API int concur_ticket_cancelled(const concur_ticket *ticket);

/* Gives a ticket back; functions posted before still run. Each ticket is released exactly once.
 *
 * ticket   invalid afterwards
 * thread   any that holds the ticket; also at home
 * blocks   no
 * since    0.1 */
CONCUR_API void concur_ticket_release(concur_ticket *ticket);

#ifdef __cplusplus
}
#endif

#endif
