/* SPDX-License-Identifier: MIT */
#include "tree/tree.h"

#include <sys/random.h>

#include "base/error.h"
#include "base/sys.h"
#include "engines/configure.h"
#include "net/passing.h"
#include "proc/child.h"
#include "proc/host.h"
#include "serve/lend/ledger.h"
#include "serve/refuser.h"
#include "serve/serving.h"
#include "server/signals.h"

#define LINE_BUFFER 262144 /* bytes of log lines that may be under way */

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

/* ---- a child ---- */

static const struct cnc_role *tree_role_of(const concur_server *server, int role)
{
    const struct cnc_engine_ops *ops = server->setup->ops;
    bool is_front = role == CNC_ROLE_FRONT || role == CNC_ROLE_HEADS;
    return is_front ? &ops->front : role == CNC_ROLE_REFUSER ? &cnc_role_refuser : &ops->worker;
}

static unsigned long long with_jitter(unsigned long long n)
{
    unsigned more = 0;
    (void)!getrandom(&more, sizeof more, GRND_NONBLOCK);
    return n ? n + more % (n / 10 + 1) : 0;
}

/* What was copied from the master, and must be this process' own. */
static int tree_settle(concur_server *server, const struct cnc_child *child)
{
    struct cnc_place *place = &server->place;
    server->setup = child->setup; /* for life: what other generations have is never looked at here */
    atomic_store(&server->stop_timeout, server->setup->cfg.stop_timeout);
    if (place->lines >= 0)
        server->log.up = place->lines;
    *place = (struct cnc_place){ .board = place->board, .generation = child->generation,
                                 .number = child->number, .page = child->page, .slot = child->slot, .link = child->link,
                                 .lend = child->peer, .peer_slot = child->peer_slot,
                                 .up = -1, .lines = -1, .master_fd = -1, .master = place->master, .is_child = true,
                                 .recycle_at = with_jitter((unsigned long long)server->setup->cfg.requests_per_worker) };
    place->row = cnc_board_row(place->board, child->page, child->slot);
    if (child->peer_slot < CNC_BOARD_SLOTS)
        place->peer_row = cnc_board_row(place->board, child->page, child->peer_slot);
    cnc_board_enter(place->row, child->group, child->number, child->role, cnc_clock_now(server->clock));
    atomic_store(&server->stop_at, INT64_MAX);
    (void)!getrandom(&server->id_base, sizeof server->id_base, GRND_NONBLOCK);
    cnc_server_close_stop(server);
    int rc = cnc_server_claim(server);
    if (rc < 0)
        return rc;
    rc = cnc_server_open_stop(server);
    cnc_signals_adopt(server);
    return rc < 0 ? cnc_error_set(CONCUR_E_SYS, "eventfd: %s", strerror(errno)) : CONCUR_OK;
}

/* starved: what failed was the library's own, for want of memory or descriptors. */
static int tree_fail(concur_server *server, int rc, bool starved)
{
    struct cnc_note note = { .what = CNC_NOTE_FAILED, .value = rc, .slot = starved };
    const char *text = *cnc_error_text() ? cnc_error_text() : concur_strerror(rc);
    size_t n = strlen(text);
    memcpy(note.text, text, n < CNC_NOTE_TEXT_MAX ? n : CNC_NOTE_TEXT_MAX);
    (void)cnc_note_deliver(server->place.link, &note); /* else the exit status has to do as a reason */
    return -rc;
}

/* It ends normally, by SIGTERM or after requests_per_worker, so this is not reported as an unexpected end. */
static void say_goodbye(const concur_server *server)
{
    struct cnc_note note = { .what = CNC_NOTE_LEAVING };
    if (!server->place.was_told && cnc_note_deliver(server->place.link, &note) != CONCUR_OK)
        cnc_child_orphaned();
}

/* Waits until the master says that this generation serves. False: it must stop before that. */
static bool await_go(concur_server *server)
{
    struct cnc_note note;
    int fd = -1;
    for (;;) {
        int rc = cnc_note_receive(server->place.link, &note, &fd, true);
        if (rc == CONCUR_E_GONE)
            cnc_child_orphaned();
        if (rc != CONCUR_OK)
            continue;
        if (note.what == CNC_NOTE_GO)
            return true;
        if (note.what == CNC_NOTE_STOP) {
            server->place.was_told = true;
            return false;
        }
        if (server->place.told)
            server->place.told(server, &note, fd);
        else
            cnc_sys_close(&fd);
    }
}

static int serve_child(concur_server *server, const struct cnc_role *role)
{
    static const struct cnc_note ready = { .what = CNC_NOTE_READY };
    int rc = role->open(server);
    if (rc < 0)
        return tree_fail(server, rc, rc == CONCUR_E_NOMEM || rc == CONCUR_E_SYS);
    server->place.told = role->told;
    if (cnc_note_deliver(server->place.link, &ready) != CONCUR_OK)
        cnc_child_orphaned();
    if (await_go(server)) {
        cnc_board_set_state(server->place.row, CNC_BOARD_SERVING, cnc_clock_now(server->clock));
        rc = role->run(server, true);
        if (rc == CONCUR_E_SYS) /* and has said why */
            return CNC_CHILD_SICK;
    }
    if (rc != CONCUR_E_BUSY) {
        cnc_serving_shut_listeners(server);
        role->close(server);
    }
    if (rc == CONCUR_OK)
        say_goodbye(server);
    return -rc;
}

static int child_main(void *arg, const struct cnc_child *child)
{
    concur_server *server = arg;
    bool hooks = child->role == CNC_ROLE_WORKER;
    int rc = tree_settle(server, child);
    if (rc < 0)
        return tree_fail(server, rc, true);
    (void)cnc_server_enter(server);
    if (hooks && (rc = cnc_server_hooks(server, CONCUR_HOOK_WORKER_START, "")) < 0)
        return tree_fail(server, rc, false);
    int status = serve_child(server, tree_role_of(server, child->role));
    if (hooks && status != -CONCUR_E_BUSY && status != CNC_CHILD_SICK)
        (void)cnc_server_hooks(server, CONCUR_HOOK_WORKER_EXIT, "");
    return status;
}

/* ---- the master ---- */

static int tree_before_fork(void *arg)
{
    return cnc_server_hooks(arg, CONCUR_HOOK_BEFORE_FORK, "");
}

static int64_t stop_at(void *arg)
{
    concur_server *server = arg;
    int64_t own = atomic_load(&server->stop_at), asked = cnc_board_stop_at(server->place.board);
    return own < asked ? own : asked;
}

static void stop_asked(void *arg, int64_t ms)
{
    cnc_place_stop(arg, ms < 0 ? 0 : ms);
}

static bool reload_asked(void *arg)
{
    return cnc_board_take_reload(((concur_server *)arg)->place.board);
}

static void stopping(void *arg)
{
    concur_server *server = arg;
    atomic_store(&server->draining, true);
    cnc_serving_shut_listeners(server);
}

/* The host's functions run in the host's process: here, or where the notes arrive. */
static void tree_hear(concur_server *server, enum cnc_note_what what, int64_t value, const char *text)
{
    if (what == CNC_NOTE_LOG)
        cnc_log(&server->log, value >= CONCUR_LOG_ERROR && value <= CONCUR_LOG_DEBUG ? (int)value : CONCUR_LOG_WARN, "%s",
                text);
    else if (what == CNC_NOTE_EVENT || what == CNC_NOTE_READY)
        (void)cnc_server_hooks(server, CONCUR_HOOK_EVENT, text);
}

/* A host that has no room for an event or a line loses it; READY it waits for. */
static void tree_tell(void *arg, enum cnc_note_what what, int64_t value, const char *text)
{
    concur_server *server = arg;
    bool is_ready = what == CNC_NOTE_READY;
    if (is_ready)
        cnc_server_ready(server);
    if (server->place.up < 0 || what == CNC_NOTE_LOG) {
        tree_hear(server, what, value, text);
        return;
    }
    struct cnc_note note = { .what = (uint32_t)what, .value = value };
    size_t n = strlen(text);
    memcpy(note.text, text, n < CNC_NOTE_TEXT_MAX ? n : CNC_NOTE_TEXT_MAX);
    if (!is_ready)
        (void)cnc_note_send(server->place.up, &note, -1, false); /* a host that does not read misses events */
    else if (cnc_note_deliver(server->place.up, &note) != CONCUR_OK)
        cnc_place_stop(server, 0); /* nobody would ever know that it serves */
}

/* The plan has its own reference to setup. */
static int make_plan(struct cnc_setup *setup, struct cnc_plan *plan)
{
    const struct cnc_config *cfg = &setup->cfg;
    *plan = (struct cnc_plan){ .start_ms = cfg->start_timeout, .drain_ms = cfg->stop_timeout,
                               .stuck_ms = cfg->stuck_timeout, .setup = setup };
    if (setup->ops->plan)
        setup->ops->plan(cfg, plan);
    else
        (void)cnc_plan_add(plan, (struct cnc_group){ .role = CNC_ROLE_WORKER, .is_required = true, .accepts = true,
                                                     .has_successors = true, .count = 1, .most = 1 });
    (void)cnc_plan_add(plan, (struct cnc_group){ .role = CNC_ROLE_REFUSER, .accepts = true, .when = CNC_GROUP_GIVEN_UP,
                                                 .count = 1, .most = 1 });
    if (setup->ops->lends && !setup->ledger.pages && !cnc_ledger_open(&setup->ledger, (uint32_t)cfg->connections_max))
        return cnc_error_set(CONCUR_E_NOMEM, "out of memory: no ledger for %lld connections", (long long)cfg->connections_max);
    return CONCUR_OK;
}

/* ---- reload ---- */

/* Beside what serves: whatever becomes of it, that has not changed. */
static int tree_reload(void *arg, struct cnc_plan *plan)
{
    struct cnc_setup *setup;
    int rc = cnc_configure_again(arg, &setup);
    if (rc == CONCUR_OK && (rc = make_plan(setup, plan)) < 0)
        cnc_setup_unref(&setup);
    if (rc == CONCUR_OK)
        cnc_server_log_notes(arg, setup);
    return rc;
}

static void tree_serves(void *arg, void *setup, unsigned generation)
{
    concur_server *server = arg;
    cnc_setup_ref(setup);
    cnc_server_adopt(server, setup);
    cnc_board_set_serving(server->place.board, server->setup->cfg.engine, generation);
}

static void dropped(void *arg, void *setup_)
{
    struct cnc_setup *setup = setup_;
    (void)arg;
    cnc_setup_unref(&setup);
}

static const struct cnc_master_ops master_ops = {
    .child = child_main,
    .before_fork = tree_before_fork,
    .stop_at = stop_at,
    .reload_asked = reload_asked,
    .stop_asked = stop_asked,
    .tell = tree_tell,
    .stopping = stopping,
    .reload = tree_reload,
    .serves = tree_serves,
    .dropped = dropped,
};

static int run_master(concur_server *server, int lines)
{
    struct cnc_master_config cfg = { .ops = &master_ops, .arg = server, .clock = server->clock,
                                     .board = server->place.board, .wake_fd = server->stop_fd, .host = lines };
    int rc = make_plan(server->setup, &cfg.plan);
    if (rc < 0)
        return rc;
    cnc_setup_ref(server->setup);
    return cnc_master_run(&cfg);
}

static int open_board(concur_server *server)
{
    struct cnc_board *board = cnc_board_create();
    if (!board)
        return CONCUR_E_NOMEM;
    atomic_store(&server->place.board, board);
    cnc_board_ask_stop(board, atomic_load(&server->stop_at)); /* what was asked for before, and not there */
    return CONCUR_OK;
}

int cnc_tree_run(concur_server *server)
{
    int lines[2] = { -1, -1 };
    int rc = cnc_tree_check(server);
    if (rc == CONCUR_OK)
        rc = open_board(server);
    /* The program's log function is called here, not in the children; what goes to stderr can go there from anywhere. */
    if (rc == CONCUR_OK && server->log.fn)
        rc = cnc_passing_pair(lines, LINE_BUFFER);
    if (rc == CONCUR_OK) {
        cnc_signals_hear_children();
        if (server->setup->cfg.sighup == CNC_SIGHUP_RELOAD)
            cnc_signals_reload_on_hup();
        server->place.lines = lines[1];
        rc = run_master(server, lines[0]);
    }
    server->place.lines = -1;
    cnc_sys_close(&lines[0]);
    cnc_sys_close(&lines[1]);
    return rc;
}

/* ---- a host that goes on with its own work ---- */

/* In the master's process, just forked: the host's descriptors are the host's. */
static void leave_host(concur_server *server, int up)
{
    int keep[67] = { up, server->stop_fd, server->stop_copy };
    unsigned n = 3;
    for (unsigned i = 0; i < server->socket_count && n < CNC_COUNT(keep); i++)
        keep[n++] = server->sockets[i].fd;
    cnc_sys_close_others(keep, n);
    server->log.up = server->place.up = up;
    server->place.master = getpid();
    (void)cnc_server_claim(server); /* the page is there */
    cnc_signals_adopt(server);
    cnc_signals_hear_children();
}

static _Noreturn void master_process(concur_server *server, int up)
{
    leave_host(server, up);
    int rc = run_master(server, up);
    if (rc < 0) {
        struct cnc_note note = { .what = CNC_NOTE_FAILED, .value = rc };
        size_t n = strlen(cnc_error_text());
        memcpy(note.text, cnc_error_text(), n < CNC_NOTE_TEXT_MAX ? n : CNC_NOTE_TEXT_MAX);
        (void)cnc_note_send(up, &note, -1, false);
    }
    cnc_serving_close_listeners(server);
    cnc_board_set_result(server->place.board, rc);
    cnc_sys_end_process(-rc);
}

/* Nothing more is heard of the master. If it lives all the same it shall see the end of its host, and end: somebody waits for
 * that. The descriptor stays, since another thread may be about to write to it. */
static void tree_hang_up(const concur_server *server)
{
    (void)cnc_sys_shutdown_read(server->place.link);
    (void)cnc_sys_shutdown_write(server->place.link);
}

/* CONCUR_AGAIN: nothing more now. CONCUR_OK: the server serves. Negative: why it does not, or CONCUR_E_GONE. */
static int hear_master(concur_server *server)
{
    struct cnc_note note;
    int rc;
    while ((rc = cnc_note_receive(server->place.link, &note, NULL, false)) == CONCUR_OK) {
        bool starts = !server->has_tree;
        if (note.what == CNC_NOTE_FAILED && starts)
            return cnc_error_set((int)note.value, "%s", note.text);
        if (note.what != CNC_NOTE_READY || starts) /* once, whoever says so */
            tree_hear(server, note.what, note.value, note.text);
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
        rc = open_board(server);
    if (rc == CONCUR_OK)
        rc = cnc_passing_pair(pair, LINE_BUFFER);
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
    cnc_serving_shut_listeners(server); /* the master's, and its children's */
    bool has_ended = false;
    while ((rc = hear_master(server)) == CONCUR_AGAIN && !has_ended)
        has_ended = cnc_host_wait(server->place.link, server->place.master_fd, -1);
    if (rc == CONCUR_AGAIN)
        rc = CONCUR_E_GONE; /* whatever it may have said cannot be read */
    if (rc == CONCUR_OK) {
        cnc_server_ready(server);
        return CONCUR_OK;
    }
    tree_hang_up(server);
    int end;
    while ((end = cnc_host_reap(&server->place.master, server->place.board)) == CONCUR_AGAIN)
        (void)cnc_host_wait(-1, server->place.master_fd, 10);
    if (rc == CONCUR_E_GONE && end == CONCUR_OK && cnc_board_stop_at(server->place.board) != INT64_MAX)
        return CONCUR_OK; /* it was stopped before it served */
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
            tree_hang_up(server);
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

void cnc_tree_close(concur_server *server)
{
    struct cnc_board *board = atomic_load(&server->place.board);
    cnc_sys_close(&server->place.link);
    cnc_sys_close(&server->place.master_fd);
    cnc_board_destroy(&board);
    atomic_store(&server->place.board, NULL);
}
