/* SPDX-License-Identifier: MIT
 *
 * What handlers share, and what each thread of them has for itself.
 *
 * A variable of the program is one to all handlers on event, needs a lock or an atomic on thread, and is one for each
 * worker on the engines with processes. What is made here means the same on every engine: all threads of all processes
 * of a server see one counter and one piece of memory, and the death of a worker at any moment leaves both usable.
 *
 * The opposite is what threads must not share, and what does not survive a fork: a connection to a database, a handle
 * of a library, a large buffer. concur_server_local() has one for each thread that needs it.
 *
 * Counters and memory are made during the set-up, before any process is forked, and lie at the same address in each.
 * Names are 1 to 63 letters, digits and "_", ASCII, and do not begin with a digit. A name that was given before finds
 * the same object, so that two parts of a program need not know each other; counters and memory have names apart from
 * each other. The objects are the server's: valid until concur_server_free(), in the process that made them and in
 * every worker.
 */
#ifndef CONCUR_SHARED_H
#define CONCUR_SHARED_H

#include <concur/types.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Makes a counter, which begins at 0. At most 256 for a server; each has a cache line of its own.
 *
 * name     see above. Copied
 * help     a line for people about what is counted, or NULL. Copied; where the name was given before, not looked at
 * returns  the counter, the server's. NULL: server is NULL, a bad name, too many counters, out of memory, or the server
 *          has been run or started; concur_last_error() tells. All but the first and the last stick in the server
 * thread   set-up
 * blocks   no
 * since    0.1 */
CONCUR_API concur_counter *concur_server_counter(concur_server *server, const char *name, const char *help);

/* Adds to a counter in one step: of any number of calls at once none is lost. It orders nothing else: who reads the new
 * value has not therefore seen what was written before it.
 *
 * counter  NULL: nothing is counted
 * n        any value, also negative; beyond the range of int64_t the counter wraps around
 * returns  the new value; 0 if counter is NULL
 * thread   any of any process of the server, also in a handler, in work, in a signal handler (async-signal-safe)
 * blocks   no
 * since    0.1 */
CONCUR_API int64_t concur_counter_add(concur_counter *counter, int64_t n);

/* Reads a counter.
 *
 * returns  its value at this moment; 0 if counter is NULL
 * thread   as with concur_counter_add()
 * blocks   no
 * since    0.1 */
CONCUR_API int64_t concur_counter_get(const concur_counter *counter);

/* Makes memory that all handlers share, and a lock for it. At most 64 for a server.
 *
 * name     see above. Copied
 * size     bytes, 1 to 2^30. Where the name was given before it must be the same size
 * returns  the memory's handle, the server's; the bytes are 0. NULL: server is NULL, a bad name or size, too many, out
 *          of memory, or the server has been run or started; concur_last_error() tells. All but the first and the last
 *          stick in the server
 * thread   set-up
 * blocks   no
 * since    0.1 */
CONCUR_API concur_shared *concur_server_shared(concur_server *server, const char *name, size_t size);

/* Takes the lock of shared memory. It excludes all other threads of all processes of the server until
 * concur_shared_unlock(). Keep it for a moment only, and give it back before the callback returns: whoever wants it
 * waits, on a loop together with everything else there.
 *
 * If a worker or a thread ends while it has the lock, the next one gets it and is told, since what was being changed
 * may be half changed: it is the one to put the memory in order. If it ends as well, the next one is told again.
 *
 * owner_died  becomes 1 if the last holder ended without giving the lock back, else 0; may be NULL
 * returns     the memory, aligned for any type, at the same address in every process; the caller's alone until
 *             concur_shared_unlock(). NULL: shared is NULL, or the calling thread has the lock already;
 *             concur_last_error() tells
 * thread      any of any process of the server, also in a handler and in work; not in a signal handler
 * blocks      until the lock is free
 * since       0.1 */
CONCUR_API void *concur_shared_lock(concur_shared *shared, int *owner_died);

/* Gives the lock back. Without effect on a thread that does not have it.
 *
 * shared   NULL is fine
 * thread   the one that took the lock
 * blocks   no
 * since    0.1 */
CONCUR_API void concur_shared_unlock(concur_shared *shared);

/* Gives the memory without its lock: for atomics, and for what is written during the set-up and only read afterwards.
 *
 * returns  the memory, as concur_shared_lock() gives it; NULL if shared is NULL
 * thread   any of any process of the server, also in a handler, in work, in a signal handler (async-signal-safe)
 * blocks   no
 * since    0.1 */
CONCUR_API void *concur_shared_get(concur_shared *shared);

/* Registers something that each thread has one of: a connection to a database, say. A thread is one that runs handlers,
 * their callbacks or offloaded work, in any process of the server; how many there can be at most is a line of
 * CONCUR_TEXT_DUMP. It is made when concur_local_get() first asks for it on a thread, so a thread that never asks has
 * none. At most 64 for a server.
 *
 * make     makes the thread's own. It may call concur_local_get() for another one
 * free     called with what make returned, on the same thread, when the thread ends: after idling for `thread_idle`, or
 *          in the server's stop, once every request is over. Several are freed in the reverse order of registration, so
 *          that one may use those registered before it. It may block, as the thread does nothing else any more. NULL:
 *          nothing to free
 * arg      handed to make as it is; the caller's, must live until the server is freed
 * returns  the handle, the server's. NULL: server or make is NULL, too many, out of memory, or the server has been run
 *          or started; concur_last_error() tells. All but a NULL server and the last stick in the server
 * thread   set-up
 * blocks   no
 * since    0.1 */
CONCUR_API concur_local *concur_server_local(concur_server *server, concur_make_fn make, concur_free_fn free,
                                             void *arg);

/* Gives what the calling thread has of it, made now if there is none yet. Two callbacks of one request may run on two
 * threads: ask in each.
 *
 * returns  the thread's own; the program's, valid on this thread until its free function is called. NULL: make returned
 *          NULL (the next call tries again); out of memory; local is NULL; or the calling thread is none that runs
 *          handlers or work of local's server, as in a hook, in a thread of the program's own, or in another server's
 *          handler. concur_last_error() tells
 * thread   in a handler, in any callback of a request, in work, in make and free functions; elsewhere NULL
 * blocks   for as long as make does, when it is called
 * since    0.1 */
CONCUR_API void *concur_local_get(concur_local *local);

#ifdef __cplusplus
}
#endif

#endif
