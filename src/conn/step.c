/* SPDX-License-Identifier: MIT
 *
 * What a step of the connection's table (states.c) asks for: the one place where that is done. cnc_conn_step() comes here before
 * it is over. For the exchange's tables that is cnc_conn_carry_out_exchange(), in conn.h.
 */
#include "conn/conn.h"

void cnc_conn_lose(struct cnc_conn *conn, int reason)
{
    struct cnc_stream *stream = conn->exchange.stream;
    if (!stream)
        return;
    conn->exchange.stream = NULL; /* unlink before the call: it may end the request */
    stream->carrier = NULL;
    stream->up->gone(stream, reason);
}

static void step_finish(struct cnc_conn *conn)
{
    if (conn->transport->finish(cnc_io_fd(&conn->io), conn->ext) < 0)
        cnc_conn_step(conn, CNC_CONN_ON_ERROR);
    else
        conn->flags |= CNC_CONN_SHUT;
}

void cnc_conn_carry_out(struct cnc_conn *conn, unsigned todo)
{
    if (todo & CNC_CONN_DO_LOSE)
        cnc_conn_lose(conn, CONCUR_E_GONE);
    if (todo & CNC_CONN_DO_PAGE)
        conn->drv->protocol->page(conn, conn->exchange.status);
    if (todo & CNC_CONN_DO_FINISH)
        step_finish(conn);
}

void cnc_conn_illegal(struct cnc_conn *conn)
{
    CNC_ASSERT(false && "illegal connection event");
    conn->drv->illegal++;
}
