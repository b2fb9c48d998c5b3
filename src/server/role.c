/* SPDX-License-Identifier: MIT */
#include "server/role.h"

const char *cnc_role_name(int role)
{
    static const char *const names[CNC_ROLES] = { [CNC_ROLE_WORKER] = "worker",
                                                  [CNC_ROLE_FRONT] = "front",
                                                  [CNC_ROLE_REFUSER] = "helper",
                                                  [CNC_ROLE_HEADS] = "heads" };
    return role >= 0 && role < CNC_ROLES ? names[role] : "?";
}
