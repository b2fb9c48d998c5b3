/* SPDX-License-Identifier: MIT
 *
 * Descriptors of this process. Two things need care: making a loop needs several descriptors at once, and the numbers
 * 0, 1 and 2 belong to the program.
 *
 * libevent ends the process if it gets no descriptor for a new loop. So the library first opens as many descriptors as
 * the loop will need, and some more for threads of the program that open one at that moment, and closes them again.
 * Meanwhile no other thread of the library may open one: each call that opens a descriptor is between cnc_files_begin()
 * and cnc_files_took().
 */
#ifndef CNC_FILES_H
#define CNC_FILES_H

#include <stdatomic.h>

#include "base/base.h"

#define CNC_FILES_SPARE 6 /* for threads of the program */
#define CNC_FILES_OWN_MAX 65536 /* higher numbers are not noted by cnc_files_own() */
#define CNC_FILES_LOW 3   /* descriptors below this number are the program's */

/* One for the process, shared by its servers. A forked child gets a copy. Its `making` may have the parent's process
 * id, which the child ignores; its `opening` may count calls of the parent, which only makes the child open more
 * descriptors for a test. */
struct cnc_files_state {
    atomic_int making;   /* id of the process that needs several descriptors at once; 0: none */
    atomic_uint opening; /* calls under way that open a descriptor */
    atomic_bool watches; /* cnc_files_watch_forks() was called */
    atomic_bool is_shared; /* this process has called fork(): a child may have copies of its descriptors */
    atomic_ullong own[CNC_FILES_OWN_MAX / 64]; /* a bit for each number: cnc_files_own() */
};
extern struct cnc_files_state cnc_files_state;

/* From now on each fork() of this process is noticed (pthread_atfork). A child that executes another program at once
 * (vfork, posix_spawn, popen) is not: the library's descriptors are closed there. */
void cnc_files_watch_forks(void);

/* Notes the numbers of descriptors that must stay open, those of loops. A forked child has none. Any thread. */
void cnc_files_own(int fd, bool is_own);
/* Was that noted? If a new descriptor has such a number, the program has closed ours by mistake. */
bool cnc_files_is_own(int fd);

/* May another process have copies of the library's descriptors, so that close() alone does not end a connection? */
static inline bool cnc_files_is_shared(void)
{
    return atomic_load_explicit(&cnc_files_state.is_shared, memory_order_relaxed);
}

void cnc_files_wait(void);
int cnc_files_lift(int fd);

/* To be called before a call that opens a descriptor. Waits while another thread makes a loop. */
static inline void cnc_files_begin(void)
{
    atomic_fetch_add(&cnc_files_state.opening, 1);
    if (CNC_UNLIKELY(atomic_load(&cnc_files_state.making) != 0))
        cnc_files_wait();
}

static inline void cnc_files_end(void)
{
    atomic_fetch_sub(&cnc_files_state.opening, 1);
}

/* To be called with the result of that call. Returns the descriptor, moved to a number of at least CNC_FILES_LOW; or -1
 * and errno. */
static inline int cnc_files_took(int fd)
{
    cnc_files_end();
    return CNC_UNLIKELY(fd >= 0 && fd < CNC_FILES_LOW) ? cnc_files_lift(fd) : fd;
}

/* While a loop is made: descriptors that occupy the free numbers among 0, 1 and 2. */
struct cnc_files_hold {
    int low[CNC_FILES_LOW];
    unsigned count;
    int highest; /* the highest number that was found free */
};

/* Makes sure that n descriptors can be opened, among them an epoll and a pipe. Until cnc_files_made() no other thread
 * of the library opens any. 0, or -errno: they cannot be opened, and cnc_files_made() must not be called. */
int cnc_files_make(struct cnc_files_hold *hold, unsigned n);
void cnc_files_made(struct cnc_files_hold *hold);

#define CNC_FILES_PROCESS 20 /* descriptors that the library opens in a process before its first connection */

/* The limit (RLIMIT_NOFILE) with which this process could open n more descriptors. */
unsigned cnc_files_needed(unsigned n);
/* The present limit: descriptors have lower numbers than this. */
unsigned cnc_files_limit(void);
/* Writes what the error err of a call that opens a descriptor means. If the limit is too low, the text has the limit,
 * and the one with which n more could be opened. Returns out. */
const char *cnc_files_why(char *out, size_t room, int err, unsigned n);

#endif
