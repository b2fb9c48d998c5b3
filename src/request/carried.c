/* SPDX-License-Identifier: MIT
 *
 * Requests whose carrier is a connection: the functions that its driver calls (struct cnc_conn_ops).
 */
#include "request/request.h"

CNC_HOT static int on_carried_request(struct cnc_conn *conn, const struct cnc_http_head *head, const char *bytes)
{
    struct cnc_driver *drv = conn->drv;
    struct cnc_carrier from = { .ops = &cnc_conn_carrier, .self = conn, .stream = &conn->exchange.stream,
                                .head_at = drv->head_at };
    return cnc_request_begin(drv->owner, drv->home, head, bytes, &from);
}

static void on_carried_lost_loop(struct cnc_driver *drv)
{
    cnc_request_lose_loop(drv->home);
}

static void on_carried_short(struct cnc_driver *drv, const char *what)
{
    cnc_server_runs_short(drv->owner, what);
}

const struct cnc_conn_ops cnc_request_conn_ops = {
    .request = on_carried_request,
    .runs_short = on_carried_short,
    .lost_loop = on_carried_lost_loop,
};
