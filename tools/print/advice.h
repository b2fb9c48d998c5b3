/* SPDX-License-Identifier: MIT
 *
 * Which engine to take, by what was measured.
 */
#ifndef TOOLS_ADVICE_H
#define TOOLS_ADVICE_H

#include "judge/compare.h"

enum { ADVICE_SETTINGS_MAX = 64 };

struct advice {
    const char *engine; /* NULL: none has served */
    double score;       /* geometric mean of its good/s to that of the best, over the workloads */
    struct workload_setting settings[ADVICE_SETTINGS_MAX]; /* borrowed from the workloads; engine is NULL */
    size_t setting_count;
};

void advice_make(struct advice *a, const struct comparison *c);
/* A configuration file with it, that the program can read. */
void advice_write(FILE *out, const struct comparison *c);

#endif
