/* SPDX-License-Identifier: MIT
 *
 * Notes for each thread of which server it is running a callback.
 */
#include "server/server.h"

static _Thread_local concur_server *inside;

concur_server *cnc_server_enter(concur_server *server)
{
    concur_server *before = inside;
    inside = server;
    return before;
}

void cnc_server_leave(concur_server *before)
{
    inside = before;
}

bool cnc_server_is_inside(const concur_server *server)
{
    return inside == server;
}
