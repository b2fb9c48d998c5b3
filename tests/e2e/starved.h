/* SPDX-License-Identifier: MIT
 *
 * concur-demo under limits of the system (setrlimit), from its start or later, with what it prints.
 */
#ifndef E2E_STARVED_H
#define E2E_STARVED_H

#include <sys/resource.h>

#include "e2e/harness.h"

enum { RUN_TEXT_MAX = 65536, RUN_ARGS_MAX = 24 };

struct run {
    struct demo demo;
    int out; /* what it prints */
    char text[RUN_TEXT_MAX];
    size_t n;
};

/* In the child, before it becomes the demo. */
struct run_before {
    int what; /* RLIMIT_*; -1: no limit */
    rlim_t limit;
    int uid;  /* -1: as the test */
    int err;  /* a descriptor in the place of stderr; -1: as stdout */
};

/* With two workers, four threads, and further arguments, NULL at the end. */
void run_spawn(struct run *r, const char *engine, const struct run_before *before, ...) __attribute__((sentinel));
/* The port; 0: it has ended. */
unsigned run_await_port(struct run *r);
/* Reads until a line has the text, at most ms (scaled). */
bool run_said(struct run *r, const char *text, unsigned ms);
/* Its exit status, 128 + the signal's number if one ended it. */
int run_end(struct run *r);
/* SIGTERM. Status 0 is due, and no process has ended but sick ones, those that could not start, and killed by us. */
void run_stop(struct run *r);
/* Fails if a process was ended by a signal, but SIGKILL where that is allowed. */
void run_check_ends(const struct run *r, bool some_killed);

/* Of the demo and its descendants; those that are forked meanwhile inherit it. The hard limit stays. */
void demo_limit(const struct demo *d, int what, rlim_t n);
void demo_lift(const struct demo *d, int what);
void process_limit(pid_t pid, int what, rlim_t n);
/* Nothing happens, so nobody is to be at work: asserts the processor time of ms. */
void demo_expect_calm(const struct demo *d, unsigned ms, const char *what);

unsigned number_from(const char *name, unsigned usual); /* of the environment */
bool is_every(void); /* CONCUR_TEST_EVERY=1 */

#endif
