/* SPDX-License-Identifier: MIT
 *
 * Descriptors that a request waits for.
 */
#include "base/sys.h"
#include "request/async_internal.h"

#define WAITS_MAX 16

struct wait {
    struct cnc_op op;
    struct cnc_io io;
    struct cnc_timer timer;
    concur_request *r;
    concur_done_fn done;
    void *arg;
    unsigned asked;
};

/* Entered. */
static void drop_wait(struct wait *w)
{
    concur_request *r = w->r;
    (void)cnc_io_watch(r->home->loop, &w->io, 0);
    cnc_home_timer_cancel(r->home, &w->timer);
    cnc_link_remove(&w->op.link);
    cnc_free(w);
    r->waits--;
    cnc_request_release(r);
}

/* Entered. */
static int end_wait(struct wait *w, int rc)
{
    concur_request *r = w->r;
    concur_done_fn done = w->done;
    void *arg = w->arg;
    drop_wait(w);
    return done(r, rc, arg);
}

static void on_waits_ready(struct cnc_io *io, unsigned ready)
{
    struct wait *w = CNC_CONTAINER(io, struct wait, io);
    concur_request *r = w->r;
    int rc = 0;
    if (ready & CNC_IO_READ)
        rc |= CONCUR_READ;
    if (ready & CNC_IO_WRITE)
        rc |= CONCUR_WRITE;
    (void)cnc_loop_now(r->home->loop); /* read before the program is called, so that a call that takes long shows */
    cnc_request_enter(r);
    cnc_request_leave(r, end_wait(w, rc));
}

static void on_waits_timeout(struct cnc_timer *t)
{
    struct wait *w = CNC_CONTAINER(t, struct wait, timer);
    concur_request *r = w->r;
    cnc_request_enter(r);
    cnc_request_leave(r, end_wait(w, CONCUR_E_TIMEOUT));
}

static void cut_wait(struct cnc_op *op)
{
    struct wait *w = CNC_CONTAINER(op, struct wait, op);
    (void)end_wait(w, w->r->gone);
}

/* NULL: nothing waits for fd. */
static struct wait *wait_of(const concur_request *r, int fd)
{
    for (struct cnc_link *l = r->ops.next; l != &r->ops; l = l->next) {
        struct cnc_op *op = CNC_CONTAINER(l, struct cnc_op, link);
        if (op->cut == cut_wait && cnc_io_fd(&CNC_CONTAINER(op, struct wait, op)->io) == fd)
            return CNC_CONTAINER(op, struct wait, op);
    }
    return NULL;
}

int concur_request_await(concur_request *r, int fd, int events, unsigned ms, concur_done_fn done, void *arg)
{
    int rc = cnc_async_may_begin(r);
    if (rc < 0)
        return rc;
    if (fd < 0 || !done || events < 1 || events > (CONCUR_READ | CONCUR_WRITE))
        return CONCUR_E_INVAL;
    if (r->waits == WAITS_MAX)
        return CONCUR_E_LIMIT;
    if (wait_of(r, fd))
        return CONCUR_E_STATE;
    if (cnc_home_need_loop(r->home) < 0) {
        cnc_server_runs_short(r->server, "a request cannot wait for a descriptor");
        return CONCUR_E_FULL;
    }
    struct wait *w = cnc_calloc(1, sizeof *w);
    if (!w)
        return CONCUR_E_NOMEM;
    *w = (struct wait){ .r = r, .done = done, .arg = arg, .timer.fn = on_waits_timeout };
    unsigned mask = (events & CONCUR_READ ? CNC_IO_READ : 0u) | (events & CONCUR_WRITE ? CNC_IO_WRITE : 0u);
    cnc_io_init(r->home->loop, &w->io, fd, on_waits_ready);
    rc = cnc_io_ask(r->home->loop, &w->io);
    if (rc == CONCUR_OK)
        rc = cnc_io_watch(r->home->loop, &w->io, mask);
    if (rc < 0) {
        cnc_free(w);
        return rc;
    }
    if (ms)
        cnc_home_timer(r->home, &w->timer, cnc_clock_now(r->home->clock) + ms);
    r->waits++;
    cnc_async_link(r, &w->op, cut_wait);
    return CONCUR_OK;
}

int concur_request_cancel_await(concur_request *r, int fd)
{
    int rc = cnc_async_may_begin(r);
    struct wait *w = rc < 0 ? NULL : wait_of(r, fd);
    if (!w)
        return rc < 0 ? rc : CONCUR_E_STATE;
    drop_wait(w);
    return CONCUR_OK;
}
