/* SPDX-License-Identifier: MIT
 *
 * docs/states.md says what the code says: its tables are compared, cell by cell, with the text of the sources, and its
 * names of states with those of the library.
 */
#include <check.h>
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conn/conn.h"
#include "proc/master_internal.h"
#include "request/request.h"

enum { CELLS_MAX = 12, ROWS_MAX = 24, NAME_MAX_LEN = 160 };

/* A table of the page: the first row holds the column names. */
struct table {
    char cell[ROWS_MAX][CELLS_MAX][NAME_MAX_LEN];
    size_t rows, columns;
};

static char *page, *source;

/* The text of a file of this repository, which lies where this file lies. */
static char *read_file(const char *name)
{
    static const char here[] = __FILE__, tail[] = "tests/unit/docs_states.c";
    char path[4096];
    size_t n = sizeof here - sizeof tail, len;
    ck_assert_str_eq(here + n, tail);
    ck_assert_int_lt(snprintf(path, sizeof path, "%.*s%s", (int)n, here, name), (int)sizeof path);
    FILE *f = fopen(path, "re");
    ck_assert_msg(f != NULL, "%s", path);
    enum { ROOM = 1 << 17 };
    char *text = malloc(ROOM);
    ck_assert_ptr_nonnull(text);
    len = fread(text, 1, ROOM, f);
    ck_assert_uint_lt(len, ROOM);
    text[len] = '\0';
    fclose(f);
    return text;
}

static void trim(char *s)
{
    size_t n = strlen(s), first = strspn(s, " `");
    while (n > first && (s[n - 1] == ' ' || s[n - 1] == '`'))
        n--;
    memmove(s, s + first, n - first);
    s[n - first] = '\0';
}

/* One row, from its first bar; returns the start of the next line. */
static const char *read_row(const char *p, struct table *t)
{
    size_t column = 0;
    ck_assert_uint_lt(t->rows, ROWS_MAX);
    for (p++; *p != '\n'; column++) {
        size_t n = strcspn(p, "|\n");
        char cell[512];
        ck_assert_uint_lt(column, CELLS_MAX);
        ck_assert_uint_lt(n, sizeof cell);
        memcpy(cell, p, n);
        cell[n] = '\0';
        trim(cell);
        snprintf(t->cell[t->rows][column], NAME_MAX_LEN, "%.*s", NAME_MAX_LEN - 1, cell);
        p += n + (p[n] == '|');
    }
    if (!t->rows)
        t->columns = column;
    ck_assert_uint_eq(column, t->columns);
    t->rows++;
    return p + 1;
}

/* The first table behind heading whose first row begins with start. */
static void read_table(const char *heading, const char *start, struct table *t)
{
    const char *p = strstr(page, heading);
    ck_assert_msg(p != NULL, "no heading %s", heading);
    p = strstr(p, start);
    ck_assert_msg(p != NULL, "no table %s", start);
    memset(t, 0, sizeof *t);
    while (*p == '|') {
        p = read_row(p, t);
        if (strncmp(p, "|---", 4) == 0)
            p = strchr(p, '\n') + 1;
    }
    ck_assert_uint_gt(t->rows, 1);
}

/* "REPLY_KEEP" for the nth enumerator that begins with prefix, behind start. False: there is no such one. */
static bool enumerator(const char *start, const char *prefix, size_t nth, char *out, size_t size)
{
    const char *p = strstr(source, start), *end;
    ck_assert_msg(p != NULL, "no %s", start);
    end = strstr(p, "};");
    for (size_t i = 0; (p = strstr(p, prefix)) != NULL && p < end; i++) {
        p += strlen(prefix);
        if (i == nth) {
            size_t n = strspn(p, "ABCDEFGHIJKLMNOPQRSTUVWXYZ_");
            snprintf(out, size, "%.*s", (int)n, p);
            return true;
        }
    }
    return false;
}

/* As an enumerator has it. */
static void upper(const char *s, char *out, size_t size)
{
    size_t n = 0;
    for (; s[n] && n + 1 < size; n++)
        out[n] = s[n] == ' ' ? '_' : (char)toupper((unsigned char)s[n]);
    out[n] = '\0';
}

/* What the source's table has behind "[EVENT] = " in the block of a state, up to the comma; "-" if nothing. A block is one
 * line, or ends on a line of its own. */
static const char *first_table = "table[";

static void source_cell(const char *state_key, const char *event_key, char *out, size_t size)
{
    const char *table = strstr(source, first_table);
    ck_assert_ptr_nonnull(table);
    const char *block = strstr(table, state_key);
    ck_assert_msg(block != NULL, "no %s", state_key);
    const char *line = block + strcspn(block, "\n");
    bool is_one_line = line[-1] == ',' && line[-2] == '}';
    const char *end = is_one_line ? line : strstr(block, "\n    }");
    const char *p = strstr(block, event_key);
    snprintf(out, size, "-");
    ck_assert_ptr_nonnull(end);
    if (p && p < end) {
        p += strlen(event_key);
        snprintf(out, size, "%.*s", (int)strcspn(p, ", "), p);
    }
}

/* Every row of the table but the first is an event, every column a state. state_format and event_format make the
 * source's keys; cell_format makes of the page's cell what the source says. */
static void compare(const struct table *t, const char *state_format, const char *event_format, const char *cell_format)
{
    for (size_t row = 1; row < t->rows; row++)
        for (size_t column = 1; column < t->columns; column++) {
            char state[NAME_MAX_LEN], cell[NAME_MAX_LEN], state_key[256], event_key[256], have[256], want[256];
            upper(t->cell[0][column], state, sizeof state);
            snprintf(state_key, sizeof state_key, state_format, state);
            snprintf(event_key, sizeof event_key, event_format, t->cell[row][0]);
            source_cell(state_key, event_key, want, sizeof want);
            upper(t->cell[row][column], cell, sizeof cell);
            bool none = strcmp(cell, "-") == 0;
            snprintf(have, sizeof have, none ? "%s" : cell_format, *cell_format == '%' ? t->cell[row][column] : cell);
            ck_assert_msg(strcmp(have, want) == 0, "%s in %s: the page says %s, the source %s", t->cell[row][0],
                          t->cell[0][column], have, want);
        }
}

static void compare_events(const struct table *t, const char *start, const char *prefix, const char *last)
{
    char name[64];
    size_t n = 0;
    for (; enumerator(start, prefix, n, name, sizeof name); n++) {
        ck_assert_msg(n + 1 < t->rows, "the page lacks %s", name);
        ck_assert_str_eq(t->cell[n + 1][0], name);
    }
    ck_assert_uint_eq(n + 1, t->rows);
    ck_assert_msg(n > 2 && strcmp(t->cell[n][0], last) == 0, "the source's list was not understood");
}

/* The columns of the matrix and the rows of the list of states, both in the order of the enum. */
static void compare_states(const char *heading, const struct table *matrix, int count, const char *(*name)(int))
{
    struct table list;
    read_table(heading, "| state |", &list);
    ck_assert_uint_eq(list.rows, (size_t)count + 1);
    ck_assert_uint_eq(matrix->columns, (size_t)count + 1);
    for (int i = 0; i < count; i++) {
        ck_assert_str_eq(list.cell[i + 1][0], name(i));
        ck_assert_str_eq(matrix->cell[0][i + 1], name(i));
    }
}

static void set_up(void)
{
    page = read_file("docs/states.md");
    source = NULL;
}

static void tear_down(void)
{
    free(page);
    free(source);
}

static void look_into(const char *name)
{
    free(source);
    source = read_file(name);
}

START_TEST(the_connection)
{
    struct table t;
    read_table("## Connection", "| event |", &t);
    compare_states("## Connection", &t, CNC_CONN_STATES, cnc_conn_state_name);
    look_into("src/conn/conn.h");
    compare_events(&t, "enum cnc_conn_event {", "CNC_CONN_ON_", "DRAIN");
    look_into("src/conn/states.c");
    compare(&t, "[CNC_CONN_%s] = {", "[CNC_CONN_ON_%s] = ", "%s");
}
END_TEST

START_TEST(the_exchange)
{
    struct table t;
    read_table("### Its body", "| event |", &t);
    compare_states("### Its body", &t, CNC_EXCHANGE_BODY_STATES, cnc_exchange_body_name);
    look_into("src/conn/exchange.h");
    compare_events(&t, "enum cnc_exchange_body_event {", "CNC_EXCHANGE_ON_", "SKIP");
    look_into("src/conn/exchange.c");
    first_table = "exchange_body_table[";
    compare(&t, "[CNC_EXCHANGE_BODY_%s] = {", "[CNC_EXCHANGE_ON_%s] = ", "BODY(%s)");
    read_table("### Its reply", "| event |", &t);
    compare_states("### Its reply", &t, CNC_EXCHANGE_REPLY_STATES, cnc_exchange_reply_name);
    look_into("src/conn/exchange.h");
    compare_events(&t, "enum cnc_exchange_reply_event {", "CNC_EXCHANGE_ON_", "ABORT");
    look_into("src/conn/exchange.c");
    first_table = "exchange_reply_table[";
    compare(&t, "[CNC_EXCHANGE_REPLY_%s] = {", "[CNC_EXCHANGE_ON_%s] = ", "REPLY(%s)");
}
END_TEST

static bool is_listed(const struct table *actions, const char *name)
{
    for (size_t row = 1; row < actions->rows; row++)
        if (strcmp(actions->cell[row][0], name) == 0)
            return true;
    return false;
}

/* Cells of the matrix behind heading are rows of its list of actions, and those are functions of the source. */
static void compare_actions(const char *heading, const char *returns, const char *parameters)
{
    struct table t, actions;
    read_table(heading, "| event |", &t);
    read_table(heading, "| action |", &actions);
    for (size_t row = 1; row < t.rows; row++)
        for (size_t column = 1; column < t.columns; column++)
            ck_assert_msg(strcmp(t.cell[row][column], "-") == 0 || is_listed(&actions, t.cell[row][column]), "%s",
                          t.cell[row][column]);
    for (size_t row = 1; row < actions.rows; row++) {
        char function[512];
        snprintf(function, sizeof function, "static %s %.150s(%s)", returns, actions.cell[row][0], parameters);
        ck_assert_msg(strstr(source, function) != NULL, "no action %s", actions.cell[row][0]);
    }
}

START_TEST(every_action_is_explained)
{
    look_into("src/conn/states.c");
    compare_actions("## Connection", "unsigned", "struct cnc_conn *conn");
    look_into("src/proc/slot.c");
    compare_actions("## Worker slot", "void", "struct cnc_slot *slot, const struct step *s");
    look_into("src/proc/generation.c");
    compare_actions("## Generation", "void", "struct cnc_master *m, struct cnc_generation *gen, int64_t now");
}
END_TEST

START_TEST(the_slot)
{
    struct table t;
    read_table("## Worker slot", "| event |", &t);
    compare_states("## Worker slot", &t, CNC_SLOT_STATES, cnc_slot_state_name);
    look_into("src/proc/slot.h");
    compare_events(&t, "enum cnc_slot_event {", "CNC_SLOT_ON_", "DEADLINE");
    look_into("src/proc/slot.c");
    compare(&t, "[CNC_SLOT_%s] = {", "[CNC_SLOT_ON_%s] = ", "%s");
}
END_TEST

START_TEST(the_generation)
{
    struct table t;
    read_table("## Generation", "| event |", &t);
    compare_states("## Generation", &t, CNC_GENERATION_STATES, cnc_generation_state_name);
    look_into("src/proc/master_internal.h");
    compare_events(&t, "enum cnc_generation_event {", "CNC_GENERATION_ON_", "EMPTY");
    look_into("src/proc/generation.c");
    compare(&t, "[CNC_GENERATION_%s] = {", "[CNC_GENERATION_ON_%s] = ", "%s");
}
END_TEST

START_TEST(the_request)
{
    struct table t;
    read_table("## Request", "| event |", &t);
    compare_states("## Request", &t, CNC_REQUEST_STATES, cnc_request_state_name);
    look_into("src/request/machine.c");
    compare_events(&t, "enum request_event {", " ON_", "BACK_DONE");
    compare(&t, "[CNC_REQUEST_%s] = {", "[ON_%s] = ", "TO(%s)");
}
END_TEST

START_TEST(the_stop)
{
    struct table t;
    char name[64], phase[NAME_MAX_LEN];
    size_t n = 0;
    read_table("## The stop", "| phase |", &t);
    look_into("src/serve/serving.h");
    for (; enumerator("enum cnc_serving_phase {", "CNC_SERVING_", n, name, sizeof name); n++) {
        ck_assert_uint_lt(n + 1, t.rows);
        upper(t.cell[n + 1][0], phase, sizeof phase);
        ck_assert_str_eq(phase, name);
    }
    ck_assert_uint_eq(n + 1, t.rows);
    ck_assert_uint_eq(n, 4);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("docs_states");
    TCase *tests = tcase_create("all");
    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_add_test(tests, the_connection);
    tcase_add_test(tests, the_exchange);
    tcase_add_test(tests, every_action_is_explained);
    tcase_add_test(tests, the_request);
    tcase_add_test(tests, the_slot);
    tcase_add_test(tests, the_generation);
    tcase_add_test(tests, the_stop);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
