/* SPDX-License-Identifier: MIT
 *
 * Runs one load against a program, and samples its processes meanwhile.
 */
#ifndef TOOLS_MEASURE_H
#define TOOLS_MEASURE_H

#include "judge/compare.h"
#include "measure/app.h"

struct measure_request {
    struct app *app;
    const struct workload *workload;
    const char *engine;
    unsigned duration_ms, warmup_ms;
    bool may_kill;
    const volatile sig_atomic_t *stop;
    void (*on_tick)(double part, void *arg);
    void *arg;
};

/* 0, or a negative errno and a sentence in `error`. */
int measure(const struct measure_request *m, struct trial *out, char *error, size_t error_len);

#endif
