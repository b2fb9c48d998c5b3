/* SPDX-License-Identifier: MIT
 *
 * What handlers share: counters, memory, topics. And values of which each thread has its own.
 *
 * What a global variable means depends on the engine: one variable on event, one that needs a lock on thread and
 * event-pool, one for each worker on the engines with processes. Counters, memory and topics are the same for all
 * threads and processes of the server, and stay usable when a worker dies at any moment. concur_server_local() is for
 * what threads must not share, or what does not survive a fork: a database connection, a library's handle, a large
 * buffer.
 *
 * All are registered in the set-up, before any fork. A name has 1 to 63 ASCII letters, digits and "_", and does not begin
 * with a digit. Registering a name again returns the same object, so that two parts of a program need not know each other.
 * A counter and a topic may have the same name.
 *
 * For the functions that register something (concur_server_*):
 *
 *   name     copied
 *   returns  the object, which is the server's and valid until concur_server_free(), in the process that made it and in
 *            every worker. NULL: an error, which concur_last_error() tells: server is NULL, an argument is bad, there are
 *            too many, out of memory, or the server has been run or started. It is kept as other errors of the set-up
 *   thread   set-up
 *   blocks   no
 */
#ifndef CONCUR_SHARED_H
#define CONCUR_SHARED_H

#include <concur/types.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Makes a counter with the value 0. A server has at most 256. Each has its own cache line, so they do not slow each other.
 *
 * help     one line that says what is counted, or NULL. Copied; ignored if the name exists */
CONCUR_API concur_counter *concur_server_counter(concur_server *server, const char *name, const char *help);

/* Adds to a counter atomically. It orders no other memory access: a thread that reads the new value need not see what was
 * written before.
 *
 * counter  NULL: nothing is counted
 * n        any value, also negative. Beyond int64_t the counter wraps around
 * returns  the new value; 0 if counter is NULL
 * thread   any, in any process of the server, also in a signal handler (async-signal-safe)
 * blocks   no */
CONCUR_API int64_t concur_counter_add(concur_counter *counter, int64_t n);

/* Returns a counter's current value; 0 if counter is NULL. thread, blocks: as concur_counter_add() */
CONCUR_API int64_t concur_counter_get(const concur_counter *counter);

/* Makes memory that all handlers share, with a lock. A server has at most 64.
 *
 * size     bytes, 1 to 2^30; if the name exists, the same as before
 * returns  as above: a handle to the memory, whose bytes are 0 */
CONCUR_API concur_shared *concur_server_shared(concur_server *server, const char *name, size_t size);

/* Takes the lock of shared memory. All other threads of all processes of the server must wait until concur_shared_unlock().
 * Hold it briefly, and release it before the callback returns: a loop that waits for it serves nobody.
 *
 * If a worker or thread ends while it holds the lock, the next caller gets it and *owner_died is 1: the memory may be half
 * changed, and this caller must repair it. If that one ends, too, the next is told again.
 *
 * owner_died  receives 1 if the last holder ended without releasing the lock, else 0; may be NULL
 * returns     the memory, aligned for any type, at the same address in every process; only the caller may use it until
 *             concur_shared_unlock(). NULL: shared is NULL, or this thread holds the lock already; concur_last_error()
 *             says which
 * thread      any, in any process of the server, but not in a signal handler
 * blocks      until the lock is free */
CONCUR_API void *concur_shared_lock(concur_shared *shared, int *owner_died);

/* Releases the lock. No effect on a thread that does not hold it.
 *
 * shared   may be NULL
 * thread   the one that took the lock
 * blocks   no */
CONCUR_API void concur_shared_unlock(concur_shared *shared);

/* Gives the memory without taking the lock: for atomics, and for data that is written in the set-up and then only read.
 *
 * returns  as concur_shared_lock(); NULL if shared is NULL
 * thread   any, in any process of the server, also in a signal handler (async-signal-safe)
 * blocks   no */
CONCUR_API void *concur_shared_get(concur_shared *shared);

/* Registers a value, such as a database connection, of which each thread has its own: each thread that runs callbacks of
 * requests or offloaded work, in any process of the server. CONCUR_TEXT_DUMP says how many threads there can be. A
 * thread's value is made when it first calls concur_local_get(). A server has at most 64.
 *
 * make     makes the thread's value. It may call concur_local_get() for another one
 * free     called once, on the same thread, with the value, when the thread ends: after idling for `thread_idle`, or in
 *          the server's stop when no request is left. The last registered value is freed first, so one may use those
 *          registered before it. It may block. NULL: nothing to free
 * arg      passed to make as it is; the caller's, must live until the server is freed */
CONCUR_API concur_local *concur_server_local(concur_server *server, concur_make_fn make, concur_free_fn free,
                                             void *arg);

/* Gives the calling thread's value, and makes it first if there is none. Two callbacks of a request may run on two
 * threads, so call this in each.
 *
 * returns  the value, which is the program's and valid on this thread until its free function is called. NULL: make
 *          returned NULL, and the next call tries again; out of memory; local is NULL; or a wrong thread.
 *          concur_last_error() says which
 * thread   callbacks of a request, work, and make and free functions, of local's server; not hooks
 * blocks   as long as make does, if it is called */
CONCUR_API void *concur_local_get(concur_local *local);

/* ---- topics ---- */

/* Makes a topic. Requests wait for it, in any process, and are woken when it is published. It carries nothing but a
 * count of publications; what is new is in a counter, in shared memory or in a database. A server has at most 64. */
CONCUR_API concur_topic *concur_server_topic(concur_server *server, const char *name);

/* Wakes every request of every process that waits for the topic. A request that is woken sees what was written before
 * this call.
 *
 * topic    NULL: nothing happens
 * returns  how often it was published, this time included; 0 if topic is NULL
 * thread   any, in any process of the server, also in a signal handler (async-signal-safe)
 * blocks   no */
CONCUR_API int64_t concur_topic_publish(concur_topic *topic);

/* Tells how often a topic was published.
 *
 * returns  the number; 0 if topic is NULL
 * thread   as for concur_topic_publish()
 * blocks   no */
CONCUR_API int64_t concur_topic_count(const concur_topic *topic);

/* Calls a function once when a topic's count differs from seen. Several publications may cause one call. To miss none,
 * take the count first, then read the shared data, then wait with that count. This is pending; a request may have 16
 * such waits at once.
 *
 * seen       what concur_topic_count() returned
 * published  called later, at home, never from within this call; also if the request is given up
 * arg        passed to published
 * returns    CONCUR_OK       published will run
 *            CONCUR_E_INVAL  a NULL, or a topic of another server
 *            CONCUR_E_LIMIT  16 are pending
 *            CONCUR_E_STATE  the request is ending
 *            CONCUR_E_GONE   given up
 *            CONCUR_E_FULL   this thread needs a loop, and there are no descriptors left for one
 *            CONCUR_E_SYS, CONCUR_E_NOMEM
 * thread     home
 * blocks     no */
CONCUR_API int concur_request_on_publish(concur_request *request, concur_topic *topic, int64_t seen,
                                         concur_handler_fn published, void *arg);

/* Cancels the first wait of concur_request_on_publish() with this topic, function and arg.
 *
 * returns  CONCUR_OK       published will not be called
 *          CONCUR_E_STATE  there is none: it has run, say; or the request is ending
 *          CONCUR_E_GONE   given up: published is still called
 * thread   home
 * blocks   no */
CONCUR_API int concur_request_cancel_publish(concur_request *request, concur_topic *topic, concur_handler_fn published,
                                             void *arg);

#ifdef __cplusplus
}
#endif

#endif
