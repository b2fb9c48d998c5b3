/* SPDX-License-Identifier: MIT */
#include "proc/host.h"

#include <sys/wait.h>

#include "base/error.h"
#include "base/sys.h"
#include "proc/child.h"

bool cnc_host_wait(int link, int master_fd, int64_t ms)
{
    struct pollfd fds[2] = { { .fd = link, .events = POLLIN }, { .fd = master_fd, .events = POLLIN } };
    return cnc_sys_poll(fds, 2, ms < 0 ? -1 : ms > 60000 ? 60000 : (int)ms) > 0 && fds[1].revents;
}

int cnc_host_reap(atomic_long *master, const struct cnc_board *board)
{
    int status = 0;
    long pid = atomic_load(master);
    pid_t got = pid ? cnc_sys_waitpid((pid_t)pid, &status) : -1;
    if (got == 0)
        return CONCUR_AGAIN;
    atomic_store(master, 0);
    int result = got < 0 ? cnc_board_result(board) : CONCUR_AGAIN;
    if (result != CONCUR_AGAIN)
        return result;
    if (got < 0)
        return cnc_error_set(CONCUR_E_SYS, "the master has ended, but another call of waitpid() took its exit status");
    if (WIFEXITED(status) && WEXITSTATUS(status) <= -CONCUR_E_BUSY)
        return -WEXITSTATUS(status);
    char how[48];
    cnc_child_end_text(status, how, sizeof how);
    return cnc_error_set(CONCUR_E_SYS, "the master ended: %s", how);
}
