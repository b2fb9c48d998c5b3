/* SPDX-License-Identifier: MIT */
#include "request/around.h"

#include "server/route_hooks.h"

static const struct cnc_route_hooks *hooks_of(const concur_request *r)
{
    return r->server->setup->router.hooks;
}

void cnc_around_begin(concur_request *r)
{
    const struct cnc_route_hooks *hooks = hooks_of(r);
    for (unsigned i = 0; i < hooks->count; i++)
        if (hooks->items[i].after && cnc_route_hook_covers(&hooks->items[i], r->path))
            r->flags |= CNC_REQ_AFTER_DUE;
}

/* ---- before ---- */

/* Notes the start like that of a handler, so that a report of a stall names the route. */
static int around_call(concur_request *r, const struct cnc_route_hook *hook)
{
    struct cnc_home *home = r->home;
    cnc_request_enter_handler(r);
    cnc_desk_call_begins(home, r->match.route);
    int rc = hook->before(r, hook->arg);
    cnc_desk_call_ends(home);
    return rc;
}

static bool is_open(const concur_request *r)
{
    return r->output == CNC_OUTPUT_NONE && !r->gone;
}

bool cnc_around_may_pass(concur_request *r)
{
    if (r->refs == 0 && !r->on_data)
        return true;
    cnc_request_failed(r, "has a hook that let the request pass and left something pending: 500");
    if (!(r->flags & CNC_REQ_ON_STACK))
        cnc_request_enter(r);
    cnc_request_leave(r, 500);
    return false;
}

bool cnc_around_pass(concur_request *r)
{
    const struct cnc_route_hooks *hooks = hooks_of(r);
    while (r->hook_at < hooks->count) {
        const struct cnc_route_hook *hook = &hooks->items[r->hook_at++];
        if (!hook->before || !cnc_route_hook_covers(hook, r->path))
            continue;
        r->flags |= CNC_REQ_HOOK_WAITS; /* before the call, which may already call concur_request_pass() */
        int rc = around_call(r, hook);
        if (rc == CONCUR_AGAIN) {
            cnc_request_leave(r, CONCUR_OK);
            return false;
        }
        r->flags &= ~(uint32_t)CNC_REQ_HOOK_WAITS;
        if (rc != CONCUR_OK || !is_open(r)) {
            cnc_request_leave(r, rc == CONCUR_DECLINE ? 404 : rc);
            return false;
        }
        if (!cnc_around_may_pass(r))
            return false;
    }
    return true;
}

/* ---- after ---- */

int cnc_around_reply(concur_request *r, int status)
{
    const struct cnc_route_hooks *hooks = hooks_of(r);
    r->flags |= CNC_REQ_AFTER_RUNS;
    for (unsigned i = 0; i < hooks->count; i++) {
        const struct cnc_route_hook *hook = &hooks->items[i];
        if (!hook->after || !cnc_route_hook_covers(hook, r->path))
            continue;
        int rc = hook->after(r, status, hook->arg);
        if (rc < 0 && !r->reply_rc)
            r->reply_rc = rc;
    }
    r->flags &= ~(uint32_t)CNC_REQ_AFTER_RUNS;
    if (r->reply_rc && (r->flags & CNC_REQ_PAGE)) { /* an error page is sent all the same: nothing else is left to send */
        cnc_request_failed(r, "has a hook that failed (%s) before page %d, which is sent as it is",
                           concur_strerror(r->reply_rc), status);
        r->reply_rc = CONCUR_OK;
    }
    return r->reply_rc;
}

/* ---- pages ---- */

bool cnc_around_page(concur_request *r, int status)
{
    const struct cnc_page *page = cnc_pages_find(&r->server->pages, status);
    if (!page)
        return false;
    int rc = page->fn(r, status, page->arg);
    if (r->output == CNC_OUTPUT_BODY) {
        cnc_request_failed(r, "has a page for %d that did not end: cut off", status);
        cnc_reply_abort(r, CONCUR_E_CANCELLED);
    }
    if (r->output != CNC_OUTPUT_NONE)
        return true;
    if (rc != CONCUR_DECLINE)
        cnc_request_failed(r, "has a page for %d that replied nothing (%s)", status, rc < 0 ? concur_strerror(rc) : "no error");
    return false;
}
