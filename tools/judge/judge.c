/* SPDX-License-Identifier: MIT
 *
 * Computes medians, the best engine, ties and the noise. findings.c makes the sentences.
 */
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "judge/findings.h"

/* The figures of a trial of which the median is taken. */
static const size_t figures[] = {
    offsetof(struct trial, seconds),
    offsetof(struct trial, offered),
    offsetof(struct trial, good),
    offsetof(struct trial, latency.p50),
    offsetof(struct trial, latency.p90),
    offsetof(struct trial, latency.p99),
    offsetof(struct trial, latency.p999),
    offsetof(struct trial, latency.max),
    offsetof(struct trial, cpu_us),
    offsetof(struct trial, user_part),
    offsetof(struct trial, voluntary),
    offsetof(struct trial, involuntary),
    offsetof(struct trial, cores),
    offsetof(struct trial, idle_kib),
    offsetof(struct trial, peak_kib),
    offsetof(struct trial, leak_bytes),
    offsetof(struct trial, others),
    offsetof(struct trial, starved),
    offsetof(struct trial, connection_bytes),
};

static double figure(const struct trial *t, size_t offset)
{
    double value;
    memcpy(&value, (const char *)t + offset, sizeof value);
    return value;
}

static struct summary summary_of(const struct row *row, size_t offset)
{
    double values[COMPARE_ROUNDS_MAX];
    size_t n = 0;
    for (size_t i = 0; i < row->run_count; i++)
        if (figure(&row->runs[i], offset) >= 0) /* negative: not known */
            values[n++] = figure(&row->runs[i], offset);
    return stats_summary(values, n);
}

static void add_counts(struct load_counts *into, const struct load_counts *from)
{
    for (int i = 0; i < LOAD_OUTCOMES; i++)
        into->of[i] += from->of[i];
    into->sent += from->sent;
    into->unsent += from->unsent;
    into->unfinished += from->unfinished;
    into->without_retry_after += from->without_retry_after;
    into->connects += from->connects;
    into->idle_closed += from->idle_closed;
    into->bytes_in += from->bytes_in;
    into->bytes_out += from->bytes_out;
    into->came += from->came;
}

static void add_trial(struct trial *into, const struct trial *from)
{
    add_counts(&into->counts, &from->counts);
    into->latency.count += from->latency.count;
    into->deaths += from->deaths;
    into->kills += from->kills;
    into->processes = from->processes > into->processes ? from->processes : into->processes;
    into->threads = from->threads > into->threads ? from->threads : into->threads;
    into->leaves = from->leaves > into->leaves ? from->leaves : into->leaves;
    into->silence_ms = from->silence_ms > into->silence_ms ? from->silence_ms : into->silence_ms;
    if (from->has_ended) {
        into->has_ended = true;
        into->status = from->status;
    }
    if (from->is_client_saturated) {
        into->is_client_saturated = true;
        memcpy(into->why, from->why, sizeof into->why);
    }
}

static void summarize(const struct workload *w, struct row *row)
{
    row->typical = (struct trial){ 0 };
    row->rate = summary_of(row, offsetof(struct trial, good));
    for (size_t i = 0; i < sizeof figures / sizeof *figures; i++) {
        struct summary of = summary_of(row, figures[i]);
        double median = of.count || !row->run_count ? of.median : -1;
        memcpy((char *)&row->typical + figures[i], &median, sizeof median);
    }
    /* It counts as a leak only if it was seen in every round. */
    row->typical.leak_bytes =
        summary_of(row, offsetof(struct trial, leak_bytes)).least > 0 ? row->typical.leak_bytes : 0;
    for (size_t i = 0; i < row->run_count; i++)
        add_trial(&row->typical, &row->runs[i]);
    row->theory = workload_theory(w, row->engine);
}

static void find_best(struct section *s, double noise)
{
    const struct row *best = NULL;
    for (size_t i = 0; i < s->row_count; i++) {
        const struct row *row = &s->rows[i];
        if (row->rate.median > 0 && (!best || row->rate.median > best->rate.median))
            best = row;
    }
    for (size_t i = 0; best && i < s->row_count; i++) {
        struct row *row = &s->rows[i];
        row->is_best = row == best;
        row->is_tied = row != best && row->rate.median > 0 && stats_is_tie(&best->rate, &row->rate, noise);
    }
}

static int by_rate(const void *a, const void *b)
{
    const struct row *x = a, *y = b;
    return (x->rate.median < y->rate.median) - (x->rate.median > y->rate.median);
}

static double median_of_others(const struct comparison *c)
{
    size_t room = c->section_count * COMPARE_ENGINES * COMPARE_ROUNDS_MAX, n = 0;
    double *all = calloc(room + 1, sizeof *all);
    for (size_t s = 0; all && s < c->section_count; s++)
        for (size_t i = 0; i < c->sections[s].row_count; i++)
            for (size_t k = 0; k < c->sections[s].rows[i].run_count; k++)
                all[n++] = c->sections[s].rows[i].runs[k].others;
    double median = all ? stats_median(all, n) : 0;
    free(all);
    return median;
}

void judge(struct comparison *c)
{
    c->noise = c->noise_count > 1 ? stats_noise(c->noise_rates, c->noise_count) : NOISE_MAX;
    c->others = median_of_others(c);
    for (size_t i = 0; i < c->section_count; i++) {
        struct section *s = &c->sections[i];
        for (size_t k = 0; k < s->row_count; k++)
            summarize(s->workload, &s->rows[k]);
        find_best(s, c->noise);
        qsort(s->rows, s->row_count, sizeof *s->rows, by_rate);
        find_findings(s);
    }
}

bool judge_is_too_noisy(const struct comparison *c)
{
    return c->noise > NOISE_MAX || c->others > OTHERS_MAX;
}

static bool has_any(const struct comparison *c)
{
    for (size_t s = 0; s < c->section_count; s++)
        for (size_t i = 0; i < c->sections[s].row_count; i++)
            if (c->sections[s].rows[i].rate.median > 0)
                return true;
    return false;
}

enum judge_exit judge_exit(const struct comparison *c)
{
    if (c->was_stopped)
        return JUDGE_STOPPED;
    if (!has_any(c))
        return JUDGE_NOTHING;
    return judge_is_too_noisy(c) ? JUDGE_NOISY : JUDGE_COMPARED;
}
