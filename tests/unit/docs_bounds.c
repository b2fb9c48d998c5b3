/* SPDX-License-Identifier: MIT
 *
 * docs/bounds.md: the tests that its rows name are there, and so are the options, with the defaults that it tells.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "options/internal.h"

static char page[65536], source[1 << 20];

static void load(const char *name, char *out, size_t room)
{
    static const char here[] = __FILE__, tail[] = "tests/unit/docs_bounds.c";
    char path[4096];
    const size_t root = sizeof here - sizeof tail;
    ck_assert_str_eq(here + root, tail);
    ck_assert_int_lt(snprintf(path, sizeof path, "%.*s%s", (int)root, here, name), (int)sizeof path);
    FILE *f = fopen(path, "re");
    ck_assert_msg(f != NULL, "%s", path);
    size_t n = fread(out, 1, room - 1, f);
    fclose(f);
    out[n] = '\0';
    ck_assert_uint_lt(n, room - 1);
}

/* The first code in a cell, without the marks; "": there is none. */
static void code_of(const char *cell, char *out, size_t room)
{
    const char *from = strchr(cell, '`'), *to = from ? strchr(from + 1, '`') : NULL;
    snprintf(out, room, "%.*s", to ? (int)(to - from - 1) : 0, to ? from + 1 : "");
}

static void check_test(const char *cell)
{
    char code[256], path[300], declared[300];
    code_of(cell, code, sizeof code);
    char *colon = strstr(code, ": ");
    ck_assert_msg(colon != NULL, "no test in \"%s\"", cell);
    *colon = '\0';
    snprintf(path, sizeof path, "tests/%s", code);
    load(path, source, sizeof source);
    snprintf(declared, sizeof declared, "START_TEST(%s)", colon + 2);
    ck_assert_msg(strstr(source, declared) != NULL, "no %s in %s", declared, path);
}

static void check_option(const char *cell, const char *bound)
{
    char name[64];
    code_of(cell, name, sizeof name);
    if (!*name) {
        ck_assert_msg(strstr(cell, "none") != NULL, "%s", cell);
        return;
    }
    const struct cnc_option_row *row = cnc_option_row(name);
    ck_assert_msg(row != NULL, "no option %s", name);
    char digits[64] = "";
    for (const char *p = bound; *p && *p != ';' && strlen(digits) < sizeof digits - 1; p++)
        if (*p != ',' && *p != ' ')
            strncat(digits, p, 1);
    ck_assert_msg(strncmp(digits, row->dflt, strlen(row->dflt)) == 0, "%s: \"%s\", and the default is %s", name, bound,
                  row->dflt);
}

START_TEST(rows_are_true)
{
    unsigned rows = 0;
    load("docs/bounds.md", page, sizeof page);
    for (char *line = page, *next; line; line = next) {
        char *cells[7] = { 0 };
        unsigned n = 0;
        next = strchr(line, '\n');
        if (next)
            *next++ = '\0';
        if (line[0] != '|' || strncmp(line, "|---", 4) == 0 || strncmp(line, "| What", 6) == 0)
            continue;
        for (char *p = strchr(line, '|'); p && n < 7; p = strchr(p + 1, '|'))
            cells[n++] = p + 1;
        ck_assert_msg(n == 7, "%u columns: %s", n, line);
        for (unsigned i = 1; i < n; i++)
            cells[i][-1] = '\0';
        check_option(cells[3], cells[2]);
        check_test(cells[5]);
        rows++;
    }
    ck_assert_uint_gt(rows, 20);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("docs_bounds");
    TCase *tests = tcase_create("all");
    tcase_add_test(tests, rows_are_true);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
