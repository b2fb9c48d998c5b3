/* SPDX-License-Identifier: MIT
 *
 * Prints a comparison as JSON; docs/compare.md has the schema.
 */
#include "judge/compare.h"
#include "print/advice.h"
#include "print/load_report.h"

enum { SCHEMA = 1 };

static void name(FILE *out, const char *key)
{
    load_report_string(out, key);
    fputc(':', out);
}

static void text(FILE *out, const char *key, const char *value)
{
    name(out, key);
    if (value)
        load_report_string(out, value);
    else
        fputs("null", out);
    fputc(',', out);
}

static void number(FILE *out, const char *key, double value)
{
    name(out, key);
    fprintf(out, "%.9g,", value);
}

static void boolean(FILE *out, const char *key, bool value)
{
    name(out, key);
    fprintf(out, "%s,", value ? "true" : "false");
}

static void counts(FILE *out, const struct load_counts *c)
{
    name(out, "answers");
    fputc('{', out);
    for (int i = 0; i < LOAD_OUTCOMES; i++)
        number(out, load_outcome_name((enum load_outcome)i), (double)c->of[i]);
    number(out, "sent", (double)c->sent);
    number(out, "unfinished", (double)c->unfinished);
    fprintf(out, "\"unsent\":%llu},", (unsigned long long)c->unsent);
}

static void latency(FILE *out, const struct percentiles *p)
{
    name(out, "latency_ms");
    fputc('{', out);
    number(out, "count", (double)p->count);
    number(out, "50", p->p50);
    number(out, "90", p->p90);
    number(out, "99", p->p99);
    number(out, "99.9", p->p999);
    fprintf(out, "\"100\":%.9g},", p->max);
}

static void trial(FILE *out, const struct trial *t)
{
    fputc('{', out);
    number(out, "seconds", t->seconds);
    number(out, "offered_per_second", t->offered);
    number(out, "good_per_second", t->good);
    counts(out, &t->counts);
    latency(out, &t->latency);
    number(out, "cpu_us", t->cpu_us);
    number(out, "cpu_user_part", t->user_part);
    number(out, "switches_voluntary", t->voluntary);
    number(out, "switches_involuntary", t->involuntary);
    number(out, "cores_used", t->cores);
    number(out, "memory_idle_kib", t->idle_kib);
    number(out, "memory_peak_kib", t->peak_kib);
    number(out, "memory_connection_bytes", t->connection_bytes);
    number(out, "memory_growth_bytes", t->leak_bytes);
    number(out, "processes", t->processes);
    number(out, "threads", t->threads);
    number(out, "deaths", t->deaths);
    number(out, "kills", t->kills);
    number(out, "silence_ms", t->silence_ms);
    boolean(out, "program_ended", t->has_ended);
    boolean(out, "client_saturated", t->is_client_saturated);
    number(out, "starved", t->starved);
    fprintf(out, "\"others\":%.9g}", t->others);
}

static void rate(FILE *out, const struct summary *s)
{
    name(out, "good_per_second");
    fprintf(out, "{\"median\":%.9g,\"least\":%.9g,\"most\":%.9g},", s->median, s->least, s->most);
}

static void optional_trial(FILE *out, const char *key, const struct trial *t, bool is_there)
{
    name(out, key);
    if (is_there)
        trial(out, t);
    else
        fputs("null", out);
    fputc(',', out);
}

static void row(FILE *out, const struct row *r)
{
    fputc('{', out);
    text(out, "engine", r->engine);
    text(out, "problem", *r->problem ? r->problem : NULL);
    rate(out, &r->rate);
    number(out, "theory_per_second", r->theory);
    boolean(out, "best", r->is_best);
    boolean(out, "tied_with_best", r->is_tied);
    optional_trial(out, "typical", &r->typical, r->run_count > 0);
    optional_trial(out, "at_common_rate", &r->offered, r->has_offered);
    optional_trial(out, "one_connection", &r->alone, r->has_alone);
    fputs("\"rounds\":[", out);
    for (size_t i = 0; i < r->run_count; i++) {
        fputs(i ? "," : "", out);
        trial(out, &r->runs[i]);
    }
    fputs("]}", out);
}

static void finding(FILE *out, const struct finding *f)
{
    fputc('{', out);
    text(out, "kind", finding_name(f->kind));
    text(out, "engine", f->engine);
    name(out, "text");
    load_report_string(out, f->text);
    fputc('}', out);
}

static void section(FILE *out, const struct section *s)
{
    fputc('{', out);
    text(out, "name", s->workload->name);
    text(out, "title", s->workload->title);
    number(out, "common_rate_per_second", s->common_rate);
    fputs("\"engines\":[", out);
    for (size_t i = 0; i < s->row_count; i++) {
        fputs(i ? "," : "", out);
        row(out, &s->rows[i]);
    }
    fputs("],\"findings\":[", out);
    for (size_t i = 0; i < s->finding_count; i++) {
        fputs(i ? "," : "", out);
        finding(out, &s->findings[i]);
    }
    fputs("]}", out);
}

static void noise(FILE *out, const struct comparison *c)
{
    name(out, "noise");
    fputc('{', out);
    text(out, "engine", c->noise_engine);
    text(out, "workload", c->noise_workload);
    number(out, "part", c->noise);
    number(out, "others", c->others);
    boolean(out, "too_noisy", judge_is_too_noisy(c));
    fputs("\"good_per_second\":[", out);
    for (size_t i = 0; i < c->noise_count; i++)
        fprintf(out, "%s%.9g", i ? "," : "", c->noise_rates[i]);
    fputs("]},", out);
}

static void advised(FILE *out, const struct comparison *c)
{
    struct advice a;
    advice_make(&a, c);
    name(out, "advice");
    fputc('{', out);
    text(out, "engine", a.engine);
    number(out, "score", a.score);
    fputs("\"settings\":{", out);
    for (size_t i = 0; i < a.setting_count; i++) {
        fputs(i ? "," : "", out);
        name(out, a.settings[i].option);
        load_report_string(out, a.settings[i].value);
    }
    fputs("}},", out);
}

void compare_json(FILE *out, const struct comparison *c)
{
    fputc('{', out);
    number(out, "schema", SCHEMA);
    number(out, "cores", c->cores);
    boolean(out, "shared_cores", true);
    boolean(out, "stopped", c->was_stopped);
    noise(out, c);
    advised(out, c);
    fputs("\"workloads\":[", out);
    for (size_t i = 0; i < c->section_count; i++) {
        fputs(i ? "," : "", out);
        section(out, &c->sections[i]);
    }
    fputs("]}\n", out);
}
