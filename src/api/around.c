/* SPDX-License-Identifier: MIT
 *
 * Registers the program's functions before and after handlers, and its error pages.
 */
#include "api/api.h"
#include "base/error.h"

static int api_add_hook(concur_server *s, const char *prefix, int flags, concur_handler_fn before, concur_status_fn after,
                    void *arg)
{
    if (!s)
        return CONCUR_E_INVAL;
    if (!cnc_api_is_set_up(s))
        return CONCUR_E_STATE;
    if (!prefix)
        return cnc_server_note(s, CONCUR_E_INVAL, "a hook of routes: no prefix");
    if (!before && !after)
        return cnc_server_note(s, CONCUR_E_INVAL, "a hook of routes under \"%s\": no function", prefix);
    if (flags & ~CONCUR_ROUTES_MAIN_ONLY)
        return cnc_server_note(s, CONCUR_E_INVAL, "a hook of routes under \"%s\": unknown flags 0x%x", prefix, (unsigned)flags);
    int rc = cnc_route_hooks_add(&s->route_hooks, prefix, before, after, arg);
    if (rc < 0)
        return cnc_server_note(s, rc, "a hook of routes: %s", rc == CONCUR_E_INVAL ? cnc_error_text() : "out of memory");
    s->routes.hooks = &s->route_hooks;
    cnc_setup_unref(&s->setup); /* it was made without this hook */
    return CONCUR_OK;
}

int concur_server_before(concur_server *s, const char *prefix, int flags, concur_handler_fn before, void *arg)
{
    return api_add_hook(s, prefix, flags, before, NULL, arg);
}

int concur_server_after(concur_server *s, const char *prefix, int flags, concur_status_fn after, void *arg)
{
    return api_add_hook(s, prefix, flags, NULL, after, arg);
}

int concur_server_page(concur_server *s, int status, concur_status_fn page, void *arg)
{
    bool is_class = status == CONCUR_PAGE_ALL || status == CONCUR_PAGE_4XX || status == CONCUR_PAGE_5XX;
    if (!s)
        return CONCUR_E_INVAL;
    if (!cnc_api_is_set_up(s))
        return CONCUR_E_STATE;
    if (!is_class && (status < 400 || status > 599))
        return cnc_server_note(s, CONCUR_E_INVAL, "page %d: a status must be 400 to 599", status);
    if (!page)
        return cnc_server_note(s, CONCUR_E_INVAL, "page %d: no function", status);
    int rc = cnc_pages_add(&s->pages, status, page, arg);
    return rc < 0 ? cnc_server_note(s, rc, "page %d: out of memory", status) : rc;
}
