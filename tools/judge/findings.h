/* SPDX-License-Identifier: MIT */
#ifndef TOOLS_FINDINGS_H
#define TOOLS_FINDINGS_H

#include "judge/compare.h"

/* Says in words what stands out; rows are summarized. */
void find_findings(struct section *s);

#endif
