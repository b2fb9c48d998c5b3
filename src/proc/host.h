/* SPDX-License-Identifier: MIT
 *
 * How a process that has started a master waits for it.
 */
#ifndef CNC_HOST_H
#define CNC_HOST_H

#include "base/base.h"
#include "proc/board.h"

/* Waits until the master has sent a message or ended, at most ms (-1: no limit). True: it has ended. */
bool cnc_host_wait(int link, int master_fd, int64_t ms);
/* CONCUR_AGAIN: the master still runs. Else its result, and *master becomes 0: CONCUR_OK, a CONCUR_E_*, or CONCUR_E_SYS
 * with the reason in concur_last_error(). If there is no exit status, because the program ignores SIGCHLD, say, the
 * board has the result. */
int cnc_host_reap(atomic_long *master, const struct cnc_board *board);

#endif
