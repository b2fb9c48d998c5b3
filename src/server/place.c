/* SPDX-License-Identifier: MIT */
#include "server/place.h"

#include "base/sys.h"
#include "proc/board.h"
#include "proc/child.h"

void cnc_place_stop(concur_server *server, int64_t ms)
{
    long long at = cnc_clock_now(server->clock) + ms;
    long long before = atomic_load(&server->stop_at);
    while (at < before && !atomic_compare_exchange_weak(&server->stop_at, &before, at))
        ;
    struct cnc_board *board = atomic_load(&server->place.board);
    if (board && !server->place.is_child)
        cnc_board_ask_stop(board, at);
    cnc_server_raise(server);
}

/* Wakes the master, which then reads the requests on the board. They are there and not in a message, since a link may
 * be full. If the program has closed the eventfd by mistake, a message wakes the master, and so does a full link. */
static void wake_master(concur_server *server)
{
    if (!server->place.is_child)
        cnc_server_raise(server);
    else if (!cnc_sys_eventfd_raise(server->place.wake))
        (void)cnc_note_tell(server->place.link, CNC_NOTE_WAKE, 0);
}

void cnc_place_stop_all(concur_server *server, int64_t ms)
{
    cnc_board_ask_stop(server->place.board, cnc_clock_now(server->clock) + ms);
    wake_master(server);
}

void cnc_place_reload(concur_server *server)
{
    cnc_board_ask_reload(server->place.board);
    wake_master(server);
}

/* The kernel has woken only this process for the connection. */
void cnc_place_pass_on(concur_server *server)
{
    const struct cnc_place *place = &server->place;
    if (!place->is_child || !place->look)
        return;
    cnc_board_ask_look(place->board, place->page, place->slot);
    wake_master(server);
}

/* Tells the requests of this process that a stop has begun, although it serves on until its front has ended. */
static void announce_stop(concur_server *server)
{
    atomic_store(&server->stopping, true);
    cnc_sys_eventfd_raise(server->stop_fd);
}

void cnc_place_hear(concur_server *server)
{
    struct cnc_note note;
    int fd = -1, rc;
    while ((rc = cnc_note_receive(server->place.link, &note, &fd, false)) == CONCUR_OK) {
        if (note.what == CNC_NOTE_STOP) {
            server->place.was_told = true;
            server->place.all_stop = note.slot != 0;
            cnc_place_stop(server, note.value);
        } else if (note.what == CNC_NOTE_STOPPING) {
            announce_stop(server);
        } else if (note.what == CNC_NOTE_LOOK) {
            if (server->place.look)
                server->place.look(server->place.look_arg);
        } else if (server->place.told) {
            server->place.told(server, &note, fd);
        } else {
            cnc_sys_close(&fd);
        }
    }
    if (rc == CONCUR_E_GONE)
        cnc_child_orphaned();
}

static void place_put(atomic_uint *to, unsigned n)
{
    atomic_store_explicit(to, n, memory_order_relaxed);
}

void cnc_place_publish(concur_server *server, const struct cnc_engine_stats *stats)
{
    struct cnc_place *place = &server->place;
    if (!place->row)
        return;
    atomic_store_explicit(&place->row->requests, stats->requests, memory_order_relaxed);
    atomic_store_explicit(&place->row->accepted, stats->accepted, memory_order_relaxed);
    atomic_store_explicit(&place->row->stalls, stats->stalls, memory_order_relaxed);
    place_put(&place->row->connections, stats->is_lent ? 0 : atomic_load_explicit(&server->connections, memory_order_relaxed));
    place_put(&place->row->threads, stats->threads);
    place_put(&place->row->threads_idle, stats->threads_idle);
    place_put(&place->row->queued, stats->queued);
    place_put(&place->row->free, stats->free);
    cnc_place_begun(server, stats->requests);
}

void cnc_place_begun(concur_server *server, unsigned long long requests)
{
    struct cnc_place *place = &server->place;
    unsigned long long share = atomic_load_explicit(&place->recycle_at, memory_order_relaxed);
    if (CNC_LIKELY(!share || requests < share) || !atomic_compare_exchange_strong(&place->recycle_at, &share, 0))
        return;
    if (cnc_note_tell(place->link, CNC_NOTE_RECYCLE, 0) == CONCUR_AGAIN)
        atomic_store(&place->recycle_at, share); /* the next request tries again */
}
