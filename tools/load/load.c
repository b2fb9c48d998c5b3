/* SPDX-License-Identifier: MIT */
#include "load/load.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include "load/verdict.h"
#include "load/worker.h"

enum { MS = 1000000, LOOK_NS = 10 * MS, TICK_NS = 100 * MS, THREADS_MAX = 256 };

static const char *const outcome_names[LOAD_OUTCOMES] = {
    [LOAD_GOOD] = "good",
    [LOAD_WRONG] = "wrong",
    [LOAD_GARBLED] = "garbled",
    [LOAD_OTHER_1XX] = "1xx",
    [LOAD_OTHER_2XX] = "2xx",
    [LOAD_OTHER_3XX] = "3xx",
    [LOAD_OTHER_4XX] = "4xx",
    [LOAD_OTHER_5XX] = "5xx",
    [LOAD_BAD_GATEWAY] = "502",
    [LOAD_UNAVAILABLE] = "503",
    [LOAD_TIMEOUT] = "timeout",
    [LOAD_RESET] = "reset",
    [LOAD_CLOSED_EARLY] = "closed_early",
    [LOAD_CONNECT_FAILED] = "connect_failed",
};

const char *load_outcome_name(enum load_outcome outcome)
{
    return outcome_names[outcome];
}

uint64_t load_failures(const struct load_counts *c)
{
    uint64_t sum = 0;
    for (int i = 0; i < LOAD_OUTCOMES; i++)
        sum += i != LOAD_GOOD ? c->of[i] : 0;
    return sum;
}

static unsigned connections_of(const struct workload *w)
{
    unsigned sum = 0;
    for (size_t i = 0; i < w->group_count; i++)
        sum += w->groups[i].connections;
    return sum;
}

unsigned load_descriptors(const struct workload *w, unsigned threads)
{
    return connections_of(w) + 2 * (threads ? threads : 1) + 32;
}

/* The data of a run, on the stack of load_run(). */
struct load {
    struct run run;
    struct worker *workers; /* owned */
    unsigned worker_count, started;
    bool stopped;
    char *error;
    size_t error_len;
};

static int fail(struct load *l, int rc, const char *what)
{
    snprintf(l->error, l->error_len, "%s: %s", what, strerror(-rc));
    return rc;
}

static int check_limit(struct load *l, const struct workload *w)
{
    struct rlimit limit;
    unsigned need = load_descriptors(w, l->worker_count);
    if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur >= need)
        return 0;
    snprintf(l->error, l->error_len, "%u connections need %u open files, but the limit is %llu (ulimit -n)",
             connections_of(w), need, (unsigned long long)limit.rlim_cur);
    return -EMFILE;
}

static void set_times(struct run *run)
{
    const struct load_options *o = run->options;
    unsigned duration = o->duration_ms ? o->duration_ms : o->workload->duration_ms;
    unsigned warmup = o->duration_ms ? o->warmup_ms : o->workload->warmup_ms;
    run->started_at = clock_now();
    run->began_at = run->started_at + (int64_t)warmup * MS;
    run->ended_at = run->began_at + (int64_t)duration * MS;
    run->slice_count = (duration + LOAD_SLICE_MS - 1) / LOAD_SLICE_MS;
}

static int make_plans(struct load *l, const struct workload *w)
{
    l->run.plans = calloc(w->group_count, sizeof *l->run.plans);
    if (!l->run.plans)
        return fail(l, -ENOMEM, "load");
    for (size_t i = 0; i < w->group_count; i++) {
        int rc = plan_init(&l->run.plans[l->run.plan_count++], w, &w->groups[i], l->run.options->target->host);
        if (rc < 0)
            return fail(l, rc, "load");
    }
    return 0;
}

static int make_workers(struct load *l)
{
    unsigned n = l->worker_count;
    l->workers = calloc(n, sizeof *l->workers);
    l->worker_count = 0;
    if (!l->workers)
        return fail(l, -ENOMEM, "load");
    set_times(&l->run);
    while (l->worker_count < n) {
        int rc = worker_init(&l->workers[l->worker_count], &l->run, l->worker_count, n);
        l->worker_count++;
        if (rc < 0)
            return fail(l, rc, "load");
    }
    return 0;
}

static void end_now(struct load *l)
{
    int64_t now = clock_now();
    l->stopped = true;
    if (now < l->run.ended_at)
        atomic_store(&l->run.ended_at, now);
    atomic_store(&l->run.abandoned, true);
}

static int start_threads(struct load *l)
{
    sigset_t all, before;
    int rc = 0;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    for (; rc == 0 && l->started < l->worker_count; l->started += rc == 0)
        rc = -pthread_create(&l->workers[l->started].thread, NULL, worker_main, &l->workers[l->started]);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (rc == 0)
        return 0;
    end_now(l);
    return fail(l, rc, "a thread");
}

static bool are_done(const struct load *l)
{
    for (unsigned i = 0; i < l->started; i++)
        if (!atomic_load(&l->workers[i].done))
            return false;
    return true;
}

static bool is_to_stop(const struct load *l, int64_t *tick_at)
{
    const struct load_options *o = l->run.options;
    int64_t now = clock_now();
    if (o->stop && *o->stop)
        return true;
    if (!o->on_tick || now < *tick_at)
        return false;
    int64_t whole = l->run.ended_at - l->run.started_at;
    double part = (double)(now - l->run.started_at) / (double)whole;
    *tick_at = now + TICK_NS;
    return o->on_tick(part > 1 ? 1 : part, o->arg) != 0;
}

static void wait_for_threads(struct load *l)
{
    const struct timespec look = { 0, LOOK_NS };
    int64_t tick_at = 0;
    while (!are_done(l)) {
        if (!l->stopped && is_to_stop(l, &tick_at))
            end_now(l);
        clock_nanosleep(CLOCK_MONOTONIC, 0, &look, NULL);
    }
    for (unsigned i = 0; i < l->started; i++)
        pthread_join(l->workers[i].thread, NULL);
}

/* Adds up the counts of the threads. */

static void add_counts(struct load_counts *into, const struct load_counts *from)
{
    for (int i = 0; i < LOAD_OUTCOMES; i++)
        into->of[i] += from->of[i];
    into->without_retry_after += from->without_retry_after;
    into->sent += from->sent;
    into->unsent += from->unsent;
    into->unfinished += from->unfinished;
    into->connects += from->connects;
    into->idle_closed += from->idle_closed;
    into->bytes_in += from->bytes_in;
    into->bytes_out += from->bytes_out;
    into->came += from->came;
}

static void add_part(struct load_part *into, const struct load_part *from)
{
    add_counts(&into->counts, &from->counts);
    histogram_merge(&into->latency, &from->latency);
    histogram_merge(&into->service, &from->service);
    into->open += from->open;
}

static void add_usage(struct load_result *r, const struct worker *w)
{
    const struct usage *a = &w->usage[0], *b = &w->usage[1];
    double time = (double)(b->at - a->at) / 1e9;
    double user = b->user - a->user, system = b->system - a->system;
    r->cpu_user += user;
    r->cpu_system += system;
    double busy = time > 0 ? (user + system) / time : 0, starved = time > 0 ? (b->waited - a->waited) / time : 0;
    if (busy + starved > r->busiest + r->starved) {
        r->busiest = busy;
        r->starved = starved;
    }
}

static void add_worker(struct load_result *r, const struct worker *w)
{
    for (size_t i = 0; i < r->group_count; i++) {
        add_part(&r->groups[i], &w->parts[i]);
        add_part(&r->total, &w->parts[i]);
    }
    for (size_t i = 0; i < r->slice_count; i++) {
        r->good_by_slice[i] += w->good_by_slice[i];
        r->bad_by_slice[i] += w->bad_by_slice[i];
    }
    histogram_merge(&r->lateness, &w->lateness);
    add_usage(r, w);
}

static struct load_result *make_result(const struct load *l)
{
    const struct run *run = &l->run;
    const struct workload *w = run->options->workload;
    struct load_result *r = calloc(1, sizeof *r);
    if (!r)
        return NULL;
    r->groups = calloc(w->group_count, sizeof *r->groups);
    r->good_by_slice = calloc(run->slice_count, sizeof *r->good_by_slice);
    r->bad_by_slice = calloc(run->slice_count, sizeof *r->bad_by_slice);
    if (!r->groups || !r->good_by_slice || !r->bad_by_slice) {
        load_result_free(&r);
        return NULL;
    }
    int64_t length = run->ended_at - run->began_at, slice = (int64_t)LOAD_SLICE_MS * MS;
    r->began_at = run->began_at;
    r->ended_at = run->ended_at;
    r->seconds = length > 0 ? (double)length / 1e9 : 0;
    r->slice_count = length > 0 ? (size_t)((length + slice - 1) / slice) : 0;
    r->stopped = l->stopped;
    r->threads = l->worker_count;
    r->group_count = w->group_count;
    for (size_t i = 0; i < w->group_count; i++)
        r->groups[i].name = w->groups[i].name;
    for (unsigned i = 0; i < l->worker_count; i++)
        add_worker(r, &l->workers[i]);
    verdict_on(r);
    return r;
}

void load_result_free(struct load_result **rp)
{
    struct load_result *r = *rp;
    *rp = NULL;
    if (!r)
        return;
    free(r->groups);
    free(r->good_by_slice);
    free(r->bad_by_slice);
    free(r);
}

static void deinit(struct load *l)
{
    for (unsigned i = 0; l->workers && i < l->worker_count; i++)
        worker_deinit(&l->workers[i]);
    for (size_t i = 0; i < l->run.plan_count; i++)
        plan_deinit(&l->run.plans[i]);
    free(l->workers);
    free(l->run.plans);
}

static unsigned thread_count(const struct load_options *o)
{
    unsigned most = connections_of(o->workload), n = o->threads ? o->threads : 1;
    most = most < THREADS_MAX ? most : THREADS_MAX;
    return n < most ? n : most;
}

int load_run(const struct load_options *o, struct load_result **out, char *error, size_t error_len)
{
    struct load l = { .run = { .options = o }, .worker_count = thread_count(o), .error = error, .error_len = error_len };
    *out = NULL;
    int rc = check_limit(&l, o->workload);
    if (rc == 0)
        rc = make_plans(&l, o->workload);
    if (rc == 0)
        rc = make_workers(&l);
    if (rc == 0) {
        rc = start_threads(&l);
        wait_for_threads(&l);
    }
    if (rc == 0 && !(*out = make_result(&l)))
        rc = fail(&l, -ENOMEM, "load");
    deinit(&l);
    return rc;
}
