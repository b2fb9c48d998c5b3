/* SPDX-License-Identifier: MIT
 *
 * Connections whose transport has a state of its own: it has a handshake before the first byte, may have to write
 * before it can read and to read before it can write, and may hold bytes that it has taken from the descriptor. The
 * drivers call this only if conn->ext is set, so that it costs a plain connection nothing.
 */
#include "base/sys.h"
#include "conn/conn.h"

static void wants_note(struct cnc_conn *conn, ssize_t n, bool reading)
{
    uint32_t flag = reading ? CNC_CONN_READ_WRITES : CNC_CONN_WRITE_READS;
    int other = reading ? CNC_WANT_WRITE : CNC_WANT_READ;
    conn->flags &= ~flag;
    if (n == -EAGAIN && conn->transport->wants(conn->ext, reading) == other)
        conn->flags |= flag;
}

void cnc_wants_after_read(struct cnc_conn *conn, ssize_t n)
{
    wants_note(conn, n, true);
}

void cnc_wants_after_write(struct cnc_conn *conn, ssize_t n)
{
    wants_note(conn, n, false);
}

/* One event may let both reading and writing go on, or the one that usually waits for the other event. */
unsigned cnc_wants_translate(const struct cnc_conn *conn, unsigned ready)
{
    unsigned reads_at = conn->flags & CNC_CONN_READ_WRITES ? CNC_IO_WRITE : CNC_IO_READ;
    unsigned writes_at = conn->flags & CNC_CONN_WRITE_READS ? CNC_IO_READ : CNC_IO_WRITE;
    unsigned means = ready & ~(unsigned)(CNC_IO_READ | CNC_IO_WRITE);
    if (ready & reads_at)
        means |= CNC_IO_READ;
    if (ready & writes_at)
        means |= CNC_IO_WRITE;
    return means;
}

/* A lease's handshake is complete when its first bytes are here: they are not read, and the connection is handed
 * over. */
void cnc_wants_greet(struct cnc_conn *conn)
{
    int rc = conn->transport->greet(cnc_io_fd(&conn->io), conn->ext);
    cnc_wants_after_read(conn, rc);
    if (rc > 0 && (conn->flags & CNC_CONN_LEASE))
        conn->flags |= CNC_CONN_READY;
    else if (rc != -EAGAIN)
        cnc_conn_step(conn, rc > 0 ? CNC_CONN_ON_GREETED : CNC_CONN_ON_ERROR);
}
