/* SPDX-License-Identifier: MIT
 *
 * The stop of all connections of a driver, and closing the one that has waited longest to make room.
 */
#include "conn/early.h"

/* Calls fn for every connection; fn may free the one it gets. */
static void each(struct cnc_driver *drv, void (*fn)(struct cnc_conn *, int), int arg)
{
    for (int i = 0; i < CNC_CLASSES; i++) {
        struct cnc_link todo;
        cnc_link_init(&todo);
        cnc_link_move_all(&todo, &drv->classes[i]);
        while (!cnc_link_alone(&todo)) {
            struct cnc_link *l = cnc_link_take_first(&todo);
            cnc_link_append(&drv->classes[i], l);
            fn(CNC_CONTAINER(l, struct cnc_conn, job.link), arg);
        }
    }
}

static void unwatch_one(struct cnc_conn *conn, int arg)
{
    (void)arg;
    cnc_conn_unwatch(conn);
}

void cnc_driver_stop_watching(struct cnc_driver *drv)
{
    each(drv, unwatch_one, 0);
    if (drv->ticking)
        cnc_tick_deinit(drv->home->loop, &drv->tick);
    drv->ticking = false;
}

void cnc_driver_lose_loop(struct cnc_driver *drv)
{
    cnc_driver_stop_watching(drv);
    drv->ops->lost_loop(drv);
}

static void drain_one(struct cnc_conn *conn, int arg)
{
    (void)arg;
    cnc_conn_step(conn, CNC_CONN_ON_DRAIN);
    cnc_driver_enter(conn->drv, conn);
    if (conn->state == CNC_CONN_UPGRADED && cnc_desk_need_scratch(conn->drv->home) == CONCUR_OK)
        cnc_conn_resume(conn);
    cnc_conn_finish(conn);
}

void cnc_driver_drain(struct cnc_driver *drv)
{
    each(drv, drain_one, 0);
}

static void refuse_early_one(struct cnc_conn *conn, int status)
{
    if (!cnc_early_is_reading(conn))
        return;
    conn->exchange.status = (uint16_t)status;
    cnc_driver_enter(conn->drv, conn);
    cnc_conn_step(conn, CNC_CONN_ON_BAD);
    cnc_conn_finish(conn);
}

void cnc_driver_refuse_early(struct cnc_driver *drv, int status)
{
    each(drv, refuse_early_one, status);
}

static void cancel_one(struct cnc_conn *conn, int reason)
{
    struct cnc_driver *drv = conn->drv;
    cnc_driver_enter(drv, conn);
    cnc_conn_lose(conn, reason);
    cnc_conn_step(conn, CNC_CONN_ON_ERROR);
    drv->scratch_len = 0;
    cnc_conn_finish(conn);
}

void cnc_driver_cancel(struct cnc_driver *drv, int reason)
{
    each(drv, cancel_one, reason);
}

/* Ends the first connection of q, as if its peer had left. */
static void reap_first(struct cnc_driver *drv, struct cnc_link *q)
{
    struct cnc_conn *conn = CNC_CONTAINER(q->next, struct cnc_conn, job.link);
    cnc_driver_enter(drv, conn);
    cnc_conn_step(conn, CNC_CONN_ON_EOF);
    cnc_conn_finish(conn);
}

bool cnc_driver_reap_lingering(struct cnc_driver *drv)
{
    struct cnc_link *q = &drv->classes[CNC_CLASS_LINGER];
    if (cnc_link_alone(q))
        return false;
    reap_first(drv, q);
    return true;
}

static bool reap_oldest(struct cnc_driver *drv, enum cnc_conn_class class, int64_t after_ms)
{
    struct cnc_link *q = &drv->classes[class];
    if (cnc_link_alone(q))
        return false;
    struct cnc_conn *conn = CNC_CONTAINER(q->next, struct cnc_conn, job.link);
    int64_t since = conn->deadline - drv->limits->class_ms[class];
    if (cnc_home_now(drv->home) - since < after_ms)
        return false;
    reap_first(drv, q);
    return true;
}

bool cnc_driver_reap_idle(struct cnc_driver *drv, int64_t after_ms)
{
    return reap_oldest(drv, CNC_CLASS_KEEPALIVE, after_ms);
}

bool cnc_driver_reap_silent(struct cnc_driver *drv, int64_t after_ms)
{
    return reap_oldest(drv, CNC_CLASS_FRESH, after_ms);
}
