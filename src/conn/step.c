/* SPDX-License-Identifier: MIT
 *
 * Does what a step of the connection's table (states.c) asks for, before cnc_conn_step() returns. For the exchange's
 * tables cnc_conn_carry_out_exchange() in conn.h does that.
 */
#include <errno.h>

#include "conn/conn.h"

void cnc_conn_lose(struct cnc_conn *conn, int reason)
{
    struct cnc_stream *stream = conn->exchange.stream;
    if (!stream)
        return;
    if (CNC_UNLIKELY(conn->drv->ops->handover != NULL)) { /* a poller: only an upgraded protocol can be here */
        cnc_upgraded_lose_later(conn, reason);
        return;
    }
    conn->exchange.stream = NULL; /* unlink before the call: it may end the request */
    stream->carrier = NULL;
    stream->up->gone(stream, reason);
}

void cnc_conn_say_goodbye(struct cnc_conn *conn)
{
    int rc = conn->transport->finish(cnc_io_fd(&conn->io), conn->ext);
    conn->flags &= (uint32_t)~CNC_CONN_FINISHES;
    if (CNC_UNLIKELY(rc == -EAGAIN)) {
        conn->flags |= CNC_CONN_FINISHES;
        cnc_wants_after_write(conn, rc);
    } else if (rc < 0) {
        cnc_conn_step(conn, CNC_CONN_ON_ERROR);
    } else {
        conn->flags |= CNC_CONN_SHUT;
        cnc_conn_step(conn, CNC_CONN_ON_FINISHED);
    }
}

void cnc_conn_carry_out(struct cnc_conn *conn, unsigned todo)
{
    if (todo & CNC_CONN_DO_LOSE)
        cnc_conn_lose(conn, CONCUR_E_GONE);
    if (todo & CNC_CONN_DO_PAGE)
        conn->drv->protocol->page(conn, conn->exchange.status);
    if (todo & CNC_CONN_DO_FINISH)
        cnc_conn_say_goodbye(conn);
    if (todo & CNC_CONN_DO_STOP)
        conn->exchange.flags |= CNC_EXCHANGE_STOP_DUE; /* upgraded_input() tells the protocol */
}

void cnc_conn_illegal(struct cnc_conn *conn)
{
    CNC_ASSERT(false && "illegal connection event");
    conn->drv->illegal++;
}
