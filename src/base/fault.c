/* SPDX-License-Identifier: MIT */
#include "base/fault.h"

#ifdef CNC_FAULTS
#include <errno.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdlib.h>

#include <sys/mman.h>

#include "base/sys.h"

struct fault {
    atomic_uint count;
    atomic_uint nth;
    atomic_bool and_after;
};

static struct fault fault_own[CNC_FAULT_KINDS];
static struct fault *faults = fault_own;

bool cnc_fault_share(void)
{
    void *p = mmap(NULL, sizeof fault_own, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED)
        return false;
    faults = p;
    return true;
}

void cnc_fault_arm(enum cnc_fault_kind kind, unsigned nth, bool and_after)
{
    atomic_store(&faults[kind].nth, 0);
    atomic_store(&faults[kind].count, 0);
    atomic_store(&faults[kind].and_after, and_after);
    atomic_store(&faults[kind].nth, nth);
}

unsigned cnc_fault_count(enum cnc_fault_kind kind)
{
    return atomic_load(&faults[kind].count);
}

bool cnc_fault_hit(enum cnc_fault_kind kind, int err)
{
    unsigned use = atomic_fetch_add(&faults[kind].count, 1) + 1;
    unsigned nth = atomic_load(&faults[kind].nth);
    if (nth == 0 || use < nth || (use > nth && !atomic_load(&faults[kind].and_after)))
        return false;
    errno = err;
    return true;
}

static void (*hear_spool)(void);
static atomic_uint nobody_wakes;

void cnc_fault_hear_spool(void (*fn)(void))
{
    hear_spool = fn;
}

void cnc_fault_on_spool(void)
{
    const char *slow = getenv("CONCUR_TEST_SLOW_DISK");
    long ms = slow ? strtol(slow, NULL, 10) : 0;
    if (hear_spool)
        hear_spool();
    for (bool in_time = ms > 0; in_time;)
        in_time = cnc_sys_sleep_while(&nobody_wakes, 0, ms);
}
#else
/* Without CNC_FAULTS this file is empty, but ISO C requires a declaration. */
extern const int cnc_fault_absent;
#endif
