/* SPDX-License-Identifier: MIT */
#include "serve/lend/ledger.h"

#include "base/sys.h"

#define FRONTS 2 /* a front and its successor have separate rows */

bool cnc_ledger_open(struct cnc_ledger *ledger, uint32_t places)
{
    ledger->places = places < CNC_LEDGER_PLACES ? places : CNC_LEDGER_PLACES;
    ledger->size = sizeof *ledger->pages + (size_t)ledger->places * FRONTS * sizeof(struct cnc_ledger_row);
    ledger->pages = cnc_sys_map_shared(ledger->size); /* the kernel provides a page only when it is used */
    if (!ledger->pages)
        *ledger = (struct cnc_ledger){ 0 };
    return ledger->pages != NULL;
}

uint32_t cnc_ledger_add_front(const struct cnc_ledger *ledger)
{
    unsigned n = ledger->pages ? atomic_fetch_add(&ledger->pages->fronts, 1) : 0;
    return n % 0xffff + 1;
}

void cnc_ledger_lend(const struct cnc_ledger *ledger, uint64_t loan)
{
    struct cnc_ledger_row *row = cnc_ledger_row(ledger, loan);
    if (!row)
        return;
    atomic_store_explicit(&row->loan, 0, memory_order_relaxed);
    atomic_store_explicit(&row->told, 1, memory_order_release);
    atomic_store_explicit(&row->whole, 0, memory_order_relaxed);
    atomic_store_explicit(&row->read, 0, memory_order_relaxed);
    atomic_store_explicit(&row->loan, loan | CNC_LEDGER_LENT, memory_order_release);
}

static bool ledger_move(const struct cnc_ledger *ledger, uint64_t loan, enum cnc_ledger_phase to, bool without)
{
    struct cnc_ledger_row *row = cnc_ledger_row(ledger, loan);
    unsigned long long lent = loan | CNC_LEDGER_LENT;
    return row ? atomic_compare_exchange_strong(&row->loan, &lent, loan | to) : without;
}

bool cnc_ledger_take(const struct cnc_ledger *ledger, uint64_t loan)
{
    return ledger_move(ledger, loan, CNC_LEDGER_TAKEN, true);
}

bool cnc_ledger_revoke(const struct cnc_ledger *ledger, uint64_t loan)
{
    return ledger_move(ledger, loan, CNC_LEDGER_REVOKED, false);
}

bool cnc_ledger_is_taken(const struct cnc_ledger *ledger, uint64_t loan)
{
    return cnc_ledger_own(ledger, loan) != NULL;
}

struct cnc_ledger_entry cnc_ledger_read(const struct cnc_ledger *ledger, uint64_t loan)
{
    const struct cnc_ledger_row *row = cnc_ledger_row(ledger, loan);
    struct cnc_ledger_entry entry = { .told = CNC_LEDGER_UNKNOWN };
    if (!row || (atomic_load(&row->loan) & ~(unsigned long long)CNC_LEDGER_PHASES) != loan)
        return entry;
    entry.told = atomic_load(&row->told);
    entry.whole = atomic_load(&row->whole);
    entry.read = atomic_load(&row->read);
    return entry;
}
