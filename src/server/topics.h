/* SPDX-License-Identifier: MIT
 *
 * Topics: requests of all processes wait for them, and any process publishes them. A topic is a number in shared memory
 * that grows by one each time. All processes inherit one eventfd, which wakes the loops that wait; they compare the
 * numbers. Nobody reads the eventfd: each loop is told of each write to it, and a process that dies leaves nothing
 * behind.
 */
#ifndef CNC_TOPICS_H
#define CNC_TOPICS_H

#include <stdatomic.h>

#include <concur/types.h>

#include "base/base.h"

#define CNC_TOPICS_MAX 64
#define CNC_TOPIC_NAME_MAX 63

struct cnc_topic_cell {
    _Alignas(64) atomic_llong count;
};

struct concur_topic {
    concur_server *server;
    struct cnc_topic_cell *cell;
    char name[CNC_TOPIC_NAME_MAX + 1];
};

/* The topics of a server. Empty: fd is -1, all else is zero. */
struct cnc_topics {
    struct cnc_topic_cell *cells; /* a mapping of CNC_TOPICS_MAX; NULL until there is one */
    struct concur_topic *items[CNC_TOPICS_MAX]; /* owned */
    unsigned count;
    int fd; /* the eventfd; -1 until there is a topic */
};

/* Finds or makes one. CONCUR_OK, or CONCUR_E_INVAL, _LIMIT, _NOMEM or _SYS with the last error set. */
int cnc_topics_add(concur_server *server, const char *name, struct concur_topic **out);
void cnc_topics_deinit(struct cnc_topics *topics);

static inline int64_t cnc_topic_count(const struct concur_topic *topic)
{
    return atomic_load(&topic->cell->count);
}

#endif
