/* SPDX-License-Identifier: MIT */
#ifndef TOOLS_FINDINGS_H
#define TOOLS_FINDINGS_H

#include "judge/compare.h"

/* Adds findings as sentences. judge() has computed the medians of the rows. */
void find_findings(struct section *s);

#endif
