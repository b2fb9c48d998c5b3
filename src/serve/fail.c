/* SPDX-License-Identifier: MIT
 *
 * The end of a process that cannot serve any more: its loop is broken, since a descriptor of its own was closed by mistake,
 * say, or it has not been able to accept anything for long.
 */
#include "base/error.h"
#include "base/sys.h"
#include "serve/serving.h"
#include "serve/sockets.h"
#include "server/place.h"

#define LOOK_MS 5 /* between two looks whether the threads have finished; there is no loop that could be woken for it */

static bool fail_is_over(const struct cnc_serving *s)
{
    return s->drv.count == 0 && cnc_desk_of(s->home)->live == 0 && atomic_load(&s->server->connections) == 0;
}

/* Waits until all connections are closed, without the loop: takes what threads give back from the inbox, and closes it. */
static int fail_let_go(struct cnc_serving *s, bool may_give_up)
{
    int64_t until = cnc_clock_now(s->server->clock) + CNC_SERVING_PATIENCE_MS;
    for (;;) {
        cnc_driver_cancel(&s->drv, CONCUR_E_STOPPING);
        cnc_home_settle(s->home);
        if (fail_is_over(s))
            return CONCUR_OK;
        if (may_give_up && cnc_clock_now(s->server->clock) >= until)
            return CONCUR_E_BUSY;
        (void)cnc_sys_poll(NULL, 0, LOOK_MS);
    }
}

static int end_alone(struct cnc_serving *s, bool may_give_up)
{
    concur_server *server = s->server;
    cnc_place_stop(server, 0); /* threads that wait for a peer look at this */
    atomic_store(&server->draining, true);
    cnc_acceptor_stop(&s->acceptor);
    pthread_mutex_lock(&server->mu);
    cnc_sockets_shut(server);
    pthread_mutex_unlock(&server->mu);
    cnc_driver_stop_watching(&s->drv);
    cnc_serving_give_up(s);
    cnc_home_settle(s->home); /* sends the replies to waiting clients, as far as the kernel takes them at once */
    int rc = fail_let_go(s, may_give_up);
    if (rc == CONCUR_OK)
        rc = cnc_serving_join(server, s->threads, may_give_up);
    if (rc == CONCUR_OK)
        rc = cnc_serving_join(server, server->pool, may_give_up);
    if (rc == CONCUR_OK)
        cnc_home_leave(s->home);
    return rc;
}

int cnc_serving_fail(struct cnc_serving *s, bool may_give_up)
{
    concur_server *server = s->server;
    char why[256];
    size_t n = strlen(cnc_error_text());
    n = n < sizeof why ? n : sizeof why - 1;
    memcpy(why, cnc_error_text(), n);
    why[n] = '\0';
    cnc_log(&server->log, CONCUR_LOG_ERROR, "this process can serve nobody any more: %s", why);
    int rc = server->place.is_child ? CONCUR_OK : end_alone(s, may_give_up);
    return rc < 0 ? rc : cnc_error_set(CONCUR_E_SYS, "the server cannot go on: %s", why);
}
