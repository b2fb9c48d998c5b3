/* SPDX-License-Identifier: MIT
 *
 * Slow heads on prefork. A worker has one connection at a time, so a client that sends its head slowly, or nothing at all,
 * would hold a process. After 10 ms (1 ms while others wait) the worker passes its connection to one process that waits for all
 * such heads on a loop. When a head is complete, any idle worker takes the connection.
 *
 * All workers share one end of a link, and that process has the other end. So each complete head is taken by one of the workers
 * that wait.
 */
#ifndef CNC_HEADS_H
#define CNC_HEADS_H

#include "serve/serving.h"

/* Bytes of the largest message and of the buffer to receive one: a head, what the same read brought behind it, and a note. */
#define CNC_HEADS_ROOM 262144
/* A larger head_max does not fit in a message: then there is no such process, and workers wait for heads themselves. */
#define CNC_HEADS_HEAD_MAX (CNC_HEADS_ROOM - CNC_DESK_SCRATCH - 1024)

/* ---- the process that waits ---- */

struct cnc_heads {
    struct cnc_serving serving;
    struct cnc_conn_ops ops;
    struct cnc_io io;       /* the link */
    struct cnc_link queue;  /* connections with complete heads for which the link has no room; linked by their job */
    unsigned queue_len;
    char *room;             /* owned; buffer for a message */
    bool is_clogged;        /* the link takes nothing now */
    bool is_short;          /* ... because the system allows no more descriptors in messages; retry is set */
    struct cnc_timer retry;
    struct cnc_starved starved;
    bool has_link;
};

int cnc_heads_open(struct cnc_heads *heads, concur_server *server);
/* As cnc_serving_run(). */
int cnc_heads_run(struct cnc_heads *heads, bool may_give_up);
void cnc_heads_stats(const struct cnc_heads *heads, struct cnc_engine_stats *out);
void cnc_heads_close(struct cnc_heads *heads);

/* ---- a worker ---- */

/* Is there a process that waits for heads, and does it serve? */
bool cnc_heads_are_awaited(const concur_server *server);
/* Passes a connection that drv has released to that process. True: it is no longer ours. False: it cannot be passed now, or its
 * transport has a state in this process. */
bool cnc_heads_pass(struct cnc_driver *drv, struct cnc_conn *conn);
/* Takes a connection with a complete head, without waiting. room: CNC_HEADS_ROOM bytes. CONCUR_OK; CONCUR_AGAIN: there is
 * none, since another worker was faster or there was no memory for it; CONCUR_E_GONE: the link has ended. */
int cnc_heads_take(struct cnc_driver *drv, char *room, struct cnc_conn **out);

#endif
