/* SPDX-License-Identifier: MIT
 *
 * Descriptors of this process: making a loop needs several at once, and the numbers 0, 1 and 2 are the program's.
 *
 * libevent ends the process if it gets no descriptor for a new loop. So the library first opens as many descriptors as the
 * loop will need, and some more for threads of the program that open one at that moment, and closes them again. Meanwhile no
 * thread of the library may open one: each call that opens a descriptor says when it begins and ends.
 */
#ifndef CNC_FILES_H
#define CNC_FILES_H

#include <stdatomic.h>

#include "base/base.h"

#define CNC_FILES_SPARE 6 /* for threads of the program */
#define CNC_FILES_LOW 3   /* descriptors below this number are the program's */

/* One for the process, shared by its servers. A forked child has a copy of it as it was at the fork. So `making` holds a process
 * id, which tells the child that it is not the child's; a call that was counted in `opening` only makes the child reserve more. */
struct cnc_files_state {
    atomic_int making;   /* process id of the one that needs several at once; 0: none */
    atomic_uint opening; /* calls under way that open one */
    atomic_bool watches; /* forks of this process are noticed */
    atomic_bool is_shared; /* it may have had a child by fork(), which has the descriptors that were open then */
};
extern struct cnc_files_state cnc_files_state;

/* From here on forks are noticed. The C library calls us at each fork() of the program, as long as the library is loaded.
 * Programs that a child executes (vfork, posix_spawn, popen) do not have our descriptors and do not count. */
void cnc_files_watch_forks(void);

/* May another process have our descriptors open, so that close() alone does not end a connection? */
static inline bool cnc_files_is_shared(void)
{
    return atomic_load_explicit(&cnc_files_state.is_shared, memory_order_relaxed);
}

void cnc_files_wait(void);
int cnc_files_lift(int fd);

/* A call that opens one descriptor, in cnc_files_begin() and cnc_files_took(). */
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

/* Its result, on a number of at least CNC_FILES_LOW; -1, and errno. */
static inline int cnc_files_took(int fd)
{
    cnc_files_end();
    return CNC_UNLIKELY(fd >= 0 && fd < CNC_FILES_LOW) ? cnc_files_lift(fd) : fd;
}

/* Occupies those of 0, 1 and 2 that are closed, while something is made. */
struct cnc_files_hold {
    int low[CNC_FILES_LOW];
    unsigned count;
    int highest; /* number that was free */
};

/* Makes sure that n descriptors (an epoll, a pipe, others) are free, and keeps the library's other threads from taking any
 * until cnc_files_made(). 0, or -errno: they are not free, and cnc_files_made() must not be called. */
int cnc_files_make(struct cnc_files_hold *hold, unsigned n);
void cnc_files_made(struct cnc_files_hold *hold);

#define CNC_FILES_PROCESS 20 /* descriptors that a process opens itself before its first connection */

/* The limit with which this process could open n more. */
unsigned cnc_files_needed(unsigned n);
/* The soft limit: no number reaches it. */
unsigned cnc_files_limit(void);
/* What err, of a call that opens something, means in words; where the limit is too low with both numbers, so that n more can be
 * opened. Returns out. */
const char *cnc_files_why(char *out, size_t room, int err, unsigned n);

#endif
