/* SPDX-License-Identifier: MIT */
#ifndef TOOLS_WORKLOAD_INTERNAL_H
#define TOOLS_WORKLOAD_INTERNAL_H

#include "load/workload.h"

enum { WORKLOAD_DURATION_MS = 2000, WORKLOAD_WARMUP_MS = 300, WORKLOAD_TIMEOUT_MS = 5000 };

/* An enum workload_kind or -EINVAL. */
int workload_kind_parse(const char *name);

#endif
