/* SPDX-License-Identifier: MIT
 *
 * The program's hooks: functions that are called when a worker starts or ends, before a fork, and for events of the
 * server.
 */
#include "base/error.h"
#include "base/sys.h"
#include "proc/child.h"
#include "server/server.h"

struct hook {
    struct cnc_link link; /* in server->hooks */
    int what;
    concur_hook_fn fn;
    void *arg;
};

int cnc_server_add_hook(concur_server *server, int what, concur_hook_fn fn, void *arg)
{
    struct hook *hook = cnc_malloc(sizeof *hook);
    if (!hook)
        return CONCUR_E_NOMEM;
    *hook = (struct hook){ .what = what, .fn = fn, .arg = arg };
    cnc_link_init(&hook->link);
    cnc_link_append(&server->hooks, &hook->link);
    return CONCUR_OK;
}

/* WORKER_EXIT hooks are called in reverse order: what was set up last is taken down first. */
int cnc_server_hooks(concur_server *server, int what, const char *detail)
{
    bool backwards = what == CONCUR_HOOK_WORKER_EXIT;
    bool may_forbid = what == CONCUR_HOOK_BEFORE_FORK || what == CONCUR_HOOK_WORKER_START;
    concur_server *before = cnc_server_enter(server);
    int rc = CONCUR_OK;
    struct cnc_link *l = backwards ? server->hooks.prev : server->hooks.next;
    for (; l != &server->hooks && rc == CONCUR_OK; l = backwards ? l->prev : l->next) {
        struct hook *hook = CNC_CONTAINER(l, struct hook, link);
        int said = hook->what == what ? hook->fn(server, what, detail ? detail : "", hook->arg) : CONCUR_OK;
        if (cnc_server_is_stray(server))
            cnc_child_stray();
        if (may_forbid && said < 0)
            rc = said;
    }
    cnc_server_leave(before);
    return rc < 0 ? cnc_error_set(rc, "a hook of the program returned an error: %s", concur_strerror(rc)) : rc;
}

void cnc_server_free_hooks(concur_server *server)
{
    while (!cnc_link_alone(&server->hooks))
        cnc_free(CNC_CONTAINER(cnc_link_take_first(&server->hooks), struct hook, link));
}
