/* SPDX-License-Identifier: MIT
 *
 * The order of the runs. First one engine is measured against itself. Then, for each workload, the engines are measured
 * in turn, round by round; then each engine at the common rate; then those whose loop may be blocked with one
 * connection. Each run starts the program anew.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "judge/compare.h"
#include "measure/fetch.h"
#include "measure/measure.h"

enum {
    START_MS = 10000,
    LOOK_MS = 3000,
    ALONE_MS = 400,
    ALONE_WARMUP_MS = 50,
    CAPACITY_MS = 500,
    CAPACITY_CONNECTIONS = 64
};
enum { COMMON_MAX_MS = 2200, COMMON_ANSWERS = 110 };

const char *const compare_engines[COMPARE_ENGINES] = { "event",   "event-pool",     "thread",
                                                       "prefork", "process-thread", "process-event" };

/* The common rate is this fraction of the rate of the slowest engine. */
static const double common_part = 0.6;
/* A loop that used less than this fraction of a core at full load may be blocked. */
static const double loop_idle_below = 0.6;

struct runner {
    const struct compare_options *options;
    struct comparison *result;
    unsigned done, all; /* runs */
    char what[160];
};

static bool is_stopped(const struct runner *r)
{
    return r->options->stop && *r->options->stop;
}

static void on_tick(double part, void *arg)
{
    const struct runner *r = arg;
    const struct compare_options *o = r->options;
    if (o->on_progress)
        o->on_progress(r->what, (r->done + part) / (r->all ? r->all : 1), o->arg);
}

static unsigned duration_of(const struct runner *r, const struct workload *w)
{
    unsigned ms = r->options->seconds > 0 ? (unsigned)(r->options->seconds * 1000) : w->duration_ms;
    unsigned least = 2 * w->kill_worker_every_ms;
    return ms > least ? ms : least;
}

/* Answers to requests that are sent alone. */

static void remember(struct seen *seen, const struct answer *a)
{
    uint64_t hash = UINT64_C(14695981039346656037);
    size_t n = a->body_len < sizeof seen->start - 1 ? a->body_len : sizeof seen->start - 1;
    for (size_t i = 0; i < a->body_len; i++)
        hash = (hash ^ (unsigned char)a->body[i]) * UINT64_C(1099511628211);
    seen->status = a->status;
    seen->hash = hash;
    for (size_t i = 0; i < n; i++)
        seen->start[i] = a->body[i] >= ' ' && a->body[i] <= '~' ? a->body[i] : ' ';
    while (n && seen->start[n - 1] == ' ')
        n--;
    seen->start[n] = '\0';
}

/* Each request has its own connection, and all stay open until the last one. So on prefork each goes to another
 * worker. */
static void look_at(const struct app *app, const struct workload_request *request, struct seen *seen)
{
    int fds[COMPARE_LOOKS];
    for (int i = 0; i < COMPARE_LOOKS; i++) {
        struct answer a;
        if (fetch(&app->target, request, LOOK_MS, &a, &fds[i]) < 0)
            continue;
        remember(&seen[i], &a);
        answer_free(&a);
    }
    for (int i = 0; i < COMPARE_LOOKS; i++)
        if (fds[i] >= 0)
            close(fds[i]);
}

static void look(const struct app *app, const struct workload *w, struct row *row)
{
    size_t nth = 0;
    for (size_t g = 0; g < w->group_count; g++)
        for (size_t i = 0; i < w->groups[g].request_count && nth < COMPARE_REQUESTS_MAX; i++, nth++)
            look_at(app, &w->groups[g].requests[i], row->seen[nth]);
    row->has_seen = true;
}

/* One run. */

struct task {
    const struct workload *workload;
    struct row *row;
    unsigned duration_ms, warmup_ms;
    bool may_kill, looks;
};

static int run_once(struct runner *r, const struct task *t, struct trial *out)
{
    struct app app;
    struct app_start start = { .argv = r->options->app,
                               .engine = t->row->engine,
                               .workload = t->workload,
                               .timeout_ms = START_MS,
                               .stop = r->options->stop };
    struct measure_request q = { .app = &app,
                                 .workload = t->workload,
                                 .engine = t->row->engine,
                                 .duration_ms = t->duration_ms,
                                 .warmup_ms = t->warmup_ms,
                                 .may_kill = t->may_kill,
                                 .stop = r->options->stop,
                                 .on_tick = on_tick,
                                 .arg = r };
    char *problem = t->row->problem;
    char error[sizeof t->row->problem] = "";
    on_tick(0, r);
    int rc = app_start(&app, &start, error, sizeof error);
    if (rc == 0) {
        if (t->looks)
            look(&app, t->workload, t->row);
        rc = measure(&q, out, error, sizeof error);
        app_stop(&app);
    }
    r->done++;
    if (rc < 0 && rc != -EINTR)
        memcpy(problem, error, sizeof error);
    return is_stopped(r) ? -EINTR : rc;
}

/* Workloads are changed for a run, and restored afterwards. */

static struct workload *copy_of(const struct workload *w, struct workload *room, struct workload_group *groups)
{
    *room = *w;
    memcpy(groups, w->groups, w->group_count * sizeof *groups);
    room->groups = groups;
    return room;
}

static unsigned most_connections(const struct workload *w)
{
    unsigned sum = 0;
    for (size_t i = 0; i < w->group_count; i++)
        sum += workload_kind_is_active(w->groups[i].kind) ? w->groups[i].connections : 0;
    return sum;
}

static void limit_connections(struct workload *w, unsigned most)
{
    for (size_t i = 0; i < w->group_count; i++)
        if (workload_kind_is_active(w->groups[i].kind) && w->groups[i].connections > most)
            w->groups[i].connections = most;
}

/* The rate that the engine can reach: by arithmetic if the file allows it, else measured. */
static double capacity_of(struct runner *r, const struct workload *w, struct row *row)
{
    double theory = workload_theory(w, row->engine);
    struct workload_group *groups = theory > 0 ? NULL : calloc(w->group_count, sizeof *groups);
    struct workload room;
    struct trial run = { 0 };
    if (!groups)
        return theory;
    struct task t = {
        .workload = copy_of(w, &room, groups), .row = row, .duration_ms = CAPACITY_MS, .warmup_ms = w->warmup_ms
    };
    limit_connections(&room, CAPACITY_CONNECTIONS);
    r->all++;
    int rc = run_once(r, &t, &run);
    free(groups);
    return rc == 0 ? run.good : 0;
}

static int run_round(struct runner *r, struct section *s, struct row *row, double *capacity)
{
    const struct workload *w = s->workload;
    struct workload_group *groups = calloc(w->group_count, sizeof *groups);
    struct workload room;
    if (!groups)
        return -ENOMEM;
    struct task t = { .workload = copy_of(w, &room, groups),
                      .row = row,
                      .duration_ms = duration_of(r, w),
                      .warmup_ms = w->warmup_ms,
                      .may_kill = true,
                      .looks = !row->has_seen };
    if (w->overload > 0 && *capacity <= 0)
        *capacity = capacity_of(r, w, row);
    if (w->overload > 0)
        workload_set_rate(&room, *capacity * w->overload);
    int rc = *row->problem ? -EINVAL : run_once(r, &t, &row->runs[row->run_count]);
    row->run_count += rc == 0;
    free(groups);
    return rc;
}

static void run_rounds(struct runner *r, struct section *s)
{
    double capacity[COMPARE_ENGINES] = { 0 };
    for (unsigned round = 0; round < r->options->rounds; round++)
        for (size_t i = 0; i < s->row_count && !is_stopped(r); i++) {
            struct row *row = &s->rows[i];
            snprintf(r->what, sizeof r->what, "%.60s: %s, round %u of %u", s->workload->name, row->engine, round + 1,
                     r->options->rounds);
            if (*row->problem)
                r->done++;
            else
                run_round(r, s, row, &capacity[i]);
        }
}

/* The common rate. */

static double median_rate(const struct row *row)
{
    double rates[COMPARE_ROUNDS_MAX];
    for (size_t i = 0; i < row->run_count; i++)
        rates[i] = row->runs[i].good;
    return stats_median(rates, row->run_count);
}

/* Has the workload its own rate, or does it kill workers? Then latency is measured in the rounds. */
static bool has_own_rate(const struct workload *w)
{
    bool has = w->overload > 0 || w->kill_worker_every_ms;
    for (size_t i = 0; i < w->group_count; i++)
        has |= workload_kind_is_active(w->groups[i].kind) && w->groups[i].rate > 0;
    return has || most_connections(w) == 0;
}

static double slowest(const struct section *s)
{
    double least = 0;
    for (size_t i = 0; i < s->row_count; i++) {
        double rate = median_rate(&s->rows[i]);
        if (rate > 0 && (least <= 0 || rate < least))
            least = rate;
    }
    return least;
}

static void run_common(struct runner *r, struct section *s)
{
    const struct workload *w = s->workload;
    struct workload_group *groups = calloc(w->group_count, sizeof *groups);
    struct workload room;
    double rate = slowest(s) * common_part;
    unsigned duration = duration_of(r, w), enough = rate > 0 ? (unsigned)(COMMON_ANSWERS * 1000 / rate) : 0;
    enough = enough < COMMON_MAX_MS ? enough : COMMON_MAX_MS;
    s->common_rate = groups && !has_own_rate(w) ? rate : 0;
    for (size_t i = 0; s->common_rate > 0 && i < s->row_count && !is_stopped(r); i++) {
        struct row *row = &s->rows[i];
        struct task t = { .workload = copy_of(w, &room, groups),
                          .row = row,
                          .warmup_ms = w->warmup_ms,
                          .duration_ms = duration > enough ? duration : enough };
        workload_set_rate(&room, rate);
        snprintf(r->what, sizeof r->what, "%.60s: %s at %.0f/s", w->name, row->engine, rate);
        if (*row->problem)
            r->done++;
        else
            row->has_offered = run_once(r, &t, &row->offered) == 0;
    }
    if (s->common_rate <= 0)
        r->done += (unsigned)s->row_count;
    free(groups);
}

/* Loops that may be blocked. */

static bool may_stand_still(const struct row *row)
{
    static const char *const loops[] = { "event", "event-pool", "process-event" };
    bool is_loop = false;
    for (size_t i = 0; i < sizeof loops / sizeof *loops; i++)
        is_loop |= strcmp(row->engine, loops[i]) == 0;
    const struct trial *last = row->run_count ? &row->runs[row->run_count - 1] : NULL;
    return is_loop && last && last->good > 0 && !last->has_ended && last->leaves &&
           last->cores / last->leaves < loop_idle_below;
}

static void run_alone(struct runner *r, struct section *s)
{
    const struct workload *w = s->workload;
    struct workload_group *groups = calloc(w->group_count, sizeof *groups);
    struct workload room;
    for (size_t i = 0; groups && !has_own_rate(w) && i < s->row_count && !is_stopped(r); i++) {
        struct row *row = &s->rows[i];
        struct task t = {
            .workload = copy_of(w, &room, groups), .row = row, .duration_ms = ALONE_MS, .warmup_ms = ALONE_WARMUP_MS
        };
        if (*row->problem || !may_stand_still(row))
            continue;
        limit_connections(&room, 1);
        for (size_t g = 0; g < room.group_count; g++)
            room.groups[g].depth = 1;
        snprintf(r->what, sizeof r->what, "%.60s: %s, one connection", w->name, row->engine);
        r->all++;
        row->has_alone = run_once(r, &t, &row->alone) == 0;
    }
    free(groups);
}

/* The noise figure. */

/* False: this engine failed before all runs were done. */
static bool run_noise_of(struct runner *r, struct row *row)
{
    struct comparison *c = r->result;
    double capacity = 0;
    for (unsigned i = 0; i < 2 * r->options->rounds && !is_stopped(r); i++) {
        snprintf(r->what, sizeof r->what, "noise: %s against itself, %u of %u", row->engine, i + 1,
                 2 * r->options->rounds);
        row->run_count = 0;
        if (run_round(r, &c->sections[0], row, &capacity) < 0 || row->runs[0].has_ended || row->runs[0].good <= 0)
            return false;
        c->noise_rates[c->noise_count++] = row->runs[0].good;
    }
    return true;
}

/* Measures the noise with the first engine that works. */
static void run_noise(struct runner *r)
{
    struct comparison *c = r->result;
    struct section *s = &c->sections[0];
    bool is_done = false;
    c->noise_workload = s->workload->name;
    for (size_t i = 0; !is_done && i < s->row_count && !is_stopped(r); i++) {
        struct row *row = calloc(1, sizeof *row);
        if (!row)
            return;
        row->engine = c->noise_engine = s->rows[i].engine;
        c->noise_count = 0;
        is_done = run_noise_of(r, row);
        memcpy(s->rows[i].problem, row->problem, sizeof row->problem); /* so that it is not tried again */
        free(row);
    }
    c->noise_count = is_done || is_stopped(r) ? c->noise_count : 0;
    r->done = 2 * r->options->rounds;
}

static void init_section(struct section *s, const struct compare_options *o, size_t nth)
{
    s->workload = o->workloads[nth];
    s->given = o->given[nth];
    s->row_count = o->engine_count;
    for (size_t i = 0; i < o->engine_count; i++)
        s->rows[i].engine = o->engines[i];
}

int compare_run(const struct compare_options *o, struct comparison *out)
{
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    *out =
        (struct comparison){ .sections = calloc(o->workload_count, sizeof *out->sections), .cores = (unsigned)cores };
    struct runner r = { .options = o, .result = out };
    if (!out->sections)
        return -ENOMEM;
    out->section_count = o->workload_count;
    for (size_t i = 0; i < o->workload_count; i++)
        init_section(&out->sections[i], o, i);
    r.all = 2 * o->rounds + (unsigned)(o->workload_count * o->engine_count) * (o->rounds + 1);
    run_noise(&r);
    for (size_t i = 0; i < out->section_count && !is_stopped(&r); i++) {
        run_rounds(&r, &out->sections[i]);
        run_common(&r, &out->sections[i]);
        run_alone(&r, &out->sections[i]);
    }
    out->was_stopped = is_stopped(&r);
    return 0;
}

void comparison_free(struct comparison *c)
{
    free(c->sections);
    *c = (struct comparison){ 0 };
}
