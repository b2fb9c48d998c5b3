/* SPDX-License-Identifier: MIT */
#include "serve/lend/book.h"

#include <concur/error.h>

#include "base/sys.h"

#define OUT_FIRST_MS 100 /* a worker is left out for so long after a refusal; twice as long each time */
#define OUT_MAX_MS 1000

int cnc_book_open(struct cnc_book *book, unsigned count, unsigned workers, unsigned threads_max)
{
    *book = (struct cnc_book){ .rows = cnc_calloc(count, sizeof *book->rows), .count = count, .workers = workers,
                               .threads_max = threads_max };
    return book->rows ? CONCUR_OK : CONCUR_E_NOMEM;
}

void cnc_book_close(struct cnc_book *book)
{
    cnc_free(book->rows);
    *book = (struct cnc_book){ 0 };
}

/* ---- events ---- */

void cnc_book_link(struct cnc_book *book, unsigned slot)
{
    book->rows[slot] = (struct cnc_book_row){ .flags = CNC_BOOK_LINKED };
}

void cnc_book_unlink(struct cnc_book *book, unsigned slot)
{
    book->rows[slot] = (struct cnc_book_row){ 0 };
}

/* Wrong numbers are corrected: a worker cannot have read more than was sent, nor less than before. */
bool cnc_book_told(struct cnc_book *book, unsigned slot, uint32_t seen, uint32_t free)
{
    struct cnc_book_row *row = &book->rows[slot];
    bool first = !(row->flags & CNC_BOOK_GREETED);
    if (seen - row->seen > row->sent - row->seen)
        seen = row->seen;
    row->seen = seen;
    row->free = free < book->threads_max ? free : book->threads_max;
    row->flags |= CNC_BOOK_GREETED;
    if (row->flags & CNC_BOOK_STUCK && row->sent - seen <= row->sent - row->stuck_at)
        row->flags &= ~(uint32_t)CNC_BOOK_STUCK;
    return first;
}

uint32_t cnc_book_sent(struct cnc_book *book, unsigned slot, bool for_life)
{
    struct cnc_book_row *row = &book->rows[slot];
    row->leases += for_life;
    book->turn = slot + 1;
    return ++row->sent;
}

void cnc_book_taken(struct cnc_book *book, unsigned slot, uint32_t number)
{
    struct cnc_book_row *row = &book->rows[slot];
    if (row->out_ms && number - row->refused_at - 1 < row->sent - row->refused_at)
        row->out_ms = 0;
}

void cnc_book_refused(struct cnc_book *book, unsigned slot, int64_t now)
{
    struct cnc_book_row *row = &book->rows[slot];
    bool again = now >= row->out_until; /* false: this loan was sent before the last refusal came */
    if (again && row->out_ms)
        row->out_ms = row->out_ms * 2 < OUT_MAX_MS ? row->out_ms * 2 : OUT_MAX_MS;
    if (!row->out_ms)
        row->out_ms = OUT_FIRST_MS;
    if (again)
        row->out_until = now + row->out_ms;
    row->refused_at = row->sent;
}

void cnc_book_stuck(struct cnc_book *book, unsigned slot)
{
    struct cnc_book_row *row = &book->rows[slot];
    row->flags |= CNC_BOOK_STUCK;
    row->stuck_at = row->sent;
}

void cnc_book_set(struct cnc_book *book, unsigned slot, unsigned flag, bool on)
{
    if (on)
        book->rows[slot].flags |= flag;
    else
        book->rows[slot].flags &= ~flag;
}

void cnc_book_lease_began(struct cnc_book *book, unsigned slot)
{
    book->rows[slot].leases++;
}

void cnc_book_lease_ended(struct cnc_book *book, unsigned slot)
{
    struct cnc_book_row *row = &book->rows[slot];
    row->leases -= row->leases > 0;
}

/* ---- choice ---- */

unsigned cnc_book_free(const struct cnc_book_row *row)
{
    uint32_t unseen = row->sent - row->seen;
    return row->free > unseen ? row->free - unseen : 0;
}

static bool book_serves(const struct cnc_book_row *row)
{
    return (row->flags & (CNC_BOOK_LINKED | CNC_BOOK_GREETED | CNC_BOOK_RETIRED)) == (CNC_BOOK_LINKED | CNC_BOOK_GREETED);
}

unsigned cnc_book_free_total(const struct cnc_book *book)
{
    unsigned n = 0;
    for (unsigned i = 0; i < book->count; i++)
        n += book_serves(&book->rows[i]) ? cnc_book_free(&book->rows[i]) : 0;
    return n;
}

static bool is_left_out(const struct cnc_book_row *row, int64_t now)
{
    return row->out_ms && now < row->out_until;
}

/* The worker with the highest result gets the loan; 0: it gets none. After a refusal it gets one at a time until it
 * takes one. */
static uint64_t worth(const struct cnc_book_row *row, bool for_life)
{
    if (row->flags & (CNC_BOOK_CLOGGED | CNC_BOOK_STUCK) || (row->out_ms && row->sent != row->seen))
        return 0;
    return for_life ? UINT64_C(1) << 32 | (UINT32_MAX - row->leases) : cnc_book_free(row);
}

/* All workers that read their links are left out, and none is missing: picks the one that may be tried first. */
static int pick_refuser(const struct cnc_book *book, bool for_life, unsigned tries)
{
    unsigned refusers = 0, first = book->count;
    for (unsigned i = 0; i < book->count; i++) {
        const struct cnc_book_row *row = &book->rows[i];
        if (!book_serves(row) || row->flags & CNC_BOOK_STUCK)
            continue;
        refusers++;
        if (worth(row, for_life) && (first == book->count || row->out_until < book->rows[first].out_until))
            first = i;
    }
    if (refusers && tries >= refusers)
        return CNC_BOOK_NOBODY;
    return first < book->count ? (int)first : CNC_BOOK_WAIT;
}

int cnc_book_pick(const struct cnc_book *book, bool for_life, unsigned tries, int64_t now)
{
    uint64_t most = 0;
    int best = CNC_BOOK_WAIT;
    unsigned there = 0;
    bool any_well = false, any_refuser = false;
    for (unsigned n = 0, i = book->turn % book->count; n < book->count; n++, i = i + 1 < book->count ? i + 1 : 0) {
        const struct cnc_book_row *row = &book->rows[i];
        if (!book_serves(row))
            continue;
        there++;
        if (is_left_out(row, now)) {
            any_refuser = true;
            continue;
        }
        any_well = any_well || !(row->flags & CNC_BOOK_STUCK);
        uint64_t is_worth = worth(row, for_life);
        if (is_worth > most) {
            most = is_worth;
            best = (int)i;
        }
    }
    return any_refuser && !any_well && there >= book->workers ? pick_refuser(book, for_life, tries) : best;
}

int64_t cnc_book_next(const struct cnc_book *book, int64_t now)
{
    int64_t next = INT64_MAX;
    for (unsigned i = 0; i < book->count; i++) {
        const struct cnc_book_row *row = &book->rows[i];
        if (book_serves(row) && is_left_out(row, now) && row->out_until < next)
            next = row->out_until;
    }
    return next;
}
