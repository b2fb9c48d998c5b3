/* SPDX-License-Identifier: MIT
 *
 * The README shows examples/hello.c as it is, which is twelve lines long.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ROOM = 1 << 16 };

/* A file of this repository, which lies where this file lies. */
static void read_file(const char *name, char *out)
{
    static const char here[] = __FILE__, tail[] = "tests/unit/docs_readme.c";
    char path[4096];
    size_t n = sizeof here - sizeof tail;
    ck_assert_str_eq(here + n, tail);
    ck_assert_int_lt(snprintf(path, sizeof path, "%.*s%s", (int)n, here, name), (int)sizeof path);
    FILE *f = fopen(path, "re");
    ck_assert_msg(f != NULL, "%s", path);
    n = fread(out, 1, ROOM, f);
    ck_assert_uint_lt(n, ROOM);
    out[n] = '\0';
    fclose(f);
}

START_TEST(the_readme_shows_hello)
{
    static char readme[ROOM], hello[ROOM];
    static const char licence[] = "/* SPDX-License-Identifier: MIT */\n", fence[] = "```c\n";
    size_t lines = 0;
    read_file("README.md", readme);
    read_file("examples/hello.c", hello);
    ck_assert_int_eq(strncmp(hello, licence, sizeof licence - 1), 0);
    const char *code = hello + sizeof licence - 1, *shown = strstr(readme, fence);
    ck_assert_ptr_nonnull(shown);
    shown += sizeof fence - 1;
    ck_assert_msg(strncmp(shown, code, strlen(code)) == 0, "make it again from examples/hello.c");
    ck_assert_int_eq(strncmp(shown + strlen(code), "```\n", 4), 0);
    for (const char *p = hello; (p = strchr(p, '\n')) != NULL; p++)
        lines++;
    ck_assert_uint_le(lines, 12);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("docs_readme");
    TCase *tests = tcase_create("all");
    tcase_add_test(tests, the_readme_shows_hello);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
