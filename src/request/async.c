/* SPDX-License-Identifier: MIT
 *
 * Everything that a request waits for holds a reference to the request until its callback has run.
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

/* The request was given up: callbacks that were still to come come now. A callback may not begin anything new. */
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
