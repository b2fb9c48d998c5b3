/* SPDX-License-Identifier: MIT
 *
 * Loops, over libevent: only this folder includes it. A loop belongs to one thread; another thread or a signal handler may
 * call cnc_loop_wake() only. No locks, no evthread, no environment.
 */
#ifndef CNC_LOOP_H
#define CNC_LOOP_H

#include <event2/event.h>
#include <event2/event_struct.h>

#include "base/base.h"
#include "base/clock.h"

struct cnc_loop;

enum {
    CNC_IO_READ = 1,
    CNC_IO_WRITE = 2,
    CNC_IO_EXCLUSIVE = 8, /* with CNC_IO_READ alone: the kernel wakes one at least of those that wait like this, not all */
    CNC_IO_EDGE = 16, /* with CNC_IO_READ alone, if all who watch the descriptor do so: told of each write to it, though nobody reads */
    CNC_IO_CLOSED = 4 /* the peer shut its side or reset, reported with unread data queued; once, when it stands alone */
};

/* A descriptor's watcher, embedded where it is used. INV: mask == 0 means libevent does not know it. */
struct cnc_io {
    struct event ev;
    void (*fn)(struct cnc_io *, unsigned ready);
};

/* A coarse deadline with one handler: the sweep of deadline queues, the head of a timer heap. */
struct cnc_tick {
    struct cnc_tick *next;
    int64_t at; /* INT64_MAX: not set */
    void (*fn)(struct cnc_tick *);
};

/* CONCUR_OK; CONCUR_E_NOMEM or CONCUR_E_SYS, which says what has run out. clock is borrowed for the loop's life. */
int cnc_loop_create(struct cnc_loop **out, const struct cnc_clock *clock);
/* Every io must have been stopped. NULLs *loop. */
void cnc_loop_destroy(struct cnc_loop **loop);

/* Waits at most max_wait_ms (-1: no limit) for something to do, runs what is ready, then the ticks that are due. CONCUR_OK, or
 * CONCUR_E_SYS: the loop is broken, as the thread's last error says; a descriptor of its own was closed, say. It may still be
 * destroyed, and its descriptors unwatched. */
int cnc_loop_turn(struct cnc_loop *loop, int64_t max_wait_ms);
/* Breaks the loop: the current or the next turn returns CONCUR_E_SYS with why, a static text. Only the first reason is kept. Any
 * thread; one other than the loop's may have to wake the loop. */
void cnc_loop_break(struct cnc_loop *loop, const char *why);
/* Is this the number of one of the loop's descriptors? If a new descriptor has that number, ours was closed. */
bool cnc_loop_owns(const struct cnc_loop *loop, int fd);
/* Milliseconds on the loop's clock, read once a turn. */
int64_t cnc_loop_now(struct cnc_loop *loop);
/* The time at which the last turn's first callback ran. */
int64_t cnc_loop_turn_began(const struct cnc_loop *loop);
/* Ends a wait under way, or the next one at once. Any thread, any signal handler. Keeps errno. */
void cnc_loop_wake(struct cnc_loop *loop);

/* Prepares io for fd; does not watch yet. */
void cnc_io_init(struct cnc_loop *loop, struct cnc_io *io, int fd, void (*fn)(struct cnc_io *, unsigned ready));
/* Watches for mask (CNC_IO_* bits); 0 stops. CONCUR_OK or CONCUR_E_SYS (then nothing is watched). */
int cnc_io_watch(struct cnc_loop *loop, struct cnc_io *io, unsigned mask);
/* Can io be watched? For a descriptor that is not the library's own: libevent writes to the program's stderr about each that the
 * system refuses. To be asked right before; not while io is watched. CONCUR_OK or CONCUR_E_SYS. */
int cnc_io_ask(struct cnc_loop *loop, const struct cnc_io *io);

static inline int cnc_io_fd(const struct cnc_io *io)
{
    return (int)io->ev.ev_fd;
}

void cnc_tick_init(struct cnc_loop *loop, struct cnc_tick *tick, void (*fn)(struct cnc_tick *));
void cnc_tick_deinit(struct cnc_loop *loop, struct cnc_tick *tick);
/* Makes tick due at `at`, or earlier if it already was. */
void cnc_tick_at(struct cnc_loop *loop, struct cnc_tick *tick, int64_t at);

/* In a process of the library: libevent's messages go to say instead of stderr, and fatal is called before libevent ends
 * the process (NULL: none). For the whole process; say == NULL: libevent's defaults. */
void cnc_loop_say_to(void (*say)(const char *text), void (*fatal)(void));

#endif
