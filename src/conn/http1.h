/* SPDX-License-Identifier: MIT
 *
 * HTTP/1.1's slots of the protocol table (conn.h): http1_input.c reads, http1.c writes.
 */
#ifndef CNC_HTTP1_H
#define CNC_HTTP1_H

#include "conn/conn.h"

/* http1_input.c */
void cnc_http1_input(struct cnc_conn *conn, struct cnc_slice *in);
void cnc_http1_ended(struct cnc_conn *conn);
bool cnc_http1_reads(const struct cnc_conn *conn);
size_t cnc_http1_most(const struct cnc_conn *conn);

#endif
