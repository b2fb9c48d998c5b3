/* SPDX-License-Identifier: MIT */
#ifndef CNC_REFUSER_H
#define CNC_REFUSER_H

#include "server/role.h"

/* Answers 503 to everybody, in the place of workers that cannot be had. */
extern const struct cnc_role cnc_role_refuser;

#endif
