/* SPDX-License-Identifier: MIT
 *
 * Who is looked at without an event: connections to which replies, timers and posts have done something in this turn of the
 * loop, and those that have input to go on with, which wait until the descriptors that are ready have had their turn.
 */
#include "conn/conn.h"

void cnc_turns_unlist(struct cnc_conn *conn)
{
    struct cnc_driver *drv = conn->drv;
    struct cnc_conn **p = conn->flags & CNC_CONN_QUEUED ? &drv->queue : &drv->dirty;
    if (!(conn->flags & (CNC_CONN_DIRTY | CNC_CONN_QUEUED)))
        return;
    while (*p != conn)
        p = &(*p)->next;
    *p = conn->next;
    if (conn->flags & CNC_CONN_QUEUED) {
        drv->queued--;
        if (!*p)
            drv->queue_end = p;
    }
    conn->flags &= (uint32_t) ~(CNC_CONN_DIRTY | CNC_CONN_QUEUED);
}

CNC_HOT void cnc_conn_touch(struct cnc_conn *conn)
{
    struct cnc_driver *drv = conn->drv;
    if (drv->current == conn || (conn->flags & (CNC_CONN_DIRTY | CNC_CONN_QUEUED)))
        return;
    conn->flags |= CNC_CONN_DIRTY;
    conn->next = drv->dirty;
    drv->dirty = conn;
}

void cnc_turns_queue(struct cnc_conn *conn)
{
    struct cnc_driver *drv = conn->drv;
    if (conn->flags & (CNC_CONN_QUEUED | CNC_CONN_DIRTY)) /* looked at anyway */
        return;
    conn->flags |= CNC_CONN_QUEUED;
    conn->next = NULL;
    *drv->queue_end = conn;
    drv->queue_end = &conn->next;
    drv->queued++;
    if (drv->turns_due)
        return;
    drv->turns_due = true;
    cnc_home_defer(drv->home, &drv->turns);
}

static void look_again(struct cnc_driver *drv, struct cnc_conn *conn)
{
    if (cnc_home_need_scratch(drv->home) < 0)
        cnc_conn_step(conn, CNC_CONN_ON_ERROR);
    cnc_driver_enter(drv, conn);
    cnc_conn_flush(conn);
    if (cnc_conn_can_resume(conn) && conn->state != CNC_CONN_CLOSED)
        cnc_conn_resume(conn);
    cnc_conn_finish(conn);
}

/* The end of the loop's turn: each of those that wait now goes on for a while. Whoever waits again does so behind the
 * descriptors that are ready then. */
static void give_turns(struct cnc_task *task)
{
    struct cnc_driver *drv = CNC_CONTAINER(task, struct cnc_driver, turns);
    drv->turns_due = false;
    for (unsigned n = drv->queued; n > 0 && drv->queue; n--) {
        struct cnc_conn *conn = drv->queue;
        cnc_turns_unlist(conn);
        look_again(drv, conn);
    }
}

/* What replies, timers and posts of this turn did to connections other than the current one. */
CNC_HOT static void after_turn(void *arg)
{
    struct cnc_driver *drv = arg;
    while (drv->dirty) {
        struct cnc_conn *conn = drv->dirty;
        drv->dirty = conn->next;
        conn->flags &= (uint32_t)~CNC_CONN_DIRTY;
        look_again(drv, conn);
    }
}

void cnc_turns_init(struct cnc_driver *drv)
{
    drv->turns.run = give_turns;
    drv->queue_end = &drv->queue;
    drv->home->after = after_turn;
    drv->home->after_arg = drv;
}

void cnc_turns_deinit(struct cnc_driver *drv)
{
    while (drv->turns_due) /* whoever waited for it has gone */
        cnc_home_settle(drv->home);
    drv->home->after = NULL;
}
