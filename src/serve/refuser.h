/* SPDX-License-Identifier: MIT */
#ifndef CNC_REFUSER_H
#define CNC_REFUSER_H

#include "server/role.h"

/* Answers 503 to everybody when no worker can be started. */
extern const struct cnc_role cnc_role_refuser;

#endif
