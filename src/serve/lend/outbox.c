/* SPDX-License-Identifier: MIT */
#include "serve/lend/outbox.h"

#include "base/sys.h"
#include "serve/lend/ledger.h"

#define CAP_FIRST 32

void cnc_outbox_close(struct cnc_outbox *box)
{
    cnc_free(box->ring);
    *box = (struct cnc_outbox){ 0 };
}

static bool outbox_grow(struct cnc_outbox *box)
{
    uint32_t cap = box->cap ? box->cap * 2 : CAP_FIRST;
    struct cnc_outbox_note *ring = cnc_malloc(cap * sizeof *ring);
    if (!ring)
        return false;
    for (uint32_t i = 0; i < box->count; i++)
        ring[i] = box->ring[(box->first + i) % box->cap];
    cnc_free(box->ring);
    box->ring = ring;
    box->cap = cap;
    box->first = 0;
    return true;
}

bool cnc_outbox_reserve(struct cnc_outbox *box, uint32_t more)
{
    return box->count + box->loans + more + 2 <= box->cap || outbox_grow(box);
}

void cnc_outbox_read(struct cnc_outbox *box, bool taken)
{
    box->seen++;
    box->loans += taken;
}

bool cnc_outbox_end(struct cnc_outbox *box, uint64_t loan)
{
    if (cnc_loan_front(loan) == box->front) {
        box->loans--;
        return true;
    }
    box->others--;
    return false;
}

void cnc_outbox_keep(struct cnc_outbox *box, const struct cnc_loan_note *note, struct cnc_conn *conn)
{
    CNC_ASSERT(box->count < box->cap);
    box->ring[(box->first + box->count++) % box->cap] = (struct cnc_outbox_note){ *note, conn };
}

void cnc_outbox_greet(struct cnc_outbox *box, uint32_t front)
{
    box->others += box->loans;
    box->loans = 0;
    box->front = front;
    box->seen = 0;
    box->is_asked = true;
    box->asked_flags = 0;
}

void cnc_outbox_ask(struct cnc_outbox *box, uint32_t flags)
{
    box->is_asked = true;
    box->asked_flags |= flags;
}

static void remove_first(struct cnc_outbox *box)
{
    box->first = (box->first + 1) % box->cap;
    box->count--;
}

bool cnc_outbox_drop(struct cnc_outbox *box, struct cnc_outbox_note *out)
{
    if (box->count == 0 || cnc_loan_front(box->ring[box->first].note.id) == box->front)
        return false;
    *out = box->ring[box->first];
    remove_first(box);
    return true;
}

void cnc_outbox_stamp(const struct cnc_outbox *box, struct cnc_loan_note *note, uint32_t free)
{
    note->front = box->front;
    note->seen = box->seen;
    note->free = free;
    note->others = box->others;
}

bool cnc_outbox_next(const struct cnc_outbox *box, uint32_t free, struct cnc_outbox_note *out)
{
    if (box->count) {
        *out = box->ring[box->first];
    } else {
        bool is_new = box->is_asked || box->told_seen != box->seen || box->told_free != free || box->told_others != box->others;
        if (!box->front || !is_new)
            return false;
        *out = (struct cnc_outbox_note){ .note = { .what = CNC_LOAN_COUNTS, .flags = box->asked_flags } };
    }
    cnc_outbox_stamp(box, &out->note, free);
    return true;
}

void cnc_outbox_sent(struct cnc_outbox *box, const struct cnc_loan_note *note, bool was_kept)
{
    box->told_seen = note->seen;
    box->told_free = note->free;
    box->told_others = note->others;
    if (was_kept && note->what != CNC_LOAN_COUNTS)
        remove_first(box);
    if (note->what == CNC_LOAN_COUNTS)
        box->asked_flags = 0;
    if (!box->asked_flags) /* else a note with these flags is still to be sent */
        box->is_asked = false;
}
