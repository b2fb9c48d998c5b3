/* SPDX-License-Identifier: MIT
 *
 * concur_server_start() with a master: the host, which goes on with its own work, and the master that it forks.
 */
#include "base/error.h"
#include "base/sys.h"
#include "net/passing.h"
#include "proc/host.h"
#include "serve/sockets.h"
#include "server/signals.h"
#include "tree/tree_internal.h"

/* In the master's process, just forked: closes the host's descriptors, and takes over signals and the log. */
static void leave_host(concur_server *server, int up)
{
    int keep[68] = { up, server->stop_fd, server->stop_copy, server->topics.fd };
    unsigned n = 4;
    for (unsigned i = 0; i < server->socket_count && n < CNC_COUNT(keep); i++)
        keep[n++] = server->sockets[i].fd;
    cnc_sys_close_others(keep, n);
    server->log.up = server->place.up = up;
    server->place.master = getpid();
    (void)cnc_server_claim(server); /* cannot fail: its page exists already */
    cnc_signals_adopt(server);
    cnc_signals_hear_children();
}

static _Noreturn void master_process(concur_server *server, int up)
{
    leave_host(server, up);
    int rc = cnc_tree_run_master(server, up);
    if (rc < 0) {
        struct cnc_note note = { .what = CNC_NOTE_FAILED, .value = rc };
        size_t n = strlen(cnc_error_text());
        memcpy(note.text, cnc_error_text(), n < CNC_NOTE_TEXT_MAX ? n : CNC_NOTE_TEXT_MAX);
        (void)cnc_note_send(up, &note, -1, false);
    }
    cnc_sockets_close(server);
    cnc_board_set_result(server->place.board, rc);
    cnc_sys_end_process(-rc);
}

/* The link to the master is broken. Shuts this end, so that a master that still runs ends, since the caller waits for
 * that. The descriptor stays open, since another thread may be about to write to it. */
static void host_hang_up(const concur_server *server)
{
    (void)cnc_sys_shutdown_read(server->place.link);
    (void)cnc_sys_shutdown_write(server->place.link);
}

/* Reads the master's messages. CONCUR_AGAIN: there are no more now. CONCUR_OK: the server serves now. Negative: it
 * cannot be started, or CONCUR_E_GONE. */
static int hear_master(concur_server *server)
{
    struct cnc_note note;
    int rc;
    while ((rc = cnc_note_receive(server->place.link, &note, NULL, false)) == CONCUR_OK) {
        bool starts = !server->has_tree;
        if (note.what == CNC_NOTE_FAILED && starts)
            return cnc_error_set((int)note.value, "%s", note.text);
        if (note.what != CNC_NOTE_READY || starts) /* later READY messages are wrong */
            cnc_tree_hear(server, note.what, note.value, note.text);
        if (note.what == CNC_NOTE_READY && starts)
            return CONCUR_OK;
    }
    return rc;
}

int cnc_tree_start(concur_server *server)
{
    int pair[2] = { -1, -1 };
    int rc = cnc_tree_check(server);
    if (rc == CONCUR_OK)
        rc = cnc_server_hooks(server, CONCUR_HOOK_BEFORE_FORK, "");
    if (rc == CONCUR_OK)
        rc = cnc_tree_open_board(server);
    if (rc == CONCUR_OK)
        rc = cnc_passing_pair(pair, CNC_TREE_LINES);
    pid_t pid = rc == CONCUR_OK ? cnc_child_fork(false) : -1;
    if (pid == 0)
        master_process(server, pair[1]);
    cnc_sys_close(&pair[1]);
    server->place.link = pair[0];
    if (pid < 0) {
        char why[128];
        return rc < 0 ? rc : cnc_error_set(CONCUR_E_SYS, "cannot start a process: %s",
                                           cnc_sys_why_no_process(why, sizeof why, errno));
    }
    server->place.master = pid;
    server->place.master_fd = cnc_sys_pidfd(pid);
    cnc_sockets_shut(server); /* the master and its children have them */
    bool has_ended = false;
    while ((rc = hear_master(server)) == CONCUR_AGAIN && !has_ended)
        has_ended = cnc_host_wait(server->place.link, server->place.master_fd, -1);
    if (rc == CONCUR_AGAIN)
        rc = CONCUR_E_GONE; /* the master has ended without a message */
    if (rc == CONCUR_OK) {
        cnc_server_ready(server);
        return CONCUR_OK;
    }
    host_hang_up(server);
    int end;
    while ((end = cnc_host_reap(&server->place.master, server->place.board)) == CONCUR_AGAIN)
        (void)cnc_host_wait(-1, server->place.master_fd, 10);
    if (rc == CONCUR_E_GONE && end == CONCUR_OK && cnc_board_stop_at(server->place.board) != INT64_MAX)
        return CONCUR_OK; /* the server was stopped before it served */
    return rc == CONCUR_E_GONE ? end < 0 ? end : CONCUR_E_SYS : rc;
}

int cnc_tree_dispatch(concur_server *server)
{
    int rc;
    while ((rc = hear_master(server)) == CONCUR_OK)
        continue;
    return rc == CONCUR_AGAIN ? CONCUR_OK : CONCUR_E_GONE;
}

int cnc_tree_wait(concur_server *server, int64_t ms)
{
    int64_t until = ms < 0 ? INT64_MAX : cnc_clock_now(server->clock) + ms;
    for (;;) {
        bool gone = cnc_tree_dispatch(server) == CONCUR_E_GONE;
        if (gone)
            host_hang_up(server);
        int rc = cnc_host_reap(&server->place.master, server->place.board);
        if (rc != CONCUR_AGAIN)
            return rc;
        int64_t left = until == INT64_MAX ? -1 : until - cnc_clock_now(server->clock);
        if (ms >= 0 && left <= 0)
            return CONCUR_AGAIN;
        (void)cnc_host_wait(gone ? -1 : server->place.link, server->place.master_fd,
                      gone && (left < 0 || left > 10) ? 10 : left);
    }
}
