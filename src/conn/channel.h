/* SPDX-License-Identifier: MIT
 *
 * A channel joins a request that runs on a pool thread to its connection, which stays on its loop. The request takes it
 * for its carrier; only, a write waits while too many bytes are under way. The connection takes it for a request. The
 * messages are posts between the two homes.
 */
#ifndef CNC_CHANNEL_H
#define CNC_CHANNEL_H

#include "conn/desk.h"
#include "conn/stream.h"

struct cnc_channel;

/* Puts a channel between stream and its carrier. On the thread of here, the carrier's home. bytes_max: bytes that may
 * be under way in each direction; then that side waits. CONCUR_OK, or an error, and nothing has changed. */
int cnc_channel_open(struct cnc_channel **out, struct cnc_stream *stream, struct cnc_home *here, size_t bytes_max);
/* At the carrier's home. fn(arg) is called there if the carrier goes before cnc_channel_start(). */
void cnc_channel_on_left(struct cnc_channel *ch, void (*fn)(void *), void *arg);
/* On the request's thread, whose home is there: all calls of the stream happen there from now on. False: the carrier
 * has gone meanwhile, and stream->carrier is NULL. */
bool cnc_channel_start(struct cnc_channel *ch, struct cnc_home *there);

#endif
