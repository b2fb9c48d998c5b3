/* SPDX-License-Identifier: MIT */
#include "measure/measure.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "load/worker.h"

enum { MEMORY_POINTS = 3, TICKS_MIN = 10 };

/* Memory is read at these fractions of the measured time, since reading it often costs too much. */
static const double memory_at[MEMORY_POINTS] = { 0, 0.45, 0.8 };

/* Less growth is not reported as a leak: bytes for each answer, KiB in all. */
static const double leak_from = 400, leak_growth_from = 256;

struct sample {
    int64_t at;
    struct process sum;
    double self, busy, all; /* processor time of this process; used on the machine; available on it */
};

struct measuring {
    const struct measure_request *request;
    struct trial *run;
    struct proctree last; /* owned */
    struct sample begin, end;
    bool has_begun, has_end;
    struct {
        int64_t at;
        double anonymous, pss;
    } memory[MEMORY_POINTS];
    size_t memory_count;
    int64_t kill_at;
    unsigned turn;
};

static double own_cpu(void)
{
    struct rusage u;
    getrusage(RUSAGE_SELF, &u);
    return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) + (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}

/* Samples. */

/* Counts processes that have ended in the measured time. One that has started and ended between two samples is seen in
 * the parent's count of children that it has waited for. */
static void count_deaths(struct measuring *m, const struct proctree *now)
{
    unsigned gone = 0;
    bool has_buried = proctree_sum(now).buried_faults > proctree_sum(&m->last).buried_faults;
    for (size_t i = 0; i < m->last.count; i++)
        gone += !proctree_has(now, m->last.items[i].pid);
    if (m->has_begun)
        m->run->deaths += gone ? gone : has_buried;
}

static void keep_most(struct trial *r, const struct proctree *t, const struct process *sum)
{
    unsigned processes = (unsigned)t->count, leaves = (unsigned)proctree_leaves(t);
    r->processes = processes > r->processes ? processes : r->processes;
    r->leaves = leaves > r->leaves ? leaves : r->leaves;
    r->threads = sum->threads > r->threads ? sum->threads : r->threads;
    r->peak_kib = (double)sum->pss > r->peak_kib ? (double)sum->pss : r->peak_kib;
}

static void take_sample(struct measuring *m, unsigned what, struct sample *out)
{
    struct proctree tree;
    proctree_read(&tree, "/proc", m->request->app->guard.program, what);
    count_deaths(m, &tree);
    *out = (struct sample){ .at = clock_now(), .sum = proctree_sum(&tree), .self = own_cpu() };
    proctree_machine("/proc", &out->busy, &out->all);
    keep_most(m->run, &tree, &out->sum);
    proctree_free(&m->last);
    m->last = tree;
}

static void remember_memory(struct measuring *m, const struct sample *s)
{
    m->memory[m->memory_count].at = s->at;
    m->memory[m->memory_count].anonymous = (double)s->sum.pss_anonymous;
    m->memory[m->memory_count++].pss = (double)s->sum.pss;
}

static void sample_at(struct measuring *m, double part)
{
    bool wants_memory = m->memory_count < MEMORY_POINTS && part >= memory_at[m->memory_count];
    take_sample(m, PROCTREE_SWITCHES | (wants_memory ? PROCTREE_MEMORY : 0), &m->end);
    if (wants_memory)
        remember_memory(m, &m->end);
    if (!m->has_begun)
        m->begin = m->end;
    else
        m->has_end = true;
    m->has_begun = true;
}

/* Kills a worker: not the root, and not the front of process-thread, which has only one thread. */
static void kill_a_worker(struct measuring *m)
{
    const struct process *all = m->last.items, *victim = NULL;
    unsigned most = 0, nth = 0, count = 0;
    for (size_t i = 1; i < m->last.count; i++)
        most = all[i].is_leaf && all[i].threads > most ? all[i].threads : most;
    for (size_t i = 1; i < m->last.count; i++)
        count += all[i].is_leaf && all[i].threads == most;
    for (size_t i = 1; !victim && i < m->last.count; i++)
        if (all[i].is_leaf && all[i].threads == most && nth++ == m->turn % count)
            victim = &all[i];
    if (victim && kill(victim->pid, SIGKILL) == 0)
        m->run->kills++;
    m->turn++;
}

static void kill_when_due(struct measuring *m)
{
    unsigned every = m->request->workload->kill_worker_every_ms;
    int64_t now = clock_now();
    if (!every || !m->request->may_kill)
        return;
    if (m->kill_at && now >= m->kill_at)
        kill_a_worker(m);
    if (!m->kill_at || now >= m->kill_at)
        m->kill_at = now + (int64_t)every * 1000000 / (m->kill_at ? 1 : 2);
}

static int on_tick(double part, void *arg)
{
    struct measuring *m = arg;
    const struct measure_request *q = m->request;
    double warm = (double)q->warmup_ms / (q->warmup_ms + q->duration_ms);
    if (part < warm)
        take_sample(m, 0, &m->end);
    if (part >= warm && part < 1) {
        sample_at(m, (part - warm) / (1 - warm));
        kill_when_due(m);
    }
    guard_has_ended(&q->app->guard);
    if (q->on_tick)
        q->on_tick(part, q->arg);
    return 0;
}

/* Results of the samples. */

/* The kernel divides the time into user and system in ticks. With only a few ticks the result is not known. */
static double user_part(const struct process *a, const struct process *b)
{
    double user = b->user - a->user, system = b->system - a->system;
    if (user < 0 || system < 0 || user + system < TICKS_MIN / (double)sysconf(_SC_CLK_TCK))
        return -1;
    return user / (user + system);
}

static void set_use(struct measuring *m, double cpu, double seconds)
{
    struct trial *r = m->run;
    double machine = m->end.all - m->begin.all;
    double waited = (m->end.sum.waited - m->begin.sum.waited) / seconds;
    r->cores = cpu / seconds;
    r->starved = waited > r->starved ? waited : r->starved;
    if (machine > 0)
        r->others = (m->end.busy - m->begin.busy - cpu - (m->end.self - m->begin.self)) / machine;
    r->others = r->others > 0 ? r->others : 0;
}

static void set_cost(struct measuring *m)
{
    struct trial *r = m->run;
    const struct process *a = &m->begin.sum, *b = &m->end.sum;
    double seconds = (double)(m->end.at - m->begin.at) / 1e9, answers = r->good * seconds;
    double cpu = b->cpu - a->cpu + b->buried - a->buried;
    cpu = cpu > 0 ? cpu : 0;
    r->user_part = user_part(a, b);
    if (seconds > 0)
        set_use(m, cpu, seconds);
    if (answers < 1)
        return;
    r->cpu_us = cpu / answers * 1e6;
    r->voluntary = b->voluntary > a->voluntary ? (double)(b->voluntary - a->voluntary) / answers : 0;
    r->involuntary = b->involuntary > a->involuntary ? (double)(b->involuntary - a->involuntary) / answers : 0;
}

static double growth(const struct measuring *m, size_t from, size_t to)
{
    double answers = m->run->good * (double)(m->memory[to].at - m->memory[from].at) / 1e9;
    return answers > 0 ? (m->memory[to].anonymous - m->memory[from].anonymous) * 1024 / answers : 0;
}

/* With a leak memory grows in both halves of the time. Caches that fill up grow only in the first. */
static void set_leak(struct measuring *m)
{
    if (m->memory_count < MEMORY_POINTS)
        return;
    double first = growth(m, 0, 1), second = growth(m, 1, 2), least = first < second ? first : second;
    double all = m->memory[2].anonymous - m->memory[0].anonymous;
    if (least >= leak_from && all >= leak_growth_from)
        m->run->leak_bytes = least;
}

static void set_connections(struct measuring *m)
{
    const struct workload *w = m->request->workload;
    unsigned idle = 0;
    for (size_t i = 0; i < w->group_count; i++)
        idle += w->groups[i].kind == WORKLOAD_IDLE ? w->groups[i].connections : 0;
    if (idle && m->memory_count && m->memory[0].pss > m->run->idle_kib)
        m->run->connection_bytes = (m->memory[0].pss - m->run->idle_kib) * 1024 / idle;
}

/* Results of the client. */

static void set_latency(struct percentiles *p, const struct histogram *h)
{
    *p = (struct percentiles){
        .count = h->count,
        .p50 = (double)histogram_percentile(h, 50) / 1e6,
        .p90 = (double)histogram_percentile(h, 90) / 1e6,
        .p99 = (double)histogram_percentile(h, 99) / 1e6,
        .p999 = (double)histogram_percentile(h, 99.9) / 1e6,
        .max = (double)h->max / 1e6,
    };
}

static double longest_silence(const struct load_result *r)
{
    size_t most = 0, now = 0;
    for (size_t i = 0; i < r->slice_count; i++) {
        now = r->good_by_slice[i] ? 0 : now + 1;
        most = now > most ? now : most;
    }
    return (double)most * LOAD_SLICE_MS;
}

static bool has_active(const struct workload *w)
{
    for (size_t i = 0; i < w->group_count; i++)
        if (workload_kind_is_active(w->groups[i].kind))
            return true;
    return false;
}

/* Throughput and latency are those of the clients that send requests all the time, if there are any. */
static int set_result(struct trial *out, const struct workload *w, const struct load_result *r)
{
    struct histogram *latency = calloc(1, sizeof *latency);
    uint64_t came = 0;
    if (!latency)
        return -ENOMEM;
    for (size_t i = 0; i < w->group_count; i++) {
        if (has_active(w) && !workload_kind_is_active(w->groups[i].kind))
            continue;
        came += r->groups[i].counts.came;
        out->offered += w->groups[i].rate;
        histogram_merge(latency, &r->groups[i].latency);
    }
    out->seconds = r->seconds;
    out->good = r->seconds > 0 ? (double)came / r->seconds : 0;
    out->counts = r->total.counts;
    out->silence_ms = longest_silence(r);
    out->is_client_saturated = r->saturated;
    out->starved = r->starved;
    memcpy(out->why, r->why, sizeof out->why);
    set_latency(&out->latency, latency);
    free(latency);
    return 0;
}

int measure(const struct measure_request *q, struct trial *out, char *error, size_t error_len)
{
    *out = (struct trial){ 0 };
    struct measuring m = { .request = q, .run = out };
    struct load_options o = { .workload = q->workload,
                              .target = &q->app->target,
                              .duration_ms = q->duration_ms,
                              .warmup_ms = q->warmup_ms,
                              .stop = q->stop,
                              .on_tick = on_tick,
                              .arg = &m };
    struct load_result *r = NULL;
    struct sample before;
    take_sample(&m, PROCTREE_MEMORY, &before);
    out->idle_kib = (double)before.sum.pss;
    int rc = load_run(&o, &r, error, error_len);
    if (rc == 0)
        rc = set_result(out, q->workload, r);
    if (rc == 0 && !m.has_end)
        sample_at(&m, 1);
    if (rc == 0) {
        take_sample(&m, 0, &before); /* counts processes that have ended meanwhile */
        set_cost(&m);
        set_leak(&m);
        set_connections(&m);
        out->has_ended = guard_has_ended(&q->app->guard);
        out->status = q->app->guard.status;
    }
    load_result_free(&r);
    proctree_free(&m.last);
    return rc;
}

uint64_t trial_failures(const struct trial *r)
{
    return load_failures(&r->counts);
}
