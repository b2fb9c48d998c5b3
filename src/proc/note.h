/* SPDX-License-Identifier: MIT
 *
 * Messages between the processes of a server: short, some with a descriptor, over socket pairs that keep messages apart.
 */
#ifndef CNC_NOTE_H
#define CNC_NOTE_H

#include <concur/types.h>

#include "base/base.h"

enum cnc_note_what {
    /* from the master to its children */
    CNC_NOTE_GO = 1,     /* serve */
    CNC_NOTE_STOP = 2,   /* value: milliseconds until the deadline; slot: 1 if all of its generation stops */
    CNC_NOTE_LINK = 3,   /* to a front: slot has a worker, value its process id; the descriptor is the link to it */
    CNC_NOTE_RETIRE = 4, /* to a front: nothing more for the worker in slot */
    CNC_NOTE_DEAD = 5,   /* to a front: the worker in slot has ended, and was waited for */
    CNC_NOTE_STOPPING = 15, /* to a worker: a stop has begun; its STOP comes when its front has ended */
    CNC_NOTE_LOOK = 21,     /* look for a connection: the process that was woken for it does not take it */
    /* from a child to the master */
    CNC_NOTE_READY = 6,  /* from a master to its host as well */
    CNC_NOTE_FAILED = 7, /* it cannot serve; value: why, CONCUR_E_*; text: the same in words; slot: 1 if the system had no room
                          * for it, which may pass. Also to the host */
    CNC_NOTE_RECYCLE = 10, /* it asks for a successor */
    CNC_NOTE_LEAVING = 14, /* it ends by itself, as it should: by SIGTERM, or having served its share */
    CNC_NOTE_UNLINKED = 13, /* from a front: the link of LINK, with the same slot and value, has not arrived */
    CNC_NOTE_SILENT = 20,   /* from a front: the worker in slot with this process id has closed its end of that link */
    /* to the host */
    CNC_NOTE_LOG = 11,  /* value: level */
    CNC_NOTE_EVENT = 12
};

#define CNC_NOTE_TEXT_MAX 1023

struct cnc_note {
    uint32_t what;
    uint32_t slot;
    int64_t value;
    char text[CNC_NOTE_TEXT_MAX + 1]; /* NUL-terminated; only what it holds is sent */
};

/* Waits only if asked to. fd: -1 for none; stays the caller's. CONCUR_OK, CONCUR_AGAIN (no room), CONCUR_E_GONE.
 * Async-signal-safe. */
int cnc_note_send(int link, const struct cnc_note *note, int fd, bool wait);
/* Waits for room: on the link for as long as it takes, in the system for two seconds. CONCUR_OK; CONCUR_E_GONE; CONCUR_AGAIN: the
 * system has none. */
int cnc_note_deliver(int link, const struct cnc_note *note);
/* Without a text or a descriptor. */
int cnc_note_tell(int link, enum cnc_note_what what, int64_t value);
/* CONCUR_OK; CONCUR_AGAIN: nothing there; CONCUR_E_GONE: the other side has closed. *fd: what came along, or -1, or
 * CNC_PASSING_LOST; NULL: none is expected, and is closed. A message that is none of ours is dropped and counts as nothing there. */
int cnc_note_receive(int link, struct cnc_note *out, int *fd, bool wait);

#endif
