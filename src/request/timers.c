/* SPDX-License-Identifier: MIT
 *
 * Timers that a request waits for.
 */
#include "base/sys.h"
#include "request/async_internal.h"

struct after {
    struct cnc_op op;
    struct cnc_timer timer;
    concur_request *r;
    concur_handler_fn fn;
    void *arg;
};

/* Entered. */
static int run_after(struct after *a)
{
    concur_request *r = a->r;
    concur_handler_fn fn = a->fn;
    void *arg = a->arg;
    cnc_link_remove(&a->op.link);
    cnc_free(a);
    cnc_request_release(r);
    return fn(r, arg);
}

static void on_timers_after(struct cnc_timer *t)
{
    struct after *a = CNC_CONTAINER(t, struct after, timer);
    concur_request *r = a->r;
    cnc_request_enter(r);
    cnc_request_leave(r, run_after(a));
}

static void cut_after(struct cnc_op *op)
{
    struct after *a = CNC_CONTAINER(op, struct after, op);
    cnc_home_timer_cancel(a->r->home, &a->timer);
    (void)run_after(a);
}

int concur_request_after(concur_request *r, unsigned ms, concur_handler_fn timer, void *arg)
{
    int rc = cnc_async_may_begin(r);
    if (rc < 0)
        return rc;
    if (!timer)
        return CONCUR_E_INVAL;
    struct after *a = cnc_calloc(1, sizeof *a);
    if (!a)
        return CONCUR_E_NOMEM;
    *a = (struct after){ .r = r, .fn = timer, .arg = arg, .timer.fn = on_timers_after };
    cnc_home_timer(r->home, &a->timer, cnc_clock_now(r->home->clock) + ms);
    cnc_async_link(r, &a->op, cut_after);
    return CONCUR_OK;
}

int concur_request_cancel_after(concur_request *r, concur_handler_fn timer, void *arg)
{
    int rc = cnc_async_may_begin(r);
    if (rc < 0)
        return rc;
    for (struct cnc_link *l = r->ops.next; l != &r->ops; l = l->next) {
        struct after *a = CNC_CONTAINER(CNC_CONTAINER(l, struct cnc_op, link), struct after, op);
        if (a->op.cut != cut_after || a->fn != timer || a->arg != arg)
            continue;
        cnc_home_timer_cancel(r->home, &a->timer);
        cnc_link_remove(&a->op.link);
        cnc_free(a);
        cnc_request_release(r);
        return CONCUR_OK;
    }
    return CONCUR_E_STATE;
}
