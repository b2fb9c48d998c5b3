/* SPDX-License-Identifier: MIT
 *
 * The program under test: started by its environment alone, found by its listening socket, stopped without a rest.
 */
#ifndef TOOLS_APP_H
#define TOOLS_APP_H

#include <signal.h>

#include "load/load.h"
#include "measure/guard.h"
#include "measure/proctree.h"

struct app {
    struct guard guard;
    int log_fd; /* what it has printed */
    struct load_target target;
};

struct app_start {
    char *const *argv;
    const char *engine;
    const struct workload *workload; /* its settings, and its first request: an answer to it says that it serves */
    unsigned timeout_ms;
    const volatile sig_atomic_t *stop; /* NULL or: not 0 gives up */
};

/* 0, -EINTR when it gave up, or another negative errno: then nothing is left of it, and `error` has its last words. */
int app_start(struct app *a, const struct app_start *s, char *error, size_t error_len);
void app_stop(struct app *a);

/* "NAME=VALUE" for the environment, up to NULL: engine, address, the workload's settings. NULL: out of memory. */
char **app_settings(const struct workload *w, const char *engine);
void app_settings_free(char **settings);
/* The option's value that the workload wishes for the engine; NULL: none. */
const char *app_setting(const struct workload *w, const char *engine, const char *option);
/* The first request of the workload; NULL: it has none. */
const struct workload_request *app_first_request(const struct workload *w);

#endif
