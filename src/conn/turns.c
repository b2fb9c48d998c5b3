/* SPDX-License-Identifier: MIT
 *
 * Connections that the driver looks at without an event: those that replies, timers and posts of this turn of the loop
 * have changed (dirty), and those that still have work to do, which wait until the descriptors that are ready were
 * served (queued). This file has the two lists; driver.c looks at the connections.
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

void cnc_turns_mark(struct cnc_conn *conn)
{
    struct cnc_driver *drv = conn->drv;
    if (conn->flags & (CNC_CONN_DIRTY | CNC_CONN_QUEUED))
        return;
    conn->flags |= CNC_CONN_DIRTY;
    conn->next = drv->dirty;
    drv->dirty = conn;
}

void cnc_turns_queue(struct cnc_conn *conn)
{
    struct cnc_driver *drv = conn->drv;
    if (conn->flags & (CNC_CONN_QUEUED | CNC_CONN_DIRTY)) /* it will be looked at anyway */
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
