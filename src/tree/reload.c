/* SPDX-License-Identifier: MIT
 *
 * The plan of a generation, at the start and for each reload.
 */
#include "base/error.h"
#include "engines/configure.h"
#include "serve/lend/ledger.h"
#include "tree/tree_internal.h"

/* The plan has its own reference to setup. */
int cnc_tree_plan(struct cnc_setup *setup, struct cnc_plan *plan)
{
    const struct cnc_config *cfg = &setup->cfg;
    *plan = (struct cnc_plan){ .start_ms = cfg->start_timeout, .drain_ms = cfg->stop_timeout,
                               .stuck_ms = cfg->stuck_timeout, .setup = setup };
    if (setup->ops->plan)
        setup->ops->plan(cfg, plan);
    else
        (void)cnc_plan_add(plan, (struct cnc_group){ .role = CNC_ROLE_WORKER, .is_required = true, .accepts = true,
                                                     .has_successors = true, .count = 1, .most = 1 });
    (void)cnc_plan_add(plan, (struct cnc_group){ .role = CNC_ROLE_REFUSER, .accepts = true, .when = CNC_GROUP_GIVEN_UP,
                                                 .count = 1, .most = 1 });
    if (setup->ops->lends && !setup->ledger.pages && !cnc_ledger_open(&setup->ledger, (uint32_t)cfg->connections_max))
        return cnc_error_set(CONCUR_E_NOMEM, "out of memory: no ledger for %lld connections", (long long)cfg->connections_max);
    return CONCUR_OK;
}

/* Makes a new set-up and its plan. The generation that serves does not change, also if this fails. */
int cnc_tree_reload(void *arg, struct cnc_plan *plan)
{
    struct cnc_setup *setup;
    int rc = cnc_configure_again(arg, &setup);
    if (rc == CONCUR_OK && (rc = cnc_tree_plan(setup, plan)) < 0)
        cnc_setup_unref(&setup);
    if (rc == CONCUR_OK)
        cnc_server_log_notes(arg, setup);
    return rc;
}

void cnc_tree_serves(void *arg, void *setup, unsigned generation)
{
    concur_server *server = arg;
    cnc_setup_ref(setup);
    cnc_server_adopt(server, setup);
    cnc_board_set_serving(server->place.board, server->setup->cfg.engine, generation);
}

void cnc_tree_dropped(void *arg, void *setup_)
{
    struct cnc_setup *setup = setup_;
    (void)arg;
    cnc_setup_unref(&setup);
}
