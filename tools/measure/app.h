/* SPDX-License-Identifier: MIT
 *
 * The program that is measured. It is configured by its environment, found by its listening sockets, and stopped with
 * all of its processes.
 */
#ifndef TOOLS_APP_H
#define TOOLS_APP_H

#include <signal.h>

#include "load/load.h"
#include "measure/guard.h"
#include "measure/proctree.h"

struct app {
    struct guard guard;
    int log_fd; /* gets what the program prints */
    struct load_target target;
};

struct app_start {
    char *const *argv;
    const char *engine;
    const struct workload *workload; /* gives settings, and the request whose answer shows that the program serves */
    unsigned timeout_ms;
    const volatile sig_atomic_t *stop; /* optional; if it is not 0, the start is given up */
};

/* 0; -EINTR: it was given up; or another negative errno, and `error` has the last line that it printed. In case of an
 * error none of its processes is left. */
int app_start(struct app *a, const struct app_start *s, char *error, size_t error_len);
void app_stop(struct app *a);

/* "NAME=VALUE" for the environment, up to a NULL: engine, address, the workload's settings. NULL: out of memory. */
char **app_settings(const struct workload *w, const char *engine);
void app_settings_free(char **settings);
/* The value that the workload sets for an option on this engine; NULL: none. */
const char *app_setting(const struct workload *w, const char *engine, const char *option);
/* The first request of the workload; NULL: it has none. */
const struct workload_request *app_first_request(const struct workload *w);

#endif
