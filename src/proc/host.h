/* SPDX-License-Identifier: MIT
 *
 * How a process that has started a master waits for it.
 */
#ifndef CNC_HOST_H
#define CNC_HOST_H

#include "base/base.h"
#include "proc/board.h"

/* Until the master has said something or ended, at most ms (-1: no limit). True: it has ended. */
bool cnc_host_wait(int link, int master_fd, int64_t ms);
/* CONCUR_AGAIN: it still runs. Else its result, and *master becomes 0: CONCUR_OK, a CONCUR_E_*, or CONCUR_E_SYS with the
 * reason in words. This works also if the program ignores SIGCHLD, so that there is no exit status. */
int cnc_host_reap(atomic_long *master, const struct cnc_board *board);

#endif
