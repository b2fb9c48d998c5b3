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
/* Requests that are looked at alone, and how often. */
enum { COMPARE_REQUESTS_MAX = 8, COMPARE_LOOKS = 3 };

extern const char *const compare_engines[COMPARE_ENGINES];

struct percentiles {
    uint64_t count;                  /* 0: the rest is 0 */
    double p50, p90, p99, p999, max; /* ms */
};

/* One engine under one workload for one time. "An answer" is a good one. */
struct trial {
    double seconds;
    double offered; /* requests per second; 0: each connection asks as soon as it has its answer */
    double good;    /* answers per second, of the clients that ask again and again */
    struct load_counts counts;
    struct percentiles latency;
    double cpu_us;                       /* processor time of the server for an answer */
    double user_part;                    /* of that, in the program and not in the kernel; -1: too short to tell */
    double voluntary, involuntary;       /* context switches of the server for an answer, of threads that lived on */
    double cores;                        /* processors that the server kept busy */
    double idle_kib, peak_kib;           /* before the load; most under it */
    double connection_bytes;             /* memory for each idle connection; 0: there are none */
    double leak_bytes;                   /* memory grew steadily by this for each answer; 0: it did not */
    unsigned processes, threads, leaves; /* most seen at once; leaves: processes without children */
    unsigned deaths;                     /* processes that were seen to be gone, those killed by us included */
    unsigned kills;
    bool has_ended;    /* the program, before it was asked to */
    int status;        /* then: as of waitpid */
    double silence_ms; /* longest time without an answer */
    bool is_client_saturated;
    char why[160];
    double starved; /* fraction of the time in which client or server could run but had no processor; the larger one */
    double others; /* fraction of the machine that other programs used, 0 to 1 */
};

/* What came for a request that was sent alone. */
struct seen {
    int status; /* 0: no answer */
    uint64_t hash;
    char start[1024]; /* of the content, printable */
};

struct row {
    const char *engine;
    char problem[400]; /* why there is no more; "": none */
    struct trial runs[COMPARE_ROUNDS_MAX];
    size_t run_count;
    struct trial offered; /* at the rate that all have in common */
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
    FINDING_ENGINE, /* the tree of processes is not that of the engine */
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
    double common_rate; /* 0: none */
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
    /* NULL or: what is being done, and the part that is over. */
    void (*on_progress)(const char *what, double part, void *arg);
    void *arg;
};

/* 0 or -ENOMEM. What does not start or answer is in the rows. comparison_free() is due in either case. */
int compare_run(const struct compare_options *o, struct comparison *out);
void comparison_free(struct comparison *c);

/* Fills in what follows from the runs: medians, the best, ties, findings, noise. */
void judge(struct comparison *c);
/* With more noise than this, or more of the machine used by others, engines cannot be told apart. Fractions. */
#define NOISE_MAX 0.20
#define OTHERS_MAX 0.25
bool judge_is_too_noisy(const struct comparison *c);
/* The exit status of concur compare. */
enum judge_exit { JUDGE_COMPARED = 0, JUDGE_NOTHING = 1, JUDGE_USAGE = 2, JUDGE_STOPPED = 3, JUDGE_NOISY = 4 };
enum judge_exit judge_exit(const struct comparison *c);
const char *finding_name(enum finding_kind kind);
/* Everything that was not answered well. */
uint64_t trial_failures(const struct trial *r);

/* `repeat`: the command for one row, up to its workload and engine. */
void table_print(FILE *out, const struct comparison *c, const char *repeat);
void compare_json(FILE *out, const struct comparison *c);

#endif
