/* SPDX-License-Identifier: MIT
 *
 * What handlers share, and values of which each thread has its own.
 *
 * A global variable of the program is one variable for all handlers on event, needs a lock or an atomic on thread, and
 * exists once for each worker on the engines with processes. A counter or shared memory from here means the same on every
 * engine: all threads of all processes of the server see the same one, and both stay usable when a worker dies at any
 * moment. concur_server_local() is for the opposite: what threads must not share, or what does not survive a fork, such
 * as a database connection, a library's handle or a large buffer.
 *
 * Counters and memory are made in the set-up, before any fork, at the same address in every process. A name has 1 to 63
 * ASCII letters, digits and "_", and does not begin with a digit. Registering a name again returns the same object, so
 * that two parts of a program need not know each other. Counters and memory have separate names.
 *
 * For the functions that register something (concur_server_*):
 *
 *   name     copied
 *   returns  the object. It is the server's and valid until concur_server_free(), in the process that made it and in
 *            every worker. NULL: server is NULL, an argument is bad, there are too many, out of memory, or the server
 *            has been run or started. concur_last_error() says which; like other errors of the set-up it is kept (see
 *            <concur/server.h>)
 *   thread   set-up
 *   blocks   no
 */
#ifndef CONCUR_SHARED_H
#define CONCUR_SHARED_H

#include <concur/types.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Makes a counter with the value 0. A server has at most 256; each has a cache line to itself.
 *
 * help     one line that says what is counted, or NULL. Copied; ignored if the name exists */
CONCUR_API concur_counter *concur_server_counter(concur_server *server, const char *name, const char *help);

/* Adds to a counter atomically, so that no concurrent call is lost. It orders no other memory access: a thread that
 * reads the new value need not see what was written before it.
 *
 * counter  NULL: nothing is counted
 * n        any value, also negative; beyond int64_t the counter wraps around
 * returns  the new value; 0 if counter is NULL
 * thread   any of any process of the server, also in a signal handler (async-signal-safe)
 * blocks   no */
CONCUR_API int64_t concur_counter_add(concur_counter *counter, int64_t n);

/* Returns a counter's current value; 0 if counter is NULL. thread, blocks: as concur_counter_add() */
CONCUR_API int64_t concur_counter_get(const concur_counter *counter);

/* Makes memory that all handlers share, with a lock. A server has at most 64.
 *
 * size     bytes, 1 to 2^30; the same if the name exists
 * returns  as above: a handle to the memory, whose bytes are 0 */
CONCUR_API concur_shared *concur_server_shared(concur_server *server, const char *name, size_t size);

/* Takes the lock of shared memory, which excludes all other threads of all processes of the server until
 * concur_shared_unlock(). Hold it for a moment only, and release it before the callback returns: others wait for it, on a
 * loop together with everything else there.
 *
 * If a worker or thread ends while it holds the lock, the next caller gets the lock and *owner_died is 1: the memory may
 * be half changed, and this caller must repair it. If it ends too, the next one is told again.
 *
 * owner_died  receives 1 if the last holder ended without releasing the lock, else 0; may be NULL
 * returns     the memory, aligned for any type, at the same address in every process; only the caller may use it until
 *             concur_shared_unlock(). NULL: shared is NULL, or this thread holds the lock already; concur_last_error()
 *             says which
 * thread      any of any process of the server, but not in a signal handler
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
 * thread   any of any process of the server, also in a signal handler (async-signal-safe)
 * blocks   no */
CONCUR_API void *concur_shared_get(concur_shared *shared);

/* Registers a value that each thread makes for itself, such as a database connection. Threads here are those that run
 * handlers, other callbacks of requests, or offloaded work, in any process of the server; CONCUR_TEXT_DUMP says how many
 * there can be. The value is made when a thread first calls concur_local_get(), so a thread that never calls it has none.
 * A server has at most 64.
 *
 * make     makes the thread's value. It may call concur_local_get() for another one
 * free     called once, on the same thread, with the value, when the thread ends: after idling for `thread_idle`, or
 *          in the server's stop once every request is over. Values are freed in reverse order of registration, so that
 *          one may use those registered before it. It may block, as the thread has nothing else to do. NULL: nothing to
 *          free
 * arg      passed to make as it is; the caller's, must live until the server is freed */
CONCUR_API concur_local *concur_server_local(concur_server *server, concur_make_fn make, concur_free_fn free,
                                             void *arg);

/* Gives the calling thread's value, and makes it first if there is none. Two callbacks of a request may run on two
 * threads, so call this in each.
 *
 * returns  the value, which is the program's and valid on this thread until its free function is called. NULL: make
 *          returned NULL (the next call tries again); out of memory; local is NULL; or a wrong thread.
 *          concur_last_error() says which
 * thread   in handlers, other callbacks of a request, work, and make and free functions, all of local's server. NULL
 *          elsewhere, such as in a hook, on a thread of the program's own, or in another server's handler
 * blocks   as long as make does, if it is called */
CONCUR_API void *concur_local_get(concur_local *local);

/* ---- topics ---- */

/* Makes a topic: requests of all processes wait for it, and whoever has changed something that they show publishes it. A
 * topic carries nothing but a count: what has changed is in a counter, in shared memory or in a database. At most 64 for a
 * server. Names are as for counters; topics have names apart from theirs.
 *
 * name     copied
 * returns  the topic, the server's. NULL: as for concur_server_counter() */
CONCUR_API concur_topic *concur_server_topic(concur_server *server, const char *name);

/* Publishes: wakes every request of every process that waits for the topic. A process that dies at any moment does no harm.
 * Write what has changed before: a request that is woken sees it.
 *
 * topic    NULL: nothing happens
 * returns  how often it was published, this time included; 0 if topic is NULL
 * thread   any of any process of the server, also in a handler, in work, in a signal handler (async-signal-safe)
 * blocks   no */
CONCUR_API int64_t concur_topic_publish(concur_topic *topic);

/* Tells how often a topic was published.
 *
 * returns  the number; 0 if topic is NULL
 * thread   as for concur_topic_publish()
 * blocks   no */
CONCUR_API int64_t concur_topic_count(const concur_topic *topic);

/* Calls a function once when a topic has been published more often than the caller knows of. Several publications that come
 * together may be one call: ask concur_topic_count() before looking at what has changed, and wait with that number the next
 * time, so that none is missed. It is something pending. At most 16 for a request at once.
 *
 * seen       what concur_topic_count() returned: published runs as soon as the number is another one
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

#ifdef __cplusplus
}
#endif

#endif
