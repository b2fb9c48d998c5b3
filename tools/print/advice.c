/* SPDX-License-Identifier: MIT */
#include "print/advice.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "measure/app.h"

/* Of engines whose scores differ by less, the one that uses less processor time is advised. */
static const double score_tie = 0.05;
/* The score of an engine without good answers; 0 would make the geometric mean 0. */
static const double least_share = 0.001;

static const struct row *row_of(const struct section *s, const char *engine)
{
    for (size_t i = 0; i < s->row_count; i++)
        if (strcmp(s->rows[i].engine, engine) == 0)
            return &s->rows[i];
    return NULL;
}

static double best_rate(const struct section *s)
{
    double best = 0;
    for (size_t i = 0; i < s->row_count; i++)
        best = s->rows[i].rate.median > best ? s->rows[i].rate.median : best;
    return best;
}

static bool is_wrong(const struct section *s, const char *engine)
{
    for (size_t i = 0; i < s->finding_count; i++)
        if ((s->findings[i].kind == FINDING_WRONG || s->findings[i].kind == FINDING_ENGINE) && s->findings[i].engine &&
            strcmp(s->findings[i].engine, engine) == 0)
            return true;
    return false;
}

struct score {
    double score, cpu;
};

/* A tie counts as the best. An engine with wrong answers, or that did not run, gets the least score. */
static struct score score_of(const struct comparison *c, const char *engine)
{
    double logs = 0, cpu = 0;
    size_t n = 0;
    for (size_t i = 0; i < c->section_count; i++) {
        const struct section *s = &c->sections[i];
        const struct row *row = row_of(s, engine);
        double best = best_rate(s), share = 0;
        if (best <= 0)
            continue;
        if (row && !is_wrong(s, engine))
            share = row->is_best || row->is_tied ? 1 : row->rate.median / best;
        logs += log(share > least_share ? share : least_share);
        cpu += row ? row->typical.cpu_us : 0;
        n++;
    }
    return (struct score){ n ? exp(logs / (double)n) : 0, cpu };
}

static void choose(struct advice *a, const struct comparison *c)
{
    struct score best = { 0, 0 };
    for (size_t i = 0; i < COMPARE_ENGINES; i++) {
        struct score s = score_of(c, compare_engines[i]);
        bool is_near = fabs(s.score - best.score) <= score_tie * best.score;
        if (s.score <= least_share || (is_near ? s.cpu >= best.cpu : s.score < best.score))
            continue;
        a->engine = compare_engines[i];
        a->score = s.score;
        best = s;
    }
}

/* Options that a workload sets for all engines, and the engines that use them. */
static const struct {
    const char *option, *engines;
} heeded[] = {
    { "master", " thread event event-pool " },
    { "queue_max", " thread process-thread " },
    { "threads_max", " thread process-thread " },
    { "workers", " prefork process-thread process-event " },
};

static bool is_heeded(const char *option, const char *engine)
{
    char word[32];
    snprintf(word, sizeof word, " %s ", engine);
    for (size_t i = 0; i < sizeof heeded / sizeof *heeded; i++)
        if (strcmp(heeded[i].option, option) == 0)
            return strstr(heeded[i].engines, word) != NULL;
    return true;
}

/* If two workloads set different numbers, the larger one is taken, since it does not harm the other workload. */
static bool is_more(const char *value, const char *than)
{
    return strtod(value, NULL) > strtod(than, NULL);
}

static void add_setting(struct advice *a, char *option, char *value)
{
    for (size_t i = 0; i < a->setting_count; i++)
        if (strcmp(a->settings[i].option, option) == 0) {
            a->settings[i].value = is_more(value, a->settings[i].value) ? value : a->settings[i].value;
            return;
        }
    if (a->setting_count < ADVICE_SETTINGS_MAX)
        a->settings[a->setting_count++] = (struct workload_setting){ .option = option, .value = value };
}

void advice_make(struct advice *a, const struct comparison *c)
{
    *a = (struct advice){ 0 };
    choose(a, c);
    for (size_t i = 0; a->engine && i < c->section_count; i++) {
        const struct workload *w = c->sections[i].workload;
        for (size_t k = 0; k < w->setting_count; k++) {
            const char *value = app_setting(w, a->engine, w->settings[k].option);
            if (value == w->settings[k].value && is_heeded(w->settings[k].option, a->engine))
                add_setting(a, w->settings[k].option, w->settings[k].value);
        }
    }
}

static void write_value(FILE *out, const char *value)
{
    fputs(" = \"", out);
    for (; *value; value++) {
        if (*value == '"' || *value == '\\')
            fputc('\\', out);
        fputc(*value, out);
    }
    fputs("\"\n", out);
}

void advice_write(FILE *out, const struct comparison *c)
{
    struct advice a;
    advice_make(&a, c);
    fputs("# Written by concur compare. Of the good answers of the best engine in each workload this one gave", out);
    fprintf(out, " %.0f %%\n# (geometric mean). Workloads:", a.score * 100);
    for (size_t i = 0; i < c->section_count; i++)
        fprintf(out, " %s", c->sections[i].workload->name);
    fprintf(out, ".\nengine = %s\n", a.engine);
    for (size_t i = 0; i < a.setting_count; i++) {
        fputs(a.settings[i].option, out);
        write_value(out, a.settings[i].value);
    }
}
