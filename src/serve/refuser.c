/* SPDX-License-Identifier: MIT
 *
 * The process that serves when no workers can be started: a loop that answers 503 with Retry-After to every request, so that
 * clients and load balancers do not wait in vain.
 */
#include "serve/refuser.h"

#include "serve/looped.h"

static int refuser_answer(struct cnc_conn *conn, const struct cnc_http_head *head, const char *bytes)
{
    (void)conn;
    (void)head;
    (void)bytes;
    return 503;
}

static int refuser_open(concur_server *server)
{
    return cnc_looped_open_with(server, refuser_answer);
}

const struct cnc_role cnc_role_refuser = {
    .name = "refuser",
    .open = refuser_open,
    .run = cnc_looped_run,
    .stats = cnc_looped_stats,
    .close = cnc_looped_close,
};
