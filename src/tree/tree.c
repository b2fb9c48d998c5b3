/* SPDX-License-Identifier: MIT
 *
 * Used in the master, in its children and in the host.
 */
#include "tree/tree_internal.h"

#include "base/error.h"
#include "base/sys.h"
#include "proc/child.h"
#include "server/role.h"

bool cnc_tree_is_due(const concur_server *server)
{
    return server->setup->ops->plan || server->setup->cfg.master;
}

int cnc_tree_check(concur_server *server)
{
    if (server->setup->cfg.fork_with_threads || cnc_child_is_alone())
        return CONCUR_OK;
    return cnc_error_set(CONCUR_E_THREADS,
                         "engine %s forks, and the process has other threads: start before the first of them, or vouch for "
                         "them with the option fork_with_threads",
                         server->setup->ops->name);
}

int cnc_tree_open_board(concur_server *server)
{
    struct cnc_board *board = cnc_board_create();
    if (!board)
        return CONCUR_E_NOMEM;
    atomic_store(&server->place.board, board);
    cnc_board_ask_stop(board, atomic_load(&server->stop_at)); /* a stop that was asked for before the board existed */
    return CONCUR_OK;
}

/* Calls the program's log function or its hooks. They run in the process that called run or start. */
void cnc_tree_hear(concur_server *server, enum cnc_note_what what, int64_t value, const char *text)
{
    if (what == CNC_NOTE_LOG)
        cnc_log(&server->log, value >= CONCUR_LOG_ERROR && value <= CONCUR_LOG_DEBUG ? (int)value : CONCUR_LOG_WARN, "%s",
                text);
    else if (what == CNC_NOTE_EVENT || what == CNC_NOTE_READY)
        (void)cnc_server_hooks(server, CONCUR_HOOK_EVENT, text);
}

void cnc_tree_close(concur_server *server)
{
    struct cnc_board *board = atomic_load(&server->place.board);
    cnc_sys_close(&server->place.link);
    cnc_sys_close(&server->place.master_fd);
    cnc_board_destroy(&board);
    atomic_store(&server->place.board, NULL);
}
