/* SPDX-License-Identifier: MIT
 *
 * Counters, and memory with a lock, which the handlers of all processes share. Both are in mappings that are made
 * before the server runs, so that every process has them at the same address. They are freed with the server. Handles
 * and names are in each process' own memory, and read-only once the server runs.
 */
#ifndef CNC_SHARED_H
#define CNC_SHARED_H

#include <pthread.h>
#include <stdatomic.h>

#include <concur/types.h>

#include "base/base.h"

#define CNC_COUNTERS_MAX 256
#define CNC_REGIONS_MAX 64
#define CNC_REGION_SIZE_MAX ((size_t)1 << 30)
#define CNC_SHARED_NAME_MAX 63
#define CNC_SHARED_LINE 64 /* bytes of a cache line */

/* A counter in the mapping. It must be lock-free, since a lock of the C library would work only within one process. */
struct concur_counter {
    _Alignas(CNC_SHARED_LINE) atomic_llong value;
};
_Static_assert(ATOMIC_LLONG_LOCK_FREE == 2, "counters of several processes need atomics without locks");

struct cnc_counter_name {
    char name[CNC_SHARED_NAME_MAX + 1];
    char *help; /* owned; never NULL */
};

/* The mapping of a region. */
struct cnc_region {
    pthread_mutex_t mu; /* robust, shared by processes, and returns an error to a thread that has it already */
    _Alignas(CNC_SHARED_LINE) unsigned char data[];
};

struct concur_shared {
    struct concur_shared *next;
    struct cnc_region *region; /* a mapping of its own */
    size_t size;               /* of data */
    char name[CNC_SHARED_NAME_MAX + 1];
};

/* What a server has of these; all zero is empty. */
struct cnc_shares {
    struct concur_counter *counters; /* a mapping of CNC_COUNTERS_MAX; NULL until there is one */
    struct cnc_counter_name *names;  /* owned; in the order of the counters */
    unsigned counter_count;
    struct concur_shared *regions; /* owned, the latest first */
    unsigned region_count;
};

/* 1 to CNC_SHARED_NAME_MAX letters, digits and "_", no digit first. */
bool cnc_shares_is_name(const char *name);
/* Finds or makes one. CONCUR_OK, or CONCUR_E_INVAL, _LIMIT, _NOMEM or _SYS with the last error set. */
int cnc_shares_counter(struct cnc_shares *s, const char *name, const char *help, struct concur_counter **out);
int cnc_shares_region(struct cnc_shares *s, const char *name, size_t size, struct concur_shared **out);
void cnc_shares_deinit(struct cnc_shares *s);

#endif
