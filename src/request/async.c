/* SPDX-License-Identifier: MIT
 *
 * Operations that a request waits for. Each holds a reference to the request until its callback has run.
 */
#include "request/async_internal.h"

int cnc_async_may_begin(concur_request *r)
{
    if (!CNC_REQUEST_IS_MINE(r))
        return CONCUR_E_HOME;
    if (r->flags & CNC_REQ_ENDING)
        return CONCUR_E_STATE;
    return r->gone ? CONCUR_E_GONE : CONCUR_OK;
}

void cnc_async_link(concur_request *r, struct cnc_op *op, void (*cut)(struct cnc_op *))
{
    op->cut = cut;
    cnc_link_init(&op->link);
    cnc_link_append(&r->ops, &op->link);
    cnc_request_hold(r);
}

/* Runs the callbacks of pending operations now, unless a thread is at work or the callback's task is queued already. The list
 * cannot grow meanwhile: cnc_async_may_begin() refuses if the request was given up. */
void cnc_async_cut(concur_request *r)
{
    struct cnc_link todo;
    cnc_link_init(&todo);
    cnc_link_move_all(&todo, &r->ops);
    while (!cnc_link_alone(&todo)) {
        struct cnc_link *l = cnc_link_take_first(&todo);
        cnc_link_append(&r->ops, l);
        struct cnc_op *op = CNC_CONTAINER(l, struct cnc_op, link);
        op->cut(op);
    }
}
