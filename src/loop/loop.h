/* SPDX-License-Identifier: MIT
 *
 * Event loops over libevent, which only this folder includes. A loop belongs to one thread. Other threads and signal
 * handlers may only call cnc_loop_wake(). libevent's locks and environment variables are not used.
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
    CNC_IO_EXCLUSIVE = 8, /* only with CNC_IO_READ: the kernel wakes at least one such watcher, not all */
    CNC_IO_EDGE = 16, /* only with CNC_IO_READ, if all watch it like this: reports each write, even if nobody reads */
    CNC_IO_CLOSED = 4 /* the peer has shut its side or reset, even if input is unread; alone it is reported only once */
};

/* A descriptor's watcher, embedded where it is used. INV: mask == 0 means libevent does not know it. */
struct cnc_io {
    struct event ev;
    void (*fn)(struct cnc_io *, unsigned ready);
};

/* A coarse timer of a loop, for code that has many deadlines: it is set to the earliest one. */
struct cnc_tick {
    struct cnc_tick *next;
    int64_t at; /* INT64_MAX: not set */
    void (*fn)(struct cnc_tick *);
};

/* CONCUR_OK; CONCUR_E_NOMEM, or CONCUR_E_SYS with the thread's last error set. clock must outlive the loop. */
int cnc_loop_create(struct cnc_loop **out, const struct cnc_clock *clock);
/* Every io must have been stopped. NULLs *loop. */
void cnc_loop_destroy(struct cnc_loop **loop);

/* Waits at most max_wait_ms (-1: no limit) for events, calls their handlers, then those of the ticks that are due.
 * CONCUR_OK, or CONCUR_E_SYS: the loop is broken, as the thread's last error says, because one of its descriptors was
 * closed, say. A broken loop can only be destroyed, after its watchers were stopped. */
int cnc_loop_turn(struct cnc_loop *loop, int64_t max_wait_ms);
/* Breaks the loop: the current or the next turn returns CONCUR_E_SYS with why, a static text. Only the first reason is
 * kept. Any thread; one other than the loop's may have to wake the loop. */
void cnc_loop_break(struct cnc_loop *loop, const char *why);
/* Milliseconds on the loop's clock, read once a turn. */
int64_t cnc_loop_now(struct cnc_loop *loop);
/* The time at which the last turn's first callback ran. */
int64_t cnc_loop_turn_began(const struct cnc_loop *loop);
/* Ends the present wait of the loop, or the next one at once. Any thread, any signal handler. Keeps errno. */
void cnc_loop_wake(struct cnc_loop *loop);

/* Prepares io for fd, without watching it. */
void cnc_io_init(struct cnc_loop *loop, struct cnc_io *io, int fd, void (*fn)(struct cnc_io *, unsigned ready));
/* Watches for the events in mask (CNC_IO_*); 0 stops. CONCUR_OK, or CONCUR_E_SYS, and nothing is watched. */
int cnc_io_watch(struct cnc_loop *loop, struct cnc_io *io, unsigned mask);
/* Can io be watched? To be called right before cnc_io_watch() for a descriptor of the program: if the system refuses
 * one, libevent writes about it to stderr. Not while io is watched. CONCUR_OK or CONCUR_E_SYS. */
int cnc_io_ask(struct cnc_loop *loop, const struct cnc_io *io);

static inline int cnc_io_fd(const struct cnc_io *io)
{
    return (int)io->ev.ev_fd;
}

void cnc_tick_init(struct cnc_loop *loop, struct cnc_tick *tick, void (*fn)(struct cnc_tick *));
void cnc_tick_deinit(struct cnc_loop *loop, struct cnc_tick *tick);
/* Sets tick to `at`, unless it is set to an earlier time. */
void cnc_tick_at(struct cnc_loop *loop, struct cnc_tick *tick, int64_t at);

/* For the whole process: libevent's messages go to say() instead of stderr, and fatal() is called before libevent ends
 * the process (NULL: none). say NULL: libevent's defaults. Only in a process that the library forked, or that runs
 * concur_server_run(). */
void cnc_loop_say_to(void (*say)(const char *text), void (*fatal)(void));

#endif
