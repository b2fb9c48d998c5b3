/* SPDX-License-Identifier: MIT
 *
 * The master's side: the functions that proc/ calls, and running the master.
 */
#include "base/sys.h"
#include "net/passing.h"
#include "serve/sockets.h"
#include "server/place.h"
#include "server/signals.h"
#include "tree/tree_internal.h"

static int master_before_fork(void *arg)
{
    return cnc_server_hooks(arg, CONCUR_HOOK_BEFORE_FORK, "");
}

static int64_t stop_at(void *arg)
{
    concur_server *server = arg;
    int64_t own = atomic_load(&server->stop_at), asked = cnc_board_stop_at(server->place.board);
    return own < asked ? own : asked;
}

static bool reload_asked(void *arg)
{
    return cnc_board_take_reload(((concur_server *)arg)->place.board);
}

static void stopping(void *arg)
{
    concur_server *server = arg;
    atomic_store(&server->draining, true);
    cnc_sockets_shut(server);
}

/* If the link to the host is full, an event is lost. READY must arrive, since the host waits for it. */
static void master_tell(void *arg, enum cnc_note_what what, int64_t value, const char *text)
{
    concur_server *server = arg;
    bool is_ready = what == CNC_NOTE_READY;
    if (is_ready)
        cnc_server_ready(server);
    if (server->place.up < 0 || what == CNC_NOTE_LOG) {
        cnc_tree_hear(server, what, value, text);
        return;
    }
    struct cnc_note note = { .what = (uint32_t)what, .value = value };
    size_t n = strlen(text);
    memcpy(note.text, text, n < CNC_NOTE_TEXT_MAX ? n : CNC_NOTE_TEXT_MAX);
    if (!is_ready)
        (void)cnc_note_send(server->place.up, &note, -1, false);
    else if (cnc_note_deliver(server->place.up, &note) != CONCUR_OK)
        cnc_place_stop(server, 0); /* else the host would wait for ever */
}

static const struct cnc_master_ops master_ops = {
    .child = cnc_tree_child,
    .before_fork = master_before_fork,
    .stop_at = stop_at,
    .reload_asked = reload_asked,
    .tell = master_tell,
    .stopping = stopping,
    .reload = cnc_tree_reload,
    .serves = cnc_tree_serves,
    .dropped = cnc_tree_dropped,
};

int cnc_tree_run_master(concur_server *server, int lines)
{
    struct cnc_master_config cfg = { .ops = &master_ops, .arg = server, .clock = server->clock,
                                     .board = server->place.board, .wake_fd = server->stop_fd, .wake_copy = server->stop_copy,
                                     .host = lines };
    int rc = cnc_tree_plan(server->setup, &cfg.plan);
    if (rc < 0)
        return rc;
    cnc_setup_ref(server->setup);
    return cnc_master_run(&cfg);
}

int cnc_tree_run(concur_server *server)
{
    int lines[2] = { -1, -1 };
    int rc = cnc_tree_check(server);
    if (rc == CONCUR_OK)
        rc = cnc_tree_open_board(server);
    /* The program's log function is called in this process, so children send it their lines. Without one they write to
     * stderr themselves. */
    if (rc == CONCUR_OK && server->log.fn)
        rc = cnc_passing_pair(lines, CNC_TREE_LINES);
    if (rc == CONCUR_OK) {
        cnc_signals_hear_children();
        if (server->setup->cfg.sighup == CNC_SIGHUP_RELOAD)
            cnc_signals_reload_on_hup();
        server->place.lines = lines[1];
        rc = cnc_tree_run_master(server, lines[0]);
    }
    server->place.lines = -1;
    cnc_sys_close(&lines[0]);
    cnc_sys_close(&lines[1]);
    return rc;
}
