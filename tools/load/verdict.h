/* SPDX-License-Identifier: MIT */
#ifndef TOOLS_VERDICT_H
#define TOOLS_VERDICT_H

#include "load/load.h"

/* Sets `saturated` and `why` from the measurements of the client itself. */
void verdict_on(struct load_result *r);

#endif
