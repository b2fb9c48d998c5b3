/* SPDX-License-Identifier: MIT
 *
 * The mapping of the ledger, which the set-up owns. All processes of a generation share it. serve/lend/ledger.h reads
 * and writes it.
 */
#ifndef CNC_SERVER_LEDGER_H
#define CNC_SERVER_LEDGER_H

#include "base/sys.h"

struct cnc_ledger_pages;

struct cnc_ledger {
    struct cnc_ledger_pages *pages; /* NULL: there is none */
    uint32_t places;                /* loans of one front that have a row */
    size_t size;                    /* bytes of the mapping */
};

static inline void cnc_ledger_close(struct cnc_ledger *ledger)
{
    if (ledger->pages)
        cnc_sys_unmap(ledger->pages, ledger->size);
    *ledger = (struct cnc_ledger){ 0 };
}

#endif
