/* SPDX-License-Identifier: MIT
 *
 * A process that has a master of its own making: how it waits for it.
 */
#ifndef CNC_HOST_H
#define CNC_HOST_H

#include "base/base.h"
#include "proc/board.h"

/* Until the master has said something or ended, at most ms (-1: no limit). True: it has ended. */
bool cnc_host_wait(int link, int master_fd, int64_t ms);
/* CONCUR_AGAIN: it still runs. Else, also if the program ignores SIGCHLD and its exit status goes to nobody, what it ended with, and *master becomes 0: CONCUR_OK, one of CONCUR_E_*, or CONCUR_E_SYS
 * with the reason in words. */
int cnc_host_reap(atomic_long *master, const struct cnc_board *board);

#endif
