/* SPDX-License-Identifier: MIT
 *
 * The sentences under the table. Each function looks for one kind of finding in the rows of a workload.
 */
#include "judge/findings.h"

#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <sys/wait.h>

static const char *const names[FINDING_KINDS] = {
    [FINDING_NOT_STARTED] = "not_started",
    [FINDING_ENGINE] = "engine",
    [FINDING_WRONG] = "wrong",
    [FINDING_DIFFERS] = "differs",
    [FINDING_STALL] = "stall",
    [FINDING_CPU] = "cpu",
    [FINDING_LEAK] = "leak",
    [FINDING_CRASH] = "crash",
    [FINDING_BEHIND] = "behind",
    [FINDING_CLIENT] = "client",
};

/* How much of an answer is shown. */
enum { EXCERPT = 40, EXCERPT_BEFORE = 12 };

/* If many connections get fewer good answers than this times those of one connection, the loop is blocked. */
static const double stall_gain = 1.7;
static const double stall_from_ms = 0.1, stall_longest_from_ms = 1;
static const double starved_max = 0.2;
/* A few requests are not sent in time, at the end of the run; a larger fraction is reported. */
static const double behind_from = 0.05;
/* From this value on the processor time of the program is reported. */
static const double cpu_from_us = 200;

const char *finding_name(enum finding_kind kind)
{
    return names[kind];
}

static void __attribute__((format(printf, 4, 5)))
add(struct section *s, enum finding_kind kind, const char *engine, const char *format, ...)
{
    va_list args;
    if (s->finding_count == COMPARE_FINDINGS_MAX)
        return;
    struct finding *f = &s->findings[s->finding_count++];
    *f = (struct finding){ .kind = kind, .engine = engine };
    va_start(args, format);
    vsnprintf(f->text, sizeof f->text, format, args);
    va_end(args);
}

static void __attribute__((format(printf, 3, 4))) append(char *text, size_t room, const char *format, ...)
{
    va_list args;
    size_t len = strlen(text);
    va_start(args, format);
    vsnprintf(text + len, room - len, format, args);
    va_end(args);
}

static void append_name(char *list, size_t room, const char *name)
{
    append(list, room, "%s%s", *list ? ", " : "", name);
}

static bool is_measured(const struct row *row)
{
    return row->run_count > 0;
}

/* "20", "1.5", "0.21" */
static const char *round_ms(double ms, char room[24])
{
    snprintf(room, 24, "%.*f", ms >= 9.5 ? 0 : ms >= 0.95 ? 1 : 2, ms);
    return room;
}

static void find_problems(struct section *s)
{
    for (size_t i = 0; i < s->row_count; i++)
        if (*s->rows[i].problem)
            add(s, FINDING_NOT_STARTED, s->rows[i].engine, "%s: %s", s->rows[i].engine, s->rows[i].problem);
}

/* Can these be the processes and threads of the engine? Each process may have one more thread, of a sanitizer, say. */
static bool is_shape_of(const struct row *row, unsigned connections)
{
    const struct trial *t = &row->typical;
    if (strcmp(row->engine, "prefork") == 0)
        return t->processes >= 2 && t->threads <= 2 * t->processes;
    if (strcmp(row->engine, "process-thread") == 0)
        return t->leaves >= 2;
    if (strcmp(row->engine, "process-event") == 0)
        return t->processes >= 2 && t->threads <= 2 * t->processes;
    if (t->leaves != 1)
        return t->deaths > 0;
    if (strcmp(row->engine, "event") == 0)
        return t->threads <= 2 * t->processes;
    return strcmp(row->engine, "thread") != 0 || connections < 8 || t->threads > 2;
}

static void find_shapes(struct section *s)
{
    unsigned connections = 0;
    for (size_t i = 0; i < s->workload->group_count; i++)
        connections += s->workload->groups[i].connections;
    for (size_t i = 0; i < s->row_count; i++) {
        const struct row *row = &s->rows[i];
        const struct trial *t = &row->typical;
        if (is_measured(row) && t->processes && !t->has_ended && !is_shape_of(row, connections))
            add(s, FINDING_ENGINE, row->engine,
                "%s: %u process%s with %u thread%s in all: that is not this engine; does the "
                "program overrule CONCUR_ENGINE?",
                row->engine, t->processes, t->processes == 1 ? "" : "es", t->threads, t->threads == 1 ? "" : "s");
    }
}

static void find_wrong(struct section *s)
{
    static const enum load_outcome kinds[] = { LOAD_WRONG,     LOAD_GARBLED,   LOAD_OTHER_1XX, LOAD_OTHER_2XX,
                                               LOAD_OTHER_3XX, LOAD_OTHER_4XX, LOAD_OTHER_5XX };
    for (size_t i = 0; i < s->row_count; i++) {
        const struct row *row = &s->rows[i];
        const uint64_t *of = row->typical.counts.of;
        uint64_t wrong = 0;
        char list[160] = "";
        for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++) {
            wrong += of[kinds[k]];
            if (of[kinds[k]])
                append(list, sizeof list, "%s%llu %s", *list ? ", " : "", (unsigned long long)of[kinds[k]],
                       kinds[k] == LOAD_WRONG ? "with other content" : load_outcome_name(kinds[k]));
        }
        if (wrong)
            add(s, FINDING_WRONG, row->engine, "%s answers wrongly: %llu of %llu answers (%s)", row->engine,
                (unsigned long long)wrong, (unsigned long long)(wrong + of[LOAD_GOOD]), list);
    }
}

/* The same requests. */

static bool is_same(const struct seen *a, const struct seen *b)
{
    for (int i = 0; i < COMPARE_LOOKS; i++)
        if (a[i].status != b[i].status || a[i].hash != b[i].hash)
            return false;
    return true;
}

static bool is_steady(const struct seen *a)
{
    return a[0].status == a[1].status && a[1].status == a[2].status && a[0].hash == a[1].hash && a[1].hash == a[2].hash;
}

static size_t count_same(const struct section *s, size_t request, const struct row *as)
{
    size_t n = 0;
    for (size_t i = 0; i < s->row_count; i++)
        n += s->rows[i].has_seen && is_same(s->rows[i].seen[request], as->seen[request]);
    return n;
}

/* Where two texts begin to differ, or a little before. */
static size_t where_they_part(const struct seen *a, const struct seen *b)
{
    size_t least = SIZE_MAX;
    for (int i = 0; i < COMPARE_LOOKS; i++) {
        size_t at = 0;
        while (a[i].start[at] && a[i].start[at] == b[i].start[at])
            at++;
        least = a[i].hash != b[i].hash && at < least ? at : least;
    }
    return least == SIZE_MAX || least < EXCERPT_BEFORE ? 0 : least - EXCERPT_BEFORE;
}

static void append_seen(char *text, size_t room, const struct seen *seen, size_t from)
{
    int looks = is_steady(seen) ? 1 : COMPARE_LOOKS;
    for (int i = 0; i < looks; i++) {
        size_t len = strlen(seen[i].start), at = from < len ? from : len;
        append(text, room, "%s", i ? ", then " : "");
        if (seen[i].status && seen[i].status != 200)
            append(text, room, "%d ", seen[i].status);
        if (seen[i].status)
            append(text, room, "%s\"%.*s\"", at ? ".." : "", EXCERPT, seen[i].start + at);
        else
            append(text, room, "no answer");
    }
}

static const struct row *most_common(const struct section *s, size_t request, size_t *count)
{
    const struct row *most = NULL;
    *count = 0;
    for (size_t i = 0; i < s->row_count; i++) {
        size_t n = s->rows[i].has_seen ? count_same(s, request, &s->rows[i]) : 0;
        if (n > *count) {
            *count = n;
            most = &s->rows[i];
        }
    }
    return most;
}

static size_t count_seen(const struct section *s)
{
    size_t n = 0;
    for (size_t i = 0; i < s->row_count; i++)
        n += s->rows[i].has_seen;
    return n;
}

static void compare_answers(struct section *s, const struct workload_request *q, size_t request)
{
    size_t same, all = count_seen(s);
    const struct row *usual = most_common(s, request, &same);
    if (!usual || same == all)
        return;
    if (same == 1 && (all > 2 || !is_steady(usual->seen[request]))) {
        add(s, FINDING_DIFFERS, NULL,
            "%s %s: each engine gives another answer: does it contain a time, a counter, or data of other requests?",
            q->method, q->target);
        return;
    }
    for (size_t i = 0; i < s->row_count; i++) {
        const struct row *row = &s->rows[i];
        char here[200] = "", there[200] = "";
        if (!row->has_seen || is_same(row->seen[request], usual->seen[request]))
            continue;
        size_t from = where_they_part(row->seen[request], usual->seen[request]);
        append_seen(here, sizeof here, row->seen[request], from);
        append_seen(there, sizeof there, usual->seen[request], from);
        add(s, FINDING_DIFFERS, row->engine, "%s answers %s %s differently: %s, where %s says %s", row->engine, q->method,
            q->target, here, usual->engine, there);
    }
}

static void find_differences(struct section *s)
{
    size_t nth = 0;
    const struct workload *w = s->workload;
    for (size_t g = 0; g < w->group_count; g++)
        for (size_t i = 0; i < w->groups[g].request_count && nth < COMPARE_REQUESTS_MAX; i++, nth++)
            compare_answers(s, &w->groups[g].requests[i], nth);
}

/* Stalls, processor time, memory. */

static void find_stall(struct section *s, const struct row *row)
{
    const struct trial *t = &row->typical;
    char average[24], longest[24];
    if (!row->has_alone || t->good <= 0 || row->alone.good <= 0 || !t->leaves || t->deaths || row->alone.deaths)
        return;
    double stall = t->leaves * 1000 / t->good - t->cpu_us / 1000;
    bool is_each = row->alone.latency.p50 > stall / 2;
    if (t->good > stall_gain * t->leaves * row->alone.good || stall < stall_from_ms ||
        row->alone.latency.max < stall_longest_from_ms)
        return;
    /* A loop that gets no processor looks the same, unless each request waits for long. */
    if ((t->starved > starved_max || row->alone.starved > starved_max) && !(is_each && stall > stall_longest_from_ms))
        return;
    round_ms(stall, average);
    round_ms(row->alone.latency.max, longest);
    if (is_each)
        add(s, FINDING_STALL, row->engine,
            "%s: the loop stood still %s ms a request (%.0f/s on all connections, %.0f/s on one): its handler waits; "
            "CONCUR_ROUTE_BLOCKING or an offload moves it to a thread",
            row->engine, average, t->good, row->alone.good);
    else
        add(s, FINDING_STALL, row->engine, "%s: the loop stood still up to %s ms at a time, %s ms a request on average",
            row->engine, longest, average);
}

static double user_us(const struct row *row)
{
    return row->typical.user_part > 0 ? row->typical.cpu_us * row->typical.user_part : 0;
}

static void find_cpu(struct section *s)
{
    double least = 0;
    for (size_t i = 0; i < s->row_count; i++)
        if (user_us(&s->rows[i]) > 0 && (least <= 0 || user_us(&s->rows[i]) < least))
            least = user_us(&s->rows[i]);
    if (least >= cpu_from_us)
        add(s, FINDING_CPU, NULL,
            "a request uses %.2f ms of processor time in the program itself, on every engine: so a core can do "
            "at most %.0f/s",
            least / 1000, 1e6 / least);
}

static void find_leaks(struct section *s)
{
    double bytes[COMPARE_ENGINES];
    size_t n = 0;
    char list[160] = "";
    for (size_t i = 0; i < s->row_count; i++)
        if (s->rows[i].typical.leak_bytes > 0) {
            bytes[n++] = s->rows[i].typical.leak_bytes;
            append_name(list, sizeof list, s->rows[i].engine);
        }
    if (n)
        add(s, FINDING_LEAK, NULL, "memory grows by %.0f bytes with each request, without end: a leak (on %s)",
            stats_median(bytes, n), list);
}

/* Crashes. */

static uint64_t lost(const struct load_counts *c)
{
    return c->of[LOAD_RESET] + c->of[LOAD_CLOSED_EARLY] + c->of[LOAD_BAD_GATEWAY] + c->of[LOAD_TIMEOUT];
}

static void append_lost(char *text, size_t room, const struct load_counts *c)
{
    static const enum load_outcome kinds[] = { LOAD_RESET, LOAD_CLOSED_EARLY, LOAD_BAD_GATEWAY, LOAD_TIMEOUT };
    static const char *const words[] = { "reset", "closed early", "502", "timed out" };
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (c->of[kinds[i]])
            append(text, room, "%s%llu %s", *text ? ", " : "", (unsigned long long)c->of[kinds[i]], words[i]);
}

static void say_ended(struct section *s, const struct row *row)
{
    unsigned rounds = 0;
    char how[48], after[64] = "";
    int status = row->typical.status;
    for (size_t i = 0; i < row->run_count; i++)
        rounds += row->runs[i].has_ended;
    if (WIFSIGNALED(status))
        snprintf(how, sizeof how, "SIG%s", sigabbrev_np(WTERMSIG(status)) ? sigabbrev_np(WTERMSIG(status)) : "?");
    else
        snprintf(how, sizeof how, "status %d", WEXITSTATUS(status));
    if (row->typical.counts.of[LOAD_GOOD])
        snprintf(after, sizeof after, ", after %llu answers on average",
                 (unsigned long long)(row->typical.counts.of[LOAD_GOOD] / row->run_count));
    add(s, FINDING_CRASH, row->engine,
        "%s: the program crashed (%s) in %u of %zu rounds%s: nothing is answered afterwards. With master = on it would "
        "be started again",
        row->engine, how, rounds, row->run_count, after);
}

/* Answers are counted in slices; a shorter silence cannot be seen. */
static const char *silence(const struct trial *t, char room[40])
{
    if (t->silence_ms > 0)
        snprintf(room, 40, "longest silence %.0f ms", t->silence_ms);
    else
        snprintf(room, 40, "never silent for %d ms", LOAD_SLICE_MS);
    return room;
}

static void find_crash(struct section *s, const struct row *row)
{
    const struct trial *t = &row->typical;
    uint64_t all = lost(&t->counts);
    char list[120] = "", quiet[40];
    unsigned crashes = t->kills ? t->kills : t->deaths;
    if (t->has_ended) {
        say_ended(s, row);
        return;
    }
    if (!t->kills && !all)
        return;
    append_lost(list, sizeof list, &t->counts);
    if (t->kills)
        add(s, FINDING_CRASH, row->engine, "%s: %u worker%s killed: each cost %.1f requests%s%s%s; %s", row->engine,
            crashes, crashes == 1 ? " was" : "s were", (double)all / crashes, *list ? " (" : "", list, *list ? ")" : "",
            silence(t, quiet));
    else if (crashes)
        add(s, FINDING_CRASH, row->engine,
            "%s: %u worker%s seen to crash, 1 in %.0f requests: each cost %.1f requests (%s); %s", row->engine, crashes,
            crashes == 1 ? " was" : "s were", (double)(t->counts.of[LOAD_GOOD] + all) / crashes, (double)all / crashes,
            list, silence(t, quiet));
    else if (all > t->counts.of[LOAD_TIMEOUT])
        add(s, FINDING_CRASH, row->engine, "%s: %llu requests were lost (%s), although no process was seen to end",
            row->engine, (unsigned long long)all, list);
}

static void find_no_victim(struct section *s, const struct row *row)
{
    if (s->workload->kill_worker_every_ms && is_measured(row) && !row->typical.kills)
        add(s, FINDING_CRASH, row->engine, "%s: no worker was killed, since the program has none",
            row->engine);
}

static void find_behind(struct section *s)
{
    for (size_t i = 0; i < s->row_count; i++) {
        const struct row *row = &s->rows[i];
        const struct load_counts *c = &row->offered.counts;
        double due = (double)(c->sent + c->unsent), part = due > 0 ? (double)c->unsent / due : 0;
        if (row->has_offered && part > behind_from)
            add(s, FINDING_BEHIND, row->engine,
                "%s fell behind the common rate: %.0f %% of the requests that were due were not sent, so its real "
                "latency is longer than the one shown",
                row->engine, part * 100);
    }
}

static void find_client(struct section *s)
{
    char list[160] = "";
    const char *why = "";
    for (size_t i = 0; i < s->row_count; i++)
        if (s->rows[i].typical.is_client_saturated) {
            append_name(list, sizeof list, s->rows[i].engine);
            why = s->rows[i].typical.why;
        }
    if (*list)
        add(s, FINDING_CLIENT, NULL, "the client was the bottleneck, or had no processor, on %s: %s", list, why);
}

void find_findings(struct section *s)
{
    s->finding_count = 0;
    find_problems(s);
    find_shapes(s);
    find_wrong(s);
    find_differences(s);
    for (size_t i = 0; i < s->row_count; i++)
        find_stall(s, &s->rows[i]);
    find_cpu(s);
    find_leaks(s);
    for (size_t i = 0; i < s->row_count; i++) {
        find_crash(s, &s->rows[i]);
        find_no_victim(s, &s->rows[i]);
    }
    find_behind(s);
    find_client(s);
}
