/* SPDX-License-Identifier: MIT
 *
 * A home is a serial executor: at most one thread runs it at a time, and two callbacks never nest. Every callback of a
 * request runs at its home. On a loop engine the home is the loop. A blocking thread has a home of its own, which gets a loop
 * only when a descriptor must be watched there. Posts and timers need no loop.
 *
 * Tasks reach a home in two ways. cnc_home_defer() is for the owner: the task runs after the callback under way has
 * returned. cnc_home_post() is for all other threads: it pushes to the inbox, and wakes the loop or the thread.
 */
#ifndef CNC_HOME_H
#define CNC_HOME_H

#include <stdatomic.h>

#include "base/list.h"
#include "base/sys.h"
#include "exec/timer.h"
#include "loop/loop.h"

/* Embedded in the object whose function runs; linked in at most one queue at a time. */
struct cnc_task {
    struct cnc_task *next;
    void (*run)(struct cnc_task *);
};

struct cnc_tasks {
    struct cnc_task *head, *last;
};

struct cnc_home {
    /* for the owner only */
    uintptr_t thread; /* cnc_sys_thread_self() */
    const struct cnc_clock *clock;
    struct cnc_loop *loop; /* owned; NULL at a blocking home until cnc_home_need_loop() */
    struct cnc_tasks local;
    struct cnc_timers timers;
    struct cnc_tick timers_tick;
    bool blocking;          /* a thread that may block, not a loop */
    struct cnc_link away;   /* jobs for a pool, submitted together when the queued tasks have run */
    void (*send_away)(struct cnc_home *); /* submits them; leaves away empty */
    void *away_to;          /* the server whose pool gets them; for send_away */
    void (*after)(void *);  /* run at the end of each turn: the driver's flush */
    void *after_arg;
    void *user;             /* the engine's object for this thread; freed by user_free */
    void (*user_free)(void *);
    void *pooled;           /* at a pool's thread: the pool's struct for it; else NULL */
    const void *owner;      /* the server whose handlers or work run here; NULL: none do */
    void *locals;           /* the program's values for this thread; freed by locals_free */
    void (*locals_free)(void *);
    struct cnc_home *outer; /* the home that the thread had before it adopted this one */
    void (*emptied)(struct cnc_home *); /* optional: called when it closes and nothing is queued any more; frees what the struct
                                         * that begins with this one owns */

    atomic_uint refs;
    pthread_mutex_t mu;
    struct cnc_tasks inbox; /* guarded by mu */
    bool closed;            /* guarded by mu: posts are refused */
    atomic_uint mail;       /* 1: inbox may hold something; a hint read without mu. Without a loop it is the futex on which the
                             * owner sleeps */
};

/* Makes a home for the calling thread. size: bytes of the struct that begins with the home; the rest of it is 0. Blocking homes
 * get their loop on demand. */
int cnc_home_create(struct cnc_home **out, const struct cnc_clock *clock, size_t size, bool blocking);
/* The calling thread becomes the owner (the home may have been created before the thread), and is at home from now on. */
void cnc_home_adopt(struct cnc_home *home);
/* Owner. Frees the locals; there may be new ones afterwards. */
void cnc_home_free_locals(struct cnc_home *home);
/* Owner, when no callback of a request is still to come: frees the locals. The thread is no longer at this home. */
void cnc_home_leave(struct cnc_home *home);
/* The home that the calling thread has adopted and not left; NULL: none. */
struct cnc_home *cnc_home_here(void);
/* Refuses further posts, runs what is queued, frees everything but the struct itself, which is freed with its last
 * reference. */
void cnc_home_close(struct cnc_home **home);
void cnc_home_ref(struct cnc_home *home);
void cnc_home_unref(struct cnc_home *home);

static inline bool cnc_home_is_mine(const struct cnc_home *home)
{
    return home->thread == cnc_sys_thread_self();
}

/* Makes sure that there is a loop, so that descriptors can be watched. Owner. */
int cnc_home_need_loop(struct cnc_home *home);
/* Any thread. CONCUR_OK: the task runs exactly once, at home. CONCUR_E_STOPPING: the home is closed. */
int cnc_home_post(struct cnc_home *home, struct cnc_task *task);
/* Owner. The task runs after the callback under way; in order. */
void cnc_home_defer(struct cnc_home *home, struct cnc_task *task);
/* Owner. One turn of the loop (waiting at most max_wait_ms, -1: no limit), then what is queued, then `after`. A blocking home
 * without a loop waits for posts and timers alone. CONCUR_OK, or CONCUR_E_SYS: the loop is broken (loop.h); what was queued has
 * run all the same. */
int cnc_home_turn(struct cnc_home *home, int64_t max_wait_ms);
/* Owner. Closes the loop, broken or not; nothing may be watched there any more. cnc_home_need_loop() may make another one. */
void cnc_home_drop_loop(struct cnc_home *home);
/* Owner. Runs what is queued now, without a look at descriptors. */
void cnc_home_settle(struct cnc_home *home);

/* Owner. Milliseconds on the clock: read once a turn on a loop, at each call on a blocking thread. */
static inline int64_t cnc_home_now(struct cnc_home *home)
{
    return home->blocking ? cnc_clock_now(home->clock) : cnc_loop_now(home->loop);
}

/* Owner. Sets t to run at `at` at this home, in one of its turns. */
void cnc_home_timer(struct cnc_home *home, struct cnc_timer *t, int64_t at);
void cnc_home_timer_cancel(struct cnc_home *home, struct cnc_timer *t);

#endif
