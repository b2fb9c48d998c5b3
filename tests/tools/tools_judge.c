/* SPDX-License-Identifier: MIT
 *
 * What is made of figures that are given: the best, ties, words, the exit status, the table, JSON, the advice.
 */
#include <check.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "json_walk.h"
#include "judge/compare.h"
#include "print/advice.h"

enum { EVENT, PREFORK, THREAD, ROWS };

static struct comparison c;
static struct section *s;
static struct workload *workload;

static void fill(struct row *row, const char *engine, double rate, unsigned processes, unsigned threads)
{
    *row = (struct row){ .engine = engine, .run_count = 3 };
    for (int i = 0; i < 3; i++) {
        struct trial *t = &row->runs[i];
        *t = (struct trial){ .seconds = 1,
                             .good = rate + i - 1,
                             .cpu_us = 10,
                             .user_part = 0.25,
                             .cores = 0.5,
                             .processes = processes,
                             .threads = threads,
                             .leaves = processes > 1 ? processes - 1 : 1,
                             .idle_kib = 1024,
                             .peak_kib = 2048,
                             .latency = { .count = 1000, .p50 = 1, .p99 = 2 } };
        t->counts.of[LOAD_GOOD] = (uint64_t)rate;
    }
}

static void set_up(void)
{
    char error[200];
    ck_assert_int_eq(workload_from_path("/price", &workload, error, sizeof error), 0);
    s = calloc(1, sizeof *s);
    s->workload = workload;
    s->given = "/price";
    s->row_count = ROWS;
    fill(&s->rows[EVENT], "event", 10000, 1, 1);
    fill(&s->rows[PREFORK], "prefork", 5000, 65, 65);
    fill(&s->rows[THREAD], "thread", 9900, 1, 65);
    c = (struct comparison){ .sections = s,
                             .section_count = 1,
                             .cores = 2,
                             .noise_engine = "event",
                             .noise_workload = "/price",
                             .noise_rates = { 100, 102, 100, 102 },
                             .noise_count = 4 };
}

static void tear_down(void)
{
    workload_free(&workload);
    comparison_free(&c);
}

static const struct finding *find(enum finding_kind kind, const char *engine)
{
    for (size_t i = 0; i < s->finding_count; i++)
        if (s->findings[i].kind == kind &&
            (!engine || (s->findings[i].engine && strcmp(s->findings[i].engine, engine) == 0)))
            return &s->findings[i];
    return NULL;
}

static void expect(enum finding_kind kind, const char *engine, const char *words)
{
    const struct finding *f = find(kind, engine);
    ck_assert_msg(f != NULL, "no finding %s", finding_name(kind));
    ck_assert_msg(strstr(f->text, words) != NULL, "\"%s\" is not in \"%s\"", words, f->text);
    ck_assert_uint_eq(s->finding_count, 1);
}

START_TEST(nothing_stands_out)
{
    judge(&c);
    for (size_t i = 0; i < s->finding_count; i++)
        ck_abort_msg("%s", s->findings[i].text);
    ck_assert_str_eq(s->rows[0].engine, "event");
    ck_assert_str_eq(s->rows[1].engine, "thread");
    ck_assert_str_eq(s->rows[2].engine, "prefork");
    ck_assert(s->rows[0].is_best && !s->rows[0].is_tied);
    ck_assert(s->rows[1].is_tied && !s->rows[1].is_best);
    ck_assert(!s->rows[2].is_tied && !s->rows[2].is_best);
    ck_assert_double_eq(s->rows[2].rate.median, 5000);
    ck_assert_double_eq(s->rows[2].rate.least, 4999);
    ck_assert_double_eq(s->rows[2].rate.most, 5001);
    ck_assert_uint_eq(s->rows[2].typical.counts.of[LOAD_GOOD], 15000);
    ck_assert_double_eq_tol(c.noise, 2 / 101.0, 1e-9);
    ck_assert_int_eq(judge_exit(&c), JUDGE_COMPARED);
}
END_TEST

START_TEST(exit_statuses)
{
    judge(&c);
    ck_assert_int_eq(judge_exit(&c), JUDGE_COMPARED);
    c.noise_rates[1] = c.noise_rates[3] = 150;
    judge(&c);
    ck_assert_int_eq(judge_exit(&c), JUDGE_NOISY);
    c.noise_rates[1] = c.noise_rates[3] = 100;
    for (size_t i = 0; i < ROWS; i++)
        for (size_t k = 0; k < 3; k++)
            s->rows[i].runs[k].others = 0.5;
    judge(&c);
    ck_assert_double_eq(c.noise, STATS_NOISE_MIN);
    ck_assert_int_eq(judge_exit(&c), JUDGE_NOISY);
    c.was_stopped = true;
    ck_assert_int_eq(judge_exit(&c), JUDGE_STOPPED);
    c.was_stopped = false;
    c.noise_count = 0; /* no engine lasted: that is not the machine's doing */
    for (size_t i = 0; i < ROWS; i++)
        for (size_t k = 0; k < 3; k++)
            s->rows[i].runs[k].others = 0;
    judge(&c);
    ck_assert_int_eq(judge_exit(&c), JUDGE_COMPARED);
    for (size_t i = 0; i < ROWS; i++)
        s->rows[i].run_count = 0;
    judge(&c);
    ck_assert_int_eq(judge_exit(&c), JUDGE_NOTHING);
}
END_TEST

/* A loop with 20 ms for each request: 50/s, whether one asks or 64. */
static void stall(struct row *row, double all, double alone, double p50, double max)
{
    for (size_t i = 0; i < row->run_count; i++)
        row->runs[i].good = all;
    row->alone = (struct trial){ .good = alone, .latency = { .count = 20, .p50 = p50, .max = max } };
    row->has_alone = true;
}

START_TEST(a_loop_that_stands_still)
{
    stall(&s->rows[EVENT], 50, 49, 20.2, 21);
    judge(&c);
    expect(FINDING_STALL, "event", "the loop stood still 20 ms a request");
    s->rows[2].has_alone = false; /* sorted: event is last */
    stall(&s->rows[2], 4000, 3000, 0.05, 20);
    judge(&c);
    expect(FINDING_STALL, "event", "up to 20 ms at a time, 0.24 ms a request on average");
}
END_TEST

/* After a crash nobody serves for a while. */
START_TEST(a_crash_is_no_stall)
{
    stall(&s->rows[EVENT], 2000, 1900, 0.05, 150);
    s->rows[EVENT].runs[1].deaths = 1;
    judge(&c);
    ck_assert_ptr_null(find(FINDING_STALL, NULL));
}
END_TEST

/* 50 ms of a timer: one connection gets 20/s, 64 get 1,280. And a busy machine proves nothing. */
START_TEST(a_loop_that_waits_well)
{
    stall(&s->rows[EVENT], 1280, 20, 50, 51);
    judge(&c);
    ck_assert_ptr_null(find(FINDING_STALL, NULL));
    stall(&s->rows[2], 4000, 3000, 0.05, 20);
    s->rows[2].alone.starved = 0.6;
    judge(&c);
    ck_assert_ptr_null(find(FINDING_STALL, NULL));
}
END_TEST

START_TEST(a_handler_that_burns)
{
    for (size_t i = 0; i < ROWS; i++)
        for (size_t k = 0; k < 3; k++) {
            s->rows[i].runs[k].cpu_us = 1000 + 100.0 * (double)i;
            s->rows[i].runs[k].user_part = 0.9;
        }
    judge(&c);
    expect(FINDING_CPU, NULL, "uses 0.90 ms of processor time in the program itself");
}
END_TEST

START_TEST(a_leak_shows_in_every_round)
{
    for (size_t k = 0; k < 3; k++)
        s->rows[THREAD].runs[k].leak_bytes = 1000 + 24.0 * (double)k;
    s->rows[PREFORK].runs[1].leak_bytes = s->rows[PREFORK].runs[2].leak_bytes = 5000;
    judge(&c);
    expect(FINDING_LEAK, NULL, "grows by 1024 bytes with each request, without end: a leak (on thread)");
}
END_TEST

START_TEST(crashes)
{
    struct trial *t = &s->rows[PREFORK].runs[1];
    t->deaths = 4;
    t->counts.of[LOAD_RESET] = 12;
    judge(&c);
    expect(FINDING_CRASH, "prefork",
           "4 workers were seen to crash, 1 in 3753 requests: each cost 3.0 requests (12 reset)");
}
END_TEST

START_TEST(the_end_of_the_program)
{
    for (size_t k = 0; k < 2; k++) {
        s->rows[EVENT].runs[k].has_ended = true;
        s->rows[EVENT].runs[k].status = SIGABRT;
    }
    judge(&c);
    expect(FINDING_CRASH, "event", "the program crashed (SIGABRT) in 2 of 3 rounds, after 10000 answers on average");
}
END_TEST

START_TEST(killed_workers)
{
    workload->kill_worker_every_ms = 500;
    for (size_t i = 0; i < ROWS; i++)
        s->rows[i].runs[0].kills = s->rows[i].runs[0].deaths = 4;
    s->rows[PREFORK].runs[0].counts.of[LOAD_BAD_GATEWAY] = 10;
    s->rows[PREFORK].runs[0].silence_ms = 300;
    judge(&c);
    ck_assert_ptr_nonnull(strstr(find(FINDING_CRASH, "prefork")->text,
                                 "4 workers were killed: each cost 2.5 requests (10 502); longest silence 300 ms"));
    ck_assert_ptr_nonnull(
        strstr(find(FINDING_CRASH, "event")->text, "each cost 0.0 requests; never silent for 100 ms"));
    s->rows[0].runs[0].kills = 0;
    judge(&c);
    ck_assert_ptr_nonnull(strstr(find(FINDING_CRASH, s->rows[0].engine)->text, "no worker was killed"));
}
END_TEST

START_TEST(behind_the_common_rate)
{
    s->rows[PREFORK].has_offered = s->rows[EVENT].has_offered = true;
    s->rows[PREFORK].offered.counts = (struct load_counts){ .sent = 300, .unsent = 100 };
    s->rows[EVENT].offered.counts = (struct load_counts){ .sent = 400, .unsent = 4 };
    judge(&c);
    expect(FINDING_BEHIND, "prefork", "fell behind the common rate: 25 % of the requests that were due were not sent");
}
END_TEST

START_TEST(wrong_answers)
{
    s->rows[THREAD].runs[0].counts.of[LOAD_WRONG] = 3;
    s->rows[THREAD].runs[2].counts.of[LOAD_OTHER_4XX] = 2;
    judge(&c);
    expect(FINDING_WRONG, "thread", "thread answers wrongly: 5 of 29705 answers (3 with other content, 2 4xx)");
}
END_TEST

/* Answers to the same requests. */

static void see(struct row *row, const char *first, const char *second, const char *third)
{
    const char *texts[] = { first, second, third };
    for (int i = 0; i < COMPARE_LOOKS; i++) {
        struct seen *seen = &row->seen[0][i];
        seen->status = 200;
        seen->hash = (uint64_t)texts[i][0];
        strcpy(seen->start, texts[i]);
    }
    row->has_seen = true;
}

START_TEST(the_same_answers)
{
    for (size_t i = 0; i < ROWS; i++)
        see(&s->rows[i], "a", "a", "a");
    judge(&c);
    ck_assert_uint_eq(s->finding_count, 0);
}
END_TEST

START_TEST(an_engine_that_answers_otherwise)
{
    for (size_t i = 0; i < ROWS; i++)
        see(&s->rows[i], "a", "a", "a");
    see(&s->rows[PREFORK], "z", "z", "z");
    judge(&c);
    expect(FINDING_DIFFERS, "prefork", "prefork answers GET /price differently: \"z\", where event says \"a\"");
}
END_TEST

START_TEST(a_handler_that_counts_in_a_variable)
{
    see(&s->rows[EVENT], "1", "2", "3");
    see(&s->rows[THREAD], "1", "2", "3");
    see(&s->rows[PREFORK], "1", "1", "2");
    judge(&c);
    expect(FINDING_DIFFERS, "prefork", "\"1\", then \"1\", then \"2\", where event says \"1\", then \"2\", then \"3\"");
}
END_TEST

/* Long texts are shown from where they part. */
START_TEST(the_place_of_a_difference)
{
    for (size_t i = 0; i < ROWS; i++)
        see(&s->rows[i], "", "", "");
    for (size_t i = 0; i < ROWS; i++)
        for (int k = 0; k < COMPARE_LOOKS; k++) {
            struct seen *seen = &s->rows[i].seen[0][k];
            snprintf(seen->start, sizeof seen->start, "%0100d the price is %d", 0, i == PREFORK ? 5 : 4);
            seen->hash = i == PREFORK;
        }
    judge(&c);
    expect(FINDING_DIFFERS, "prefork", "differently: ..\"he price is 5\", where event says ..\"he price is 4\"");
}
END_TEST

START_TEST(a_clock_is_no_difference_of_engines)
{
    see(&s->rows[EVENT], "1", "2", "3");
    see(&s->rows[THREAD], "4", "5", "6");
    see(&s->rows[PREFORK], "7", "8", "9");
    judge(&c);
    expect(FINDING_DIFFERS, NULL, "each engine gives another answer");
}
END_TEST

static const struct {
    int row;
    unsigned processes, threads, leaves;
    bool is_right;
} shapes[] = {
    { EVENT, 1, 1, 1, true },   { EVENT, 2, 2, 1, true },    { EVENT, 5, 5, 4, false },    { EVENT, 1, 40, 1, false },
    { PREFORK, 9, 9, 8, true }, { PREFORK, 1, 1, 1, false }, { PREFORK, 3, 66, 2, false }, { THREAD, 1, 65, 1, true },
    { THREAD, 2, 66, 1, true }, { THREAD, 1, 1, 1, false },  { THREAD, 3, 65, 2, false },
};

START_TEST(the_tree_confirms_the_engine)
{
    for (int k = 0; k < 3; k++) {
        struct trial *t = &s->rows[shapes[_i].row].runs[k];
        t->processes = shapes[_i].processes;
        t->threads = shapes[_i].threads;
        t->leaves = shapes[_i].leaves;
    }
    judge(&c);
    ck_assert_int_eq(find(FINDING_ENGINE, NULL) == NULL, shapes[_i].is_right);
}
END_TEST

/* The table. */

static char *table(void)
{
    char *text = NULL;
    size_t len = 0;
    FILE *f = open_memstream(&text, &len);
    table_print(f, &c, "concur compare --app ./shop");
    fclose(f);
    return text;
}

START_TEST(the_table_says_it)
{
    static const char *const parts[] = {
        "* event             10000    9999..10001",
        "= thread",
        "Best: event; ties with it: thread (noise 2 %)",
        "  - memory grows by 1024 bytes",
        "503:1500",
        "Repeat a row: concur compare --app ./shop --url /price --engines event",
        "share the 2 cores",
        "prefork: it ended at once",
    };
    for (size_t k = 0; k < 3; k++)
        s->rows[THREAD].runs[k].leak_bytes = 1024;
    s->rows[EVENT].runs[0].counts.of[LOAD_UNAVAILABLE] = 1500;
    s->rows[PREFORK].run_count = 0;
    strcpy(s->rows[PREFORK].problem, "it ended at once (status 1): no");
    judge(&c);
    char *text = table();
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        ck_assert_msg(strstr(text, parts[i]) != NULL, "\"%s\" is not in\n%s", parts[i], text);
    ck_assert_ptr_null(strstr(text, "NOISY"));
    free(text);
    c.noise_rates[0] = 10;
    judge(&c);
    text = table();
    ck_assert_ptr_nonnull(strstr(text, "THE MACHINE WAS TOO NOISY"));
    free(text);
}
END_TEST

/* JSON against its page. */

static char *page;

static void read_page(void)
{
    size_t len = 0;
    FILE *f = fopen(COMPARE_PAGE, "r");
    ck_assert_ptr_nonnull(f);
    ck_assert_int_ge((int)getdelim(&page, &len, '\0', f), 0);
    fclose(f);
}

/* Its last name in backticks, alone or after a dot. */
static void is_documented(const char *path, void *arg)
{
    char name[80];
    const char *last = strrchr(path, '.');
    bool is_setting = strstr(path, "settings.") != NULL, is_percentile = strstr(path, "latency_ms.") != NULL;
    unsigned *count = arg;
    last = is_percentile ? strstr(path, "latency_ms.") + strlen("latency_ms") : last;
    ++*count;
    if (is_setting)
        return;
    snprintf(name, sizeof name, "%s`", last ? last + 1 : path);
    bool is_status = strlen(name) == 4 && strcmp(name + 1, "xx`") == 0;
    ck_assert_msg(is_status || strstr(page, name) != NULL, "%s is not in docs/compare.md", path);
}

struct wanted {
    const char *path;
    bool is_there;
};

static void tick_off(const char *path, void *arg)
{
    for (struct wanted *w = arg; w->path; w++)
        w->is_there |= strcmp(w->path, path) == 0;
}

static char *json(void)
{
    char *text = NULL;
    size_t len = 0;
    FILE *f = open_memstream(&text, &len);
    compare_json(f, &c);
    fclose(f);
    return text;
}

START_TEST(json_is_as_the_page_says)
{
    struct wanted wanted[] = {
        { "schema", false },
        { "noise.too_noisy", false },
        { "noise.good_per_second", false },
        { "advice.engine", false },
        { "advice.settings.workers", false },
        { "workloads[].findings[].text", false },
        { "workloads[].engines[].problem", false },
        { "workloads[].engines[].good_per_second.median", false },
        { "workloads[].engines[].at_common_rate.latency_ms.99.9", false },
        { "workloads[].engines[].one_connection.cpu_us", false },
        { "workloads[].engines[].rounds[].answers.closed_early", false },
        { NULL, false },
    };
    char option[] = "workers", value[] = "8";
    struct workload_setting setting = { .option = option, .value = value };
    unsigned count = 0;
    workload->settings = &setting;
    workload->setting_count = 1;
    s->rows[PREFORK].has_alone = s->rows[PREFORK].has_offered = true;
    for (int k = 0; k < 3; k++)
        s->rows[PREFORK].runs[k].good = 20000 + k;
    strcpy(s->rows[THREAD].problem, "a \"quoted\" line\n");
    judge(&c);
    char *text = json();
    read_page();
    ck_assert_msg(json_walk(text, is_documented, &count), "%s", text);
    ck_assert_uint_gt(count, 100);
    json_walk(text, tick_off, wanted);
    for (const struct wanted *w = wanted; w->path; w++)
        ck_assert_msg(w->is_there, "%s is missing", w->path);
    workload->settings = NULL;
    workload->setting_count = 0;
    free(text);
    free(page);
}
END_TEST

/* The advice. */

START_TEST(the_best_is_advised)
{
    struct advice a;
    judge(&c);
    advice_make(&a, &c);
    ck_assert_str_eq(a.engine, "event");
    ck_assert_double_eq_tol(a.score, 1, 1e-9);
}
END_TEST

/* Thread is as good, and costs less. */
START_TEST(of_equals_the_cheaper_is_advised)
{
    struct advice a;
    for (int k = 0; k < 3; k++)
        s->rows[THREAD].runs[k].cpu_us = 9;
    judge(&c);
    advice_make(&a, &c);
    ck_assert_str_eq(a.engine, "thread");
}
END_TEST

START_TEST(wrong_answers_are_not_advised)
{
    struct advice a;
    s->rows[EVENT].runs[1].counts.of[LOAD_WRONG] = 1;
    judge(&c);
    advice_make(&a, &c);
    ck_assert_str_eq(a.engine, "thread");
    for (size_t i = 0; i < ROWS; i++)
        s->rows[i].run_count = 0;
    judge(&c);
    advice_make(&a, &c);
    ck_assert_ptr_null(a.engine);
}
END_TEST

START_TEST(settings_are_those_of_the_engine)
{
    char event[] = "event", prefork[] = "prefork", workers[] = "workers", master[] = "master", on[] = "on",
         eight[] = "8";
    char backlog[] = "backlog", few[] = "64", many[] = "128";
    struct workload_setting settings[] = {
        { prefork, workers, eight }, { event, backlog, few }, { NULL, backlog, many }, { NULL, master, on }
    };
    char *text = NULL;
    size_t len = 0;
    workload->settings = settings;
    workload->setting_count = 4;
    judge(&c);
    FILE *f = open_memstream(&text, &len);
    advice_write(f, &c);
    fclose(f);
    workload->settings = NULL;
    workload->setting_count = 0;
    ck_assert_ptr_nonnull(strstr(text, "\nengine = event\nbacklog = \"64\"\nmaster = \"on\"\n"));
    ck_assert_ptr_null(strstr(text, "workers"));
    free(text);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("judge");
    TCase *t = tcase_create("judge");
    tcase_set_timeout(t, 60);
    tcase_add_checked_fixture(t, set_up, tear_down);
    tcase_add_test(t, nothing_stands_out);
    tcase_add_test(t, exit_statuses);
    tcase_add_test(t, a_loop_that_stands_still);
    tcase_add_test(t, a_crash_is_no_stall);
    tcase_add_test(t, a_loop_that_waits_well);
    tcase_add_test(t, a_handler_that_burns);
    tcase_add_test(t, a_leak_shows_in_every_round);
    tcase_add_test(t, crashes);
    tcase_add_test(t, the_end_of_the_program);
    tcase_add_test(t, killed_workers);
    tcase_add_test(t, behind_the_common_rate);
    tcase_add_test(t, wrong_answers);
    tcase_add_test(t, the_same_answers);
    tcase_add_test(t, an_engine_that_answers_otherwise);
    tcase_add_test(t, a_handler_that_counts_in_a_variable);
    tcase_add_test(t, the_place_of_a_difference);
    tcase_add_test(t, a_clock_is_no_difference_of_engines);
    tcase_add_loop_test(t, the_tree_confirms_the_engine, 0, sizeof shapes / sizeof *shapes);
    tcase_add_test(t, the_table_says_it);
    tcase_add_test(t, json_is_as_the_page_says);
    tcase_add_test(t, the_best_is_advised);
    tcase_add_test(t, of_equals_the_cheaper_is_advised);
    tcase_add_test(t, wrong_answers_are_not_advised);
    tcase_add_test(t, settings_are_those_of_the_engine);
    suite_add_tcase(suite, t);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
