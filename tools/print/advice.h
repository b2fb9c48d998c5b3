/* SPDX-License-Identifier: MIT
 *
 * The engine that is advised by the measurements.
 */
#ifndef TOOLS_ADVICE_H
#define TOOLS_ADVICE_H

#include "judge/compare.h"

enum { ADVICE_SETTINGS_MAX = 64 };

struct advice {
    const char *engine; /* NULL: none has served */
    double score;       /* geometric mean, over the workloads, of its good/s divided by the best engine's */
    struct workload_setting settings[ADVICE_SETTINGS_MAX]; /* borrowed from the workloads; engine is NULL */
    size_t setting_count;
};

void advice_make(struct advice *a, const struct comparison *c);
/* Writes a configuration file with the advised engine and its settings. */
void advice_write(FILE *out, const struct comparison *c);

#endif
