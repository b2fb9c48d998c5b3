/* SPDX-License-Identifier: MIT
 *
 * concur-demo as a child process, on each engine that this build has. Every wait has a deadline; whatever fails, fails
 * the test, and the child dies with the test's process.
 *
 * Environment:
 *   CONCUR_DEMO        the program to drive, instead of the one that was built along
 *   CONCUR_TEST_SLOW   factor for every deadline; 5 in sanitizer builds, else 1
 *   CONCUR_TEST_QUICK  when set, fewer connections
 *   CONCUR_TEST_ENGINES  such as event,thread: no other engine is tested
 *   CONCUR_TEST_JOBS   how many engines are tested at the same time, where that is done; 1: all in one process
 */
#ifndef E2E_HARNESS_H
#define E2E_HARNESS_H

#include <check.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

enum { ENGINES_MAX = 6 };

struct demo {
    const char *engine;
    pid_t pid;
    unsigned port;
    int out; /* the child's standard output */
};

/* The engines of this build, in the order of the enum. A variant is an engine with or without a pool: each takes
 * another way for blocking routes and offloaded work. */
int engine_count(void);
const char *engine_name(int i);
int variant_count(void);
const char *variant_engine(int i);
const char *variant_pool(int i); /* for --pool: "0" or "4" */

/* What tests have to know of an engine. */
bool has_loop(const char *engine);    /* handlers run on a loop: without a pool, one that blocks stalls those beside it */
bool has_threads(const char *engine); /* each request in flight has one of --threads */
bool has_workers(const char *engine); /* several processes serve, under a master */
bool is_one_connection_a_worker(const char *engine); /* who holds a connection holds a process */
/* For --workers: n connections are to be held at once, but no more than that where each takes a process. */
const char *workers_for(const char *engine, unsigned n);
/* Processes that serve when nothing else was said at demo_start(). */
int workers_usually(const char *engine);

/* For messages: "", or which demo of this process has ended, and how. */
const char *demo_end(void);

/* Runs the suite that add() fills, each test in a process of its own. argv may name engines that must be there. The
 * time limit of each test case is seconds, scaled. Returns main's exit status. */
int e2e_main(const char *name, void (*add)(Suite *s), int argc, char **argv);
/* The same, but each engine has a process that runs the suite for it alone, some of them at the same time. For suites
 * that do not compare engines. */
int e2e_main_apart(const char *name, void (*add)(Suite *s), int argc, char **argv);
TCase *e2e_case(Suite *s, const char *name, unsigned seconds);

const char *demo_program(void);
/* Starts the demo on a free port of 127.0.0.1 with workers_usually(); further arguments, NULL at the end, overrule that.
 * Returns when it accepts. */
void demo_start(struct demo *d, const char *engine, ...) __attribute__((sentinel));
/* The same with a configuration file that names the engine, so that a reload may name another one. */
void demo_start_from(struct demo *d, const char *engine, const char *config, ...) __attribute__((sentinel));
/* The same, and the file says where to listen. */
void demo_start_file(struct demo *d, const char *engine, const char *config, ...) __attribute__((sentinel));
/* Reads what the demo prints with --events until a line has the text; fails after ms (scaled). */
void demo_await_event(struct demo *d, const char *text, unsigned ms);
/* SIGTERM; fails unless the demo ends within ms (scaled) with status 0. */
void demo_stop(struct demo *d, unsigned ms);
void demo_signal(const struct demo *d, int number);
/* The exit status, 128 + the signal's number if one ended it. Fails if the demo has not ended within ms (scaled). */
int demo_wait(struct demo *d, unsigned ms);
bool demo_is_alive(const struct demo *d);
void process_limit_files(pid_t pid, unsigned n);
/* Leaves it so many numbers that it does not use, the lowest. */
void process_leave_files(pid_t pid, unsigned n);
/* Of the demo, its descendants, and those that it starts from now on. */
void demo_limit_files(const struct demo *d, unsigned n);

/* The demo and its descendants that live, parents first; how many. At most max are told. */
int demo_pids(const struct demo *d, pid_t *out, int max);
/* Kills one of them. Returns when all of its threads have ended, within ms (scaled): until then it holds its descriptors. */
void demo_kill_process(pid_t pid, unsigned ms);
/* One that has ended does not, whoever has still to wait for it. */
bool process_lives(pid_t pid);
long process_count_files(pid_t pid);
/* How many of them have at least n descriptors. */
int demo_count_with_files(const struct demo *d, long n);
/* Of all of them. */
long demo_memory_kib(const struct demo *d);
long demo_threads(const struct demo *d);
long demo_files(const struct demo *d);
long demo_cpu_ms(const struct demo *d);
long demo_faults(const struct demo *d); /* pages that they took, without I/O */

bool is_sanitized(void);
bool is_quick(void);        /* asked for, or sanitized */
bool takes_all_offsets(void); /* not quick, or asked for: clients leave at every byte, not at some that a seed draws */
unsigned slow(unsigned ms); /* scaled */
int64_t now_ms(void);       /* monotonic */
void nap_ms(unsigned ms);   /* between two looks at something that is waited for */
uint64_t random_next(uint64_t *state);

#endif
