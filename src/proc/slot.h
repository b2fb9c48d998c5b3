/* SPDX-License-Identifier: MIT
 *
 * A slot: what the master knows of one process. Pure: it gets the time and an event, and returns what the master must
 * do. docs/states.md has the same table.
 */
#ifndef CNC_SLOT_H
#define CNC_SLOT_H

#include "base/base.h"

enum cnc_slot_state {
    CNC_SLOT_EMPTY,     /* no process */
    CNC_SLOT_STARTING,  /* forked, not ready yet */
    CNC_SLOT_READY,     /* serves */
    CNC_SLOT_REPLACING, /* serves until its successor, in another slot, is ready */
    CNC_SLOT_DRAIN,     /* was asked to stop; finishes what it has */
    CNC_SLOT_TERM,      /* took too long: SIGTERM was sent */
    CNC_SLOT_KILL,      /* SIGKILL was sent; its end is awaited */
    CNC_SLOT_BACKOFF,   /* has ended; the next start waits for the delay */
    CNC_SLOT_GAVE_UP,   /* ended too often before it was ready; it is not started again */
    CNC_SLOT_STATES
};

enum cnc_slot_event {
    CNC_SLOT_ON_FORKED,
    CNC_SLOT_ON_FORK_FAILED,
    CNC_SLOT_ON_READY,
    CNC_SLOT_ON_EXIT,       /* the process has ended; slot->leaves and slot->starved say how */
    CNC_SLOT_ON_DRAIN,      /* the process is to end, and no other one is to be started here */
    CNC_SLOT_ON_REPLACE,    /* a successor is started in another slot */
    CNC_SLOT_ON_REPLACED,   /* ... and is ready */
    CNC_SLOT_ON_UNREPLACED, /* ... and failed */
    CNC_SLOT_ON_STUCK,      /* it hangs: it is stopped, its link has ended, or its handler runs too long */
    CNC_SLOT_ON_DEADLINE,
    CNC_SLOT_EVENTS
};

/* Bits of todo: what the master must do. It clears them. */
enum {
    CNC_SLOT_DO_FORK = 1,
    CNC_SLOT_DO_STOP = 2, /* ask it to stop */
    CNC_SLOT_DO_TERM = 4,
    CNC_SLOT_DO_KILL = 8,
    CNC_SLOT_DO_TELL = 16 /* report that the slot was given up */
};

struct cnc_slot_times {
    int64_t start_ms;        /* from fork to READY */
    int64_t drain_ms;        /* from the request to stop until SIGTERM */
    unsigned early_max;      /* after so many ends before READY the slot is given up */
    int64_t early_window_ms; /* only ends that follow each other within this time count; longer than start_ms */
};

struct cnc_slot {
    uint8_t state; /* enum cnc_slot_state */
    uint8_t todo;
    bool wanted;   /* a process should be here */
    bool was_ready;
    bool leaves;   /* the last process had announced its end, and exited with status 0 */
    bool starved;  /* the last process could not start, or serve, for want of memory or descriptors */
    unsigned early;      /* ends before READY in a row */
    int64_t early_at;    /* when the last of them was */
    int64_t delay;       /* before the next fork, if this process fails too; 0: the first delay */
    int64_t deadline;    /* INT64_MAX: none */
    int64_t ready_at;
    uint64_t illegal;    /* pairs outside the table, in release builds */
};

void cnc_slot_init(struct cnc_slot *slot);
void cnc_slot_step(struct cnc_slot *slot, enum cnc_slot_event ev, const struct cnc_slot_times *times, int64_t now);
/* A process is wanted here from now on: forks at once if there is none. */
void cnc_slot_want(struct cnc_slot *slot, int64_t now);
/* There is a process. */
static inline bool cnc_slot_is_alive(const struct cnc_slot *slot)
{
    return slot->state >= CNC_SLOT_STARTING && slot->state <= CNC_SLOT_KILL;
}
static inline bool cnc_slot_serves(const struct cnc_slot *slot)
{
    return slot->state == CNC_SLOT_READY || slot->state == CNC_SLOT_REPLACING;
}
const char *cnc_slot_state_name(int state);

#endif
