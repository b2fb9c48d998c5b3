/* SPDX-License-Identifier: MIT
 *
 * The results of a comparison: workloads, engines, rounds. runner.c measures and fills it in, judge.c adds medians and
 * findings; table.c, compare_json.c and advice.c only read it. Memory is in KiB (PSS); names of times have their unit.
 */
#ifndef TOOLS_COMPARE_H
#define TOOLS_COMPARE_H

#include <signal.h>
#include <stdio.h>

#include "judge/stats.h"
#include "load/load.h"

enum { COMPARE_ENGINES = 6, COMPARE_ROUNDS_MAX = 20, COMPARE_FINDINGS_MAX = 64 };
/* How many requests are sent alone to compare their answers, and how often each. */
enum { COMPARE_REQUESTS_MAX = 8, COMPARE_LOOKS = 3 };

extern const char *const compare_engines[COMPARE_ENGINES];

struct percentiles {
    uint64_t count;                  /* 0: the rest is 0 */
    double p50, p90, p99, p999, max; /* ms */
};

/* One engine under one workload for one period. "Answer" means a good answer. */
struct trial {
    double seconds;
    double offered; /* requests per second; 0: a connection sends the next request when it has its answer */
    double good;    /* answers per second of the clients that send requests all the time */
    struct load_counts counts;
    struct percentiles latency;
    double cpu_us;                       /* processor time of the server for each answer */
    double user_part;                    /* fraction of that outside the kernel; -1: the time was too short to know */
    double voluntary, involuntary;       /* context switches for each answer, in threads that have not ended */
    double cores;                        /* processors that the server kept busy */
    double idle_kib, peak_kib;           /* before the load; the highest under it */
    double connection_bytes;             /* memory for each idle connection; 0: there are none */
    double leak_bytes;                   /* bytes by which memory grew steadily for each answer; 0: it did not */
    unsigned processes, threads, leaves; /* the most that existed at once; leaves: processes without children */
    unsigned deaths;                     /* processes that have ended, those that were killed included */
    unsigned kills;
    bool has_ended;    /* the program has ended before it was asked to */
    int status;        /* then its status, as of waitpid */
    double silence_ms; /* longest time without an answer */
    bool is_client_saturated;
    char why[160];
    double starved; /* fraction of the time in which client or server could run but had no processor; the larger one */
    double others; /* fraction of the machine that other programs used, 0 to 1 */
};

/* The answer to a request that was sent alone. */
struct seen {
    int status; /* 0: no answer */
    uint64_t hash;
    char start[1024]; /* of the content, printable */
};

struct row {
    const char *engine;
    char problem[400]; /* why the engine could not be measured any more; "": it could */
    struct trial runs[COMPARE_ROUNDS_MAX];
    size_t run_count;
    struct trial offered; /* at the common rate */
    bool has_offered;
    struct trial alone; /* one connection */
    bool has_alone;
    struct seen seen[COMPARE_REQUESTS_MAX][COMPARE_LOOKS];
    bool has_seen;
    /* By judge.c. */
    struct summary rate;
    struct trial typical; /* medians, counts added up */
    double theory;
    bool is_best, is_tied;
};

enum finding_kind {
    FINDING_NOT_STARTED,
    FINDING_ENGINE, /* the processes and threads are not those of the engine */
    FINDING_WRONG,
    FINDING_DIFFERS,
    FINDING_STALL,
    FINDING_CPU,
    FINDING_LEAK,
    FINDING_CRASH,
    FINDING_BEHIND, /* did not keep up with the common rate */
    FINDING_CLIENT,
    FINDING_KINDS
};

struct finding {
    enum finding_kind kind;
    const char *engine; /* NULL: several */
    char text[420];
};

struct section {
    const struct workload *workload;
    const char *given; /* how the user called it */
    struct row rows[COMPARE_ENGINES];
    size_t row_count;
    double common_rate; /* requests per second at which latency is measured on all engines; 0: none */
    struct finding findings[COMPARE_FINDINGS_MAX];
    size_t finding_count;
};

struct comparison {
    struct section *sections; /* owned */
    size_t section_count;
    unsigned cores;
    const char *noise_engine, *noise_workload;
    double noise_rates[2 * COMPARE_ROUNDS_MAX];
    size_t noise_count;
    double noise;  /* by judge.c, as is `others`; NOISE_MAX when no engine could be measured against itself */
    double others; /* median */
    bool was_stopped;
};

struct compare_options {
    char *const *app;
    struct workload **workloads;
    const char *const *given; /* how the user called each */
    size_t workload_count;
    const char *engines[COMPARE_ENGINES];
    size_t engine_count;
    unsigned rounds;
    double seconds; /* 0: as the workload says */
    const volatile sig_atomic_t *stop;
    /* Optional. what: the present run; part: how much of the whole is done, 0 to 1. */
    void (*on_progress)(const char *what, double part, void *arg);
    void *arg;
};

/* 0 or -ENOMEM. Engines that do not start or answer are noted in their rows. comparison_free() must follow in both
 * cases. */
int compare_run(const struct compare_options *o, struct comparison *out);
void comparison_free(struct comparison *c);

/* Computes medians, the best engine, ties, findings and the noise from the runs. */
void judge(struct comparison *c);
/* With more noise, or if other programs used more of the machine, engines cannot be compared. Fractions. */
#define NOISE_MAX 0.20
#define OTHERS_MAX 0.25
bool judge_is_too_noisy(const struct comparison *c);
/* The exit status of concur compare. */
enum judge_exit { JUDGE_COMPARED = 0, JUDGE_NOTHING = 1, JUDGE_USAGE = 2, JUDGE_STOPPED = 3, JUDGE_NOISY = 4 };
enum judge_exit judge_exit(const struct comparison *c);
const char *finding_name(enum finding_kind kind);
/* Requests without a good answer. */
uint64_t trial_failures(const struct trial *r);

/* `repeat`: the command for one row, up to its workload and engine. */
void table_print(FILE *out, const struct comparison *c, const char *repeat);
void compare_json(FILE *out, const struct comparison *c);

#endif
