/* SPDX-License-Identifier: MIT
 *
 * The stop of a process that serves: it drains, gives requests up at the deadline, and closes what is left.
 */
#include "proc/board.h"
#include "serve/serving.h"
#include "serve/sockets.h"

#define FLUSH_MS 250  /* after requests were given up: time for their last bytes to be sent */

/* Calls fn at every home where requests run. */
static void tell_homes(struct cnc_serving *s, void (*fn)(struct cnc_home *, int), int arg)
{
    fn(s->home, arg);
    if (s->threads)
        cnc_pool_broadcast(s->threads, fn, arg);
    if (s->server->pool)
        cnc_pool_broadcast(s->server->pool, fn, arg);
}

/* Tells the requests that exist now, once. Those that begin later check for a stop themselves. */
void cnc_serving_tell_of_stop(struct cnc_serving *s)
{
    if (s->has_told || !cnc_server_is_stopping(s->server))
        return;
    s->has_told = true;
    tell_homes(s, cnc_request_tell_stop_all, 0);
}

static bool stop_is_over(const struct cnc_serving *s)
{
    return !s->more_may_come && s->drv.count == 0 && cnc_desk_of(s->home)->live == 0 &&
           atomic_load(&s->server->connections) == 0;
}

static void begin_drain(struct cnc_serving *s)
{
    s->phase = CNC_SERVING_DRAIN;
    atomic_store(&s->server->draining, true);
    if (s->server->place.row)
        cnc_board_set_state(s->server->place.row, CNC_BOARD_DRAINING, cnc_clock_now(s->server->clock));
    cnc_acceptor_stop(&s->acceptor);
    cnc_driver_drain(&s->drv);
    cnc_serving_tell_of_stop(s);
    if (s->drains)
        s->drains(s);
    cnc_place_pass_on(s->server);
    /* The port is free for a successor as soon as this process stops accepting. */
    pthread_mutex_lock(&s->server->mu);
    cnc_sockets_shut(s->server);
    pthread_mutex_unlock(&s->server->mu);
}

void cnc_serving_give_up(struct cnc_serving *s)
{
    s->phase = CNC_SERVING_CANCEL;
    tell_homes(s, cnc_request_give_up_all, CONCUR_E_STOPPING);
    cnc_driver_refuse_early(&s->drv, 503);
    if (s->gave_up)
        s->gave_up(s);
}

/* Moves the stop on; returns when to call this again. */
static int64_t advance(struct cnc_serving *s, int64_t now)
{
    int64_t stop_at = atomic_load(&s->server->stop_at);
    if (stop_at == INT64_MAX)
        return INT64_MAX;
    if (s->phase == CNC_SERVING_ON)
        begin_drain(s);
    if (now < stop_at)
        return stop_at;
    if (s->phase == CNC_SERVING_DRAIN)
        cnc_serving_give_up(s);
    if (now < stop_at + FLUSH_MS)
        return stop_at + FLUSH_MS;
    s->phase = CNC_SERVING_FORCE;
    cnc_driver_cancel(&s->drv, CONCUR_E_STOPPING); /* again at each turn, since threads give connections back */
    return now < stop_at + CNC_SERVING_PATIENCE_MS ? stop_at + CNC_SERVING_PATIENCE_MS : INT64_MAX;
}

int cnc_serving_join(concur_server *server, struct cnc_pool *pool, bool may_give_up)
{
    int64_t left = atomic_load(&server->stop_at) - cnc_clock_now(server->clock);
    if (!pool || cnc_pool_stop(pool, left > 0 ? left : 0) == CONCUR_OK)
        return CONCUR_OK;
    cnc_pool_broadcast(pool, cnc_request_give_up_all, CONCUR_E_STOPPING);
    return cnc_pool_stop(pool, may_give_up ? CNC_SERVING_PATIENCE_MS : -1);
}

/* Frees the program's values of this thread before the home closes, since the home closes under the server's lock. */
static int stop_end(struct cnc_serving *s, bool may_give_up)
{
    int rc = cnc_serving_join(s->server, s->server->pool, may_give_up);
    if (rc == CONCUR_OK)
        cnc_home_leave(s->home);
    return rc;
}

int cnc_serving_move_stop(struct cnc_serving *s, bool may_give_up)
{
    int64_t stop_at = atomic_load(&s->server->stop_at);
    int64_t now = cnc_clock_now(s->server->clock);
    int64_t next = advance(s, now);
    if (stop_is_over(s))
        return stop_end(s, may_give_up);
    if (may_give_up && now >= stop_at + CNC_SERVING_PATIENCE_MS)
        return CONCUR_E_BUSY;
    if (next != INT64_MAX)
        cnc_home_timer(s->home, &s->stop_timer, next);
    return CONCUR_AGAIN;
}
