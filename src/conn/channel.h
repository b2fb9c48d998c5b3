/* SPDX-License-Identifier: MIT
 *
 * The bounded channel between a request that runs on a pool thread and the connection that stays with its loop. To the
 * request it is a carrier like any other, except that writing waits while too much is under way; to the connection it is a
 * request. Messages travel as posts between the two homes.
 */
#ifndef CNC_CHANNEL_H
#define CNC_CHANNEL_H

#include "conn/desk.h"
#include "conn/stream.h"

struct cnc_channel;

/* Called at `here`, where stream's carrier lives: puts a channel between the two. bytes_max: how much may be under way in
 * either direction before a side has to wait. CONCUR_OK, or an error and nothing has changed. */
int cnc_channel_open(struct cnc_channel **out, struct cnc_stream *stream, struct cnc_home *here, size_t bytes_max);
/* At the carrier's home: fn(arg) is called there if the carrier goes before the request's thread has taken its end. */
void cnc_channel_on_left(struct cnc_channel *ch, void (*fn)(void *), void *arg);
/* The request's thread takes its end; from now on its stream calls happen at `there`. False: the carrier has gone
 * meanwhile, and stream->carrier is NULL. */
bool cnc_channel_start(struct cnc_channel *ch, struct cnc_home *there);

#endif
