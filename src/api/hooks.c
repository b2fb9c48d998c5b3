/* SPDX-License-Identifier: MIT
 *
 * Registers the program's hooks (concur_server_hook()), and the features of an engine that its handlers need.
 */
#include "api/api.h"

int concur_server_hook(concur_server *s, int what, concur_hook_fn hook, void *arg)
{
    if (!s)
        return CONCUR_E_INVAL;
    if (!cnc_api_is_set_up(s))
        return CONCUR_E_STATE;
    if (what < CONCUR_HOOK_BEFORE_FORK || what > CONCUR_HOOK_EVENT)
        return cnc_server_note(s, CONCUR_E_INVAL, "hook %d: no such moment", what);
    if (!hook)
        return cnc_server_note(s, CONCUR_E_INVAL, "hook %d: no function", what);
    int rc = cnc_server_add_hook(s, what, hook, arg);
    return rc < 0 ? cnc_server_note(s, rc, "hook %d: out of memory", what) : rc;
}

int concur_server_require(concur_server *s, int needs)
{
    if (!s)
        return CONCUR_E_INVAL;
    if (!cnc_api_is_set_up(s))
        return CONCUR_E_STATE;
    if (needs & ~CONCUR_NEED_SHARED_MEMORY)
        return cnc_server_note(s, CONCUR_E_INVAL, "require: unknown needs 0x%x", (unsigned)needs);
    s->needs |= (unsigned)needs;
    return CONCUR_OK;
}
