/* SPDX-License-Identifier: MIT
 *
 * Short messages between the processes of a server, some with a descriptor. They are sent over socket pairs of type
 * SOCK_SEQPACKET, which keep messages apart.
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
    CNC_NOTE_RETIRE = 4, /* to a front: the worker in slot gets no more requests */
    CNC_NOTE_DEAD = 5,   /* to a front: the worker in slot has ended; value: its process id */
    CNC_NOTE_STOPPING = 15, /* to a worker: a stop has begun; STOP follows when its front has ended */
    CNC_NOTE_LOOK = 21,     /* look for a connection that another process was woken for and did not take */
    /* from a child to the master */
    CNC_NOTE_READY = 6,  /* the child is ready to serve. Also from a master to its host: the server serves */
    CNC_NOTE_FAILED = 7, /* it cannot serve. value: CONCUR_E_*; text: the reason; slot: 1 if memory or descriptors are
                          * lacking, which may pass. Also from a master to its host */
    CNC_NOTE_RECYCLE = 10, /* it asks for a successor */
    CNC_NOTE_LEAVING = 14, /* it will end by itself: after SIGTERM, or after requests_per_worker requests */
    CNC_NOTE_UNLINKED = 13, /* from a front: the descriptor of a LINK with this slot and value has not arrived */
    CNC_NOTE_SILENT = 20,   /* from a front: the worker in slot (value: process id) has closed its end of the link */
    CNC_NOTE_WAKE = 22,     /* only wakes the master: the child has lost the eventfd for that */
    /* to the host */
    CNC_NOTE_LOG = 11,  /* value: level */
    CNC_NOTE_EVENT = 12
};

#define CNC_NOTE_TEXT_MAX 1023

struct cnc_note {
    uint32_t what;
    uint32_t slot;
    int64_t value;
    char text[CNC_NOTE_TEXT_MAX + 1]; /* NUL-terminated; only its length is sent */
};

/* wait: waits for room on the link. fd: -1 for none; stays the caller's. CONCUR_OK; CONCUR_AGAIN: no room;
 * CONCUR_E_GONE. Async-signal-safe. */
int cnc_note_send(int link, const struct cnc_note *note, int fd, bool wait);
/* Sends, and waits for room on the link without limit, for room in the system up to two seconds. CONCUR_OK;
 * CONCUR_E_GONE; CONCUR_AGAIN: the system has no room. */
int cnc_note_deliver(int link, const struct cnc_note *note);
/* Sends a note without text and descriptor, and without waiting. */
int cnc_note_tell(int link, enum cnc_note_what what, int64_t value);
/* CONCUR_OK; CONCUR_AGAIN: there is no message; CONCUR_E_GONE: the other side has closed. *fd: the message's
 * descriptor, -1 or CNC_PASSING_LOST; NULL: a descriptor is closed. A message that is not a note is dropped:
 * CONCUR_AGAIN. */
int cnc_note_receive(int link, struct cnc_note *out, int *fd, bool wait);

#endif
