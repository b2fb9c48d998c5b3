/* SPDX-License-Identifier: MIT
 *
 * A transport that behaves as TLS may, though its bytes pass unchanged, so that plain clients can talk to it: it greets in several
 * calls that wait for reading and for writing in turn, wants to write before it reads and to read before it writes, takes input in
 * records and hands it out in pieces, takes output in pieces, and does not finish at once. A seed decides where. It counts what
 * it did, in memory that processes share.
 */
#ifndef TESTS_ROUGH_H
#define TESTS_ROUGH_H

#include <stdatomic.h>

#include "net/transport.h"

struct rough_counts {
    atomic_ulong made, destroyed;
    atomic_ulong greeted;                   /* greetings that were completed */
    atomic_ulong greets_read, greets_write; /* calls of greet that said -EAGAIN, by what they wait for */
    atomic_ulong reads_write;               /* reads that wait for writing */
    atomic_ulong records;                   /* reads of the descriptor that took more than was asked for */
    atomic_ulong held;                      /* reads that were answered with bytes held back */
    atomic_ulong pending;                   /* calls of pending that found some */
    atomic_ulong writes_short;              /* writes that took less than they could */
    atomic_ulong writes_read;               /* writes that wait for reading */
    atomic_ulong finishes_again;            /* calls of finish that said -EAGAIN */
};

extern const struct cnc_transport_ops rough_transport;

/* Makes states; arg is a struct rough_maker. */
struct rough_maker {
    uint64_t seed;
    struct rough_counts *counts;
};

void *rough_make(void *maker, int fd);
/* Lines "name number". Returns their length; what has no room is cut off. */
size_t rough_print(const struct rough_counts *counts, char *text, size_t size);

#endif
