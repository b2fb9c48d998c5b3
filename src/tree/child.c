/* SPDX-License-Identifier: MIT
 *
 * A child of the master, from its fork to its end.
 */
#include <sys/random.h>

#include "base/error.h"
#include "base/sys.h"
#include "serve/refuser.h"
#include "serve/sockets.h"
#include "server/signals.h"
#include "tree/tree_internal.h"

static const struct cnc_role *child_role_of(const concur_server *server, int role)
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

/* Replaces what the fork has copied from the master by what belongs to this process. */
static int child_settle(concur_server *server, const struct cnc_child *child)
{
    struct cnc_place *place = &server->place;
    server->setup = child->setup; /* does not change in this process */
    atomic_store(&server->stop_timeout, server->setup->cfg.stop_timeout);
    if (place->lines >= 0)
        server->log.up = place->lines;
    *place = (struct cnc_place){ .board = place->board, .generation = child->generation,
                                 .number = child->number, .page = child->page, .slot = child->slot, .link = child->link,
                                 .lend = child->peer, .peer_slot = child->peer_slot,
                                 .up = -1, .lines = -1, .wake = server->stop_fd, .master_fd = -1, .master = place->master,
                                 .is_child = true,
                                 .recycle_at = with_jitter((unsigned long long)server->setup->cfg.requests_per_worker) };
    place->row = cnc_board_row(place->board, child->page, child->slot);
    if (child->peer_slot < CNC_BOARD_SLOTS)
        place->peer_row = cnc_board_row(place->board, child->page, child->peer_slot);
    cnc_board_enter(place->row, child->group, child->number, child->role, cnc_clock_now(server->clock));
    atomic_store(&server->stop_at, INT64_MAX);
    (void)!getrandom(&server->id_base, sizeof server->id_base, GRND_NONBLOCK);
    server->stop_fd = -1; /* not closed: it is place.wake now */
    cnc_server_close_stop(server);
    int rc = cnc_server_claim(server);
    if (rc < 0)
        return rc;
    rc = cnc_server_open_stop(server);
    cnc_signals_adopt(server);
    return rc;
}

/* Reports to the master that this process cannot serve. starved: for want of memory or descriptors, not by an error of
 * the program. Returns the exit status. */
static int child_fail(concur_server *server, int rc, bool starved)
{
    struct cnc_note note = { .what = CNC_NOTE_FAILED, .value = rc, .slot = starved };
    const char *text = *cnc_error_text() ? cnc_error_text() : concur_strerror(rc);
    size_t n = strlen(text);
    memcpy(note.text, text, n < CNC_NOTE_TEXT_MAX ? n : CNC_NOTE_TEXT_MAX);
    (void)cnc_note_deliver(server->place.link, &note); /* if that fails, the exit status is all that the master gets */
    return -rc;
}

/* If this process ends without a request of the master (by SIGTERM, or after requests_per_worker), it announces that,
 * so that its end is not reported as unexpected. */
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
        return child_fail(server, rc, rc == CONCUR_E_NOMEM || rc == CONCUR_E_SYS);
    server->place.told = role->told;
    if (cnc_note_deliver(server->place.link, &ready) != CONCUR_OK)
        cnc_child_orphaned();
    if (await_go(server)) {
        cnc_board_set_state(server->place.row, CNC_BOARD_SERVING, cnc_clock_now(server->clock));
        rc = role->run(server, true);
        if (rc == CONCUR_E_SYS) /* the reason was logged already */
            return CNC_CHILD_SICK;
    }
    if (rc != CONCUR_E_BUSY) {
        cnc_sockets_shut(server);
        role->close(server);
    }
    if (rc == CONCUR_OK)
        say_goodbye(server);
    return -rc;
}

int cnc_tree_child(void *arg, const struct cnc_child *child)
{
    concur_server *server = arg;
    bool hooks = child->role == CNC_ROLE_WORKER;
    int rc = child_settle(server, child);
    if (rc < 0)
        return child_fail(server, rc, true);
    (void)cnc_server_enter(server);
    if (hooks && (rc = cnc_server_hooks(server, CONCUR_HOOK_WORKER_START, "")) < 0)
        return child_fail(server, rc, false);
    int status = serve_child(server, child_role_of(server, child->role));
    if (hooks && status != -CONCUR_E_BUSY && status != CNC_CHILD_SICK)
        (void)cnc_server_hooks(server, CONCUR_HOOK_WORKER_EXIT, "");
    return status;
}
