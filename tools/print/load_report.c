/* SPDX-License-Identifier: MIT */
#include "print/load_report.h"

static const double percentiles[] = { 50, 75, 90, 95, 99, 99.9, 99.99, 100 };

enum { PERCENTILES = sizeof percentiles / sizeof *percentiles };

static double ms(int64_t ns)
{
    return (double)ns / 1e6;
}

static double per_second(uint64_t n, double seconds)
{
    return seconds > 0 ? (double)n / seconds : 0;
}

/* Text. */

static void print_latency(FILE *out, const char *title, const struct histogram *h)
{
    if (h->count == 0)
        return;
    fprintf(out, "%s: mean %.3f ms", title, histogram_mean(h) / 1e6);
    for (int i = 0; i < PERCENTILES; i++)
        fprintf(out, ", %s%.6g %s %.3f", percentiles[i] < 100 ? "" : "max (", percentiles[i],
                percentiles[i] < 100 ? "%" : "%)", ms(histogram_percentile(h, percentiles[i])));
    fprintf(out, "\n");
}

static void print_failures(FILE *out, const struct load_counts *c)
{
    const char *separator = "  not good: ";
    for (int i = 0; i < LOAD_OUTCOMES; i++) {
        if (i == LOAD_GOOD || c->of[i] == 0)
            continue;
        fprintf(out, "%s%llu %s", separator, (unsigned long long)c->of[i], load_outcome_name((enum load_outcome)i));
        separator = ", ";
    }
    if (load_failures(c))
        fprintf(out, "\n");
    if (c->without_retry_after)
        fprintf(out, "  %llu of the 503 answers had no Retry-After\n", (unsigned long long)c->without_retry_after);
    if (c->unsent)
        fprintf(out, "  %llu requests that were due were never sent: their connections were busy\n",
                (unsigned long long)c->unsent);
    if (c->unfinished)
        fprintf(out, "  %llu requests were given up at the end\n", (unsigned long long)c->unfinished);
    if (c->idle_closed)
        fprintf(out, "  %llu idle connections were closed by the server\n", (unsigned long long)c->idle_closed);
}

static void print_part(FILE *out, const struct workload_group *g, const struct load_part *p, double seconds)
{
    fprintf(out, "%s (%s, %u connections): %llu good, %.1f/s, %u open at the end\n", g->name, workload_kind_name(g->kind),
            g->connections, (unsigned long long)p->counts.of[LOAD_GOOD], per_second(p->counts.came, seconds),
            p->open);
    print_failures(out, &p->counts);
    print_latency(out, g->rate > 0 ? "  latency, counted from the due time" : "  latency", &p->latency);
    if (g->rate > 0)
        print_latency(out, "  latency, counted from the send", &p->service);
}

void load_report_text(FILE *out, const struct workload *w, const struct load_result *r)
{
    const struct load_counts *c = &r->total.counts;
    fprintf(out, "%s: %.2f s%s, %u thread%s\n", w->title, r->seconds, r->stopped ? " (stopped)" : "", r->threads,
            r->threads == 1 ? "" : "s");
    for (size_t i = 0; i < r->group_count; i++)
        print_part(out, &w->groups[i], &r->groups[i], r->seconds);
    fprintf(out, "bytes: %.0f/s in, %.0f/s out; connections made: %llu\n", per_second(c->bytes_in, r->seconds),
            per_second(c->bytes_out, r->seconds), (unsigned long long)c->connects);
    fprintf(out, "client: %.2f s user, %.2f s system, busiest thread %.0f %% busy, %.0f %% without a processor\n",
            r->cpu_user, r->cpu_system, r->busiest * 100, r->starved * 100);
    if (r->lateness.count)
        fprintf(out, "client: sent at most %.3f ms late, 99 %% at most %.3f\n", ms(r->lateness.max),
                ms(histogram_percentile(&r->lateness, 99)));
    if (r->saturated)
        fprintf(out, "The client was the bottleneck: %s.\n", r->why);
}

/* JSON. */

void load_report_string(FILE *out, const char *text)
{
    fputc('"', out);
    for (const unsigned char *p = (const unsigned char *)text; *p; p++) {
        if (*p == '"' || *p == '\\')
            fputc('\\', out);
        if (*p < ' ')
            fprintf(out, "\\u%04x", *p);
        else
            fputc(*p, out);
    }
    fputc('"', out);
}

static void json_latency(FILE *out, const char *name, const struct histogram *h)
{
    fprintf(out, "\"%s\":{\"count\":%llu,\"mean\":%.6f", name, (unsigned long long)h->count, histogram_mean(h) / 1e6);
    for (int i = 0; i < PERCENTILES; i++)
        fprintf(out, ",\"%.6g\":%.6f", percentiles[i], ms(histogram_percentile(h, percentiles[i])));
    fputc('}', out);
}

static void json_number(FILE *out, const char *name, uint64_t value)
{
    fprintf(out, "\"%s\":%llu,", name, (unsigned long long)value);
}

static void json_part(FILE *out, const struct load_part *p, double seconds)
{
    const struct load_counts *c = &p->counts;
    for (int i = 0; i < LOAD_OUTCOMES; i++)
        json_number(out, load_outcome_name((enum load_outcome)i), c->of[i]);
    json_number(out, "without_retry_after", c->without_retry_after);
    json_number(out, "sent", c->sent);
    json_number(out, "unsent", c->unsent);
    json_number(out, "unfinished", c->unfinished);
    json_number(out, "connects", c->connects);
    json_number(out, "idle_closed", c->idle_closed);
    json_number(out, "bytes_in", c->bytes_in);
    json_number(out, "bytes_out", c->bytes_out);
    json_number(out, "came", c->came);
    json_number(out, "open", p->open);
    fprintf(out, "\"good_per_second\":%.3f,", per_second(c->came, seconds));
    json_latency(out, "latency_ms", &p->latency);
    fputc(',', out);
    json_latency(out, "service_ms", &p->service);
}

static void json_slices(FILE *out, const char *name, const uint32_t *slices, size_t count)
{
    fprintf(out, "\"%s\":[", name);
    for (size_t i = 0; i < count; i++)
        fprintf(out, "%s%u", i ? "," : "", slices[i]);
    fputs("],", out);
}

static void json_client(FILE *out, const struct load_result *r)
{
    fprintf(out, "\"client\":{\"threads\":%u,\"cpu_user\":%.3f,\"cpu_system\":%.3f,\"busiest\":%.4f,\"starved\":%.4f,",
            r->threads, r->cpu_user, r->cpu_system, r->busiest, r->starved);
    json_latency(out, "lateness_ms", &r->lateness);
    fprintf(out, ",\"saturated\":%s,\"why\":", r->saturated ? "true" : "false");
    load_report_string(out, r->why);
    fputc('}', out);
}

void load_report_json(FILE *out, const struct workload *w, const struct load_result *r)
{
    fputs("{\"workload\":", out);
    load_report_string(out, w->name);
    fprintf(out, ",\"seconds\":%.3f,\"stopped\":%s,", r->seconds, r->stopped ? "true" : "false");
    json_part(out, &r->total, r->seconds);
    fputs(",\"groups\":[", out);
    for (size_t i = 0; i < r->group_count; i++) {
        fputs(i ? ",{\"name\":" : "{\"name\":", out);
        load_report_string(out, r->groups[i].name);
        fputc(',', out);
        json_part(out, &r->groups[i], r->seconds);
        fputc('}', out);
    }
    fprintf(out, "],\"slice_ms\":%d,", LOAD_SLICE_MS);
    json_slices(out, "good_by_slice", r->good_by_slice, r->slice_count);
    json_slices(out, "bad_by_slice", r->bad_by_slice, r->slice_count);
    json_client(out, r);
    fputc('}', out);
}
