/* SPDX-License-Identifier: MIT
 *
 * Prints a comparison as tables.
 */
#include <string.h>

#include "judge/compare.h"

static const char *count_text(uint64_t n, char room[24])
{
    if (n < 10000)
        snprintf(room, 24, "%llu", (unsigned long long)n);
    else
        snprintf(room, 24, "%.0fk", (double)n / 1000);
    return room;
}

/* "none", or "503:1200 reset:3" */
static void print_failures(FILE *out, const struct load_counts *c)
{
    char text[24];
    const char *blank = "";
    for (int i = 0; i < LOAD_OUTCOMES; i++)
        if (i != LOAD_GOOD && c->of[i]) {
            fprintf(out, "%s%s:%s", blank, load_outcome_name((enum load_outcome)i), count_text(c->of[i], text));
            blank = " ";
        }
    if (c->unsent) {
        fprintf(out, "%sunsent:%s", blank, count_text(c->unsent, text));
        blank = " ";
    }
    if (!*blank)
        fputs("none", out);
}

static void print_ms(FILE *out, const struct percentiles *p, double value, uint64_t least)
{
    if (p->count < least)
        fprintf(out, " %7s", "-");
    else
        fprintf(out, " %7.*f", value >= 100 ? 0 : value >= 10 ? 1 : 2, value);
}

/* "46.6", and which part of it was outside the kernel */
static void print_cpu(FILE *out, const struct trial *t)
{
    if (t->user_part < 0)
        fprintf(out, " %7.1f %5s", t->cpu_us, "-");
    else
        fprintf(out, " %7.1f %3.0f %%", t->cpu_us, t->user_part * 100);
}

static void print_theory(FILE *out, const struct row *row)
{
    if (row->theory > 0)
        fprintf(out, " %7.0f", row->theory);
    else
        fprintf(out, " %7s", "-");
}

/* The latency at the common rate, if there is one. */
static const struct percentiles *latency_of(const struct section *s, const struct row *row)
{
    static const struct percentiles none;
    if (s->common_rate > 0)
        return row->has_offered ? &row->offered.latency : &none;
    return &row->typical.latency;
}

static void print_row(FILE *out, const struct section *s, const struct row *row)
{
    const struct trial *t = &row->typical;
    const struct percentiles *p = latency_of(s, row);
    if (!row->run_count)
        return;
    fprintf(out, "%c %-14s %8.0f %7.0f..%-7.0f",
            row->is_best   ? '*'
            : row->is_tied ? '='
                           : ' ',
            row->engine, row->rate.median, row->rate.least, row->rate.most);
    print_theory(out, row);
    print_ms(out, p, p->p50, 1);
    print_ms(out, p, p->p99, 100);
    print_cpu(out, t);
    fprintf(out, "  %5.2f+%-5.2f %5.1f..%-6.1f %2u/%-4u ", t->voluntary, t->involuntary, t->idle_kib / 1024,
            t->peak_kib / 1024, t->processes, t->threads);
    print_failures(out, &t->counts);
    fputc('\n', out);
}

static void print_head(FILE *out, const struct section *s)
{
    char rate[40] = "ms, as loaded";
    if (s->common_rate > 0)
        snprintf(rate, sizeof rate, "ms at %.0f/s", s->common_rate);
    fprintf(out, "  %-14s %8s %-16s %7s %15.15s %-13s  %-11s %-13s %s\n", "", "", "rounds", "", rate, " CPU us each",
            "switches", "memory MiB", "proc/");
    fprintf(out, "  %-14s %8s %-16s %7s %7s %7s %-13s  %-11s %-13s %-7s %s\n", "engine", "good/s", "least..most",
            "theory", "p50", "p99", "    all  user", "own+forced", "idle..peak", "threads", "not answered");
}

static void print_best(FILE *out, const struct comparison *c, const struct section *s)
{
    const char *separator = "; ties with it: ";
    for (size_t i = 0; i < s->row_count; i++)
        if (s->rows[i].is_best)
            fprintf(out, "  Best: %s", s->rows[i].engine);
    for (size_t i = 0; i < s->row_count; i++)
        if (s->rows[i].is_tied) {
            fprintf(out, "%s%s", separator, s->rows[i].engine);
            separator = ", ";
        }
    if (s->row_count && s->rows[0].rate.median > 0)
        fprintf(out, " (noise %.0f %%)\n", c->noise * 100);
}

static void print_idle_memory(FILE *out, const struct section *s)
{
    const char *separator = "  Memory for each idle connection, without the kernel's: ";
    for (size_t i = 0; i < s->row_count; i++)
        if (s->rows[i].typical.connection_bytes > 0) {
            fprintf(out, "%s%s %.0f", separator, s->rows[i].engine, s->rows[i].typical.connection_bytes);
            separator = ", ";
        }
    if (*separator == ',')
        fputs(" bytes\n", out);
}

static bool ends_asking(const char *text)
{
    size_t len = strlen(text);
    return len && text[len - 1] == '?';
}

static void print_section(FILE *out, const struct comparison *c, const struct section *s, const char *repeat)
{
    fprintf(out, "\n%s", s->workload->name);
    if (strcmp(s->workload->name, s->workload->title) != 0)
        fprintf(out, ": %s", s->workload->title);
    fputc('\n', out);
    print_head(out, s);
    for (size_t i = 0; i < s->row_count; i++)
        print_row(out, s, &s->rows[i]);
    print_best(out, c, s);
    print_idle_memory(out, s);
    for (size_t i = 0; i < s->finding_count; i++)
        fprintf(out, "  - %s%s\n", s->findings[i].text, ends_asking(s->findings[i].text) ? "" : ".");
    fprintf(out, "  Repeat a row: %s %s %s --engines %s\n", repeat, s->workload->source ? "--workload" : "--url",
            s->given, s->rows[0].engine);
}

static bool has_runs(const struct section *s)
{
    for (size_t i = 0; i < s->row_count; i++)
        if (s->rows[i].run_count || *s->rows[i].problem)
            return true;
    return false;
}

static void print_noise(FILE *out, const struct comparison *c)
{
    if (!c->noise_count)
        fputs("\nNoise: not known, since no engine served to the end.\n", out);
    else
        fprintf(
            out,
            "\nNoise: %s under %s, %zu times in turn against itself, differs by %.1f %%; smaller differences are ties "
            "(=).\n",
            c->noise_engine, c->noise_workload, c->noise_count, c->noise * 100);
    fprintf(out, "Other programs used %.0f %% of the machine.\n", c->others * 100);
    if (judge_is_too_noisy(c))
        fprintf(out,
                "THE MACHINE WAS TOO NOISY: more than %.0f %% noise, or more than %.0f %% used by other programs. Do not "
                "use this table.\n",
                NOISE_MAX * 100, OTHERS_MAX * 100);
}

void table_print(FILE *out, const struct comparison *c, const char *repeat)
{
    if (c->was_stopped)
        fputs("\nStopped; these are the results so far.\n", out);
    for (size_t i = 0; i < c->section_count; i++)
        if (has_runs(&c->sections[i]))
            print_section(out, c, &c->sections[i], repeat);
    if (!c->was_stopped || c->noise_count > 1)
        print_noise(out, c);
    fprintf(out,
            "Client and server share the %u core%s of this machine, so good/s depends on both. CPU (user and system) "
            "and\nswitches are those of the server for each good answer. Memory is the PSS of all its processes. * best, "
            "= a tie.\n",
            c->cores, c->cores == 1 ? "" : "s");
}
