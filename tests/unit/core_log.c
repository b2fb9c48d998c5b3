/* SPDX-License-Identifier: MIT
 *
 * The log: one line a call, whatever a peer sent.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "core/log.h"

struct kept {
    int level;
    unsigned count;
    char line[2 * CNC_LOG_LINE_MAX];
};

static void keep(int level, const char *line, void *arg)
{
    struct kept *k = arg;
    k->level = level;
    k->count++;
    snprintf(k->line, sizeof k->line, "%s", line);
}

static const char *expected_of(unsigned char c)
{
    static char out[8];
    bool plain = c >= 0x20 && c < 0x7f && c != '\\';
    snprintf(out, sizeof out, plain ? "%c" : "\\x%02x", c);
    return out;
}

START_TEST(every_byte_alone_and_between)
{
    struct kept k = { 0 };
    struct cnc_log log = { .fn = keep, .arg = &k };
    char expected[32];
    for (unsigned c = 1; c < 256; c++) {
        cnc_log(&log, CONCUR_LOG_INFO, "%c", (char)c);
        ck_assert_str_eq(k.line, expected_of((unsigned char)c));
        cnc_log(&log, CONCUR_LOG_INFO, "a%cb", (char)c);
        snprintf(expected, sizeof expected, "a%sb", expected_of((unsigned char)c));
        ck_assert_str_eq(k.line, expected);
    }
    ck_assert_uint_eq(k.count, 510);
}
END_TEST

START_TEST(no_line_can_be_forged)
{
    struct kept k = { 0 };
    struct cnc_log log = { .fn = keep, .arg = &k };
    cnc_log(&log, CONCUR_LOG_WARN, "path \"%s\"", "/a\r\nconcur: error: forged\x1b[2J\\x0a");
    ck_assert_uint_eq(k.count, 1);
    ck_assert_int_eq(k.level, CONCUR_LOG_WARN);
    ck_assert_str_eq(k.line, "path \"/a\\x0d\\x0aconcur: error: forged\\x1b[2J\\x5cx0a\"");
}
END_TEST

/* Lines of every length around the limit, of bytes that grow and of bytes that do not. */
START_TEST(long_lines_are_cut_between_escapes)
{
    struct kept k = { 0 };
    struct cnc_log log = { .fn = keep, .arg = &k };
    char text[2 * CNC_LOG_LINE_MAX + 1];
    for (size_t n = 0; n < sizeof text; n += n < 200 ? 50 : 1) {
        for (int bad = 0; bad < 2; bad++) {
            memset(text, bad ? '\n' : 'a', n);
            text[n] = '\0';
            cnc_log(&log, CONCUR_LOG_ERROR, "%s", text);
            size_t len = strlen(k.line);
            ck_assert_uint_lt(len, CNC_LOG_LINE_MAX);
            ck_assert_uint_eq(strspn(k.line, bad ? "\\x0a" : "a"), len);
            ck_assert(!bad || len % 4 == 0);
            size_t whole = bad ? 4 * n : n;
            ck_assert(whole <= 1000 ? len == whole : len > 1000);
        }
    }
}
END_TEST

START_TEST(levels_reach_the_sink_as_they_are)
{
    struct kept k = { 0 };
    struct cnc_log log = { .fn = keep, .arg = &k, .to_stderr = true };
    for (int level = CONCUR_LOG_ERROR; level <= CONCUR_LOG_DEBUG; level++) {
        cnc_log(&log, level, "x");
        ck_assert_int_eq(k.level, level);
    }
    ck_assert_uint_eq(k.count, 4);
}
END_TEST

/* What stderr gets while fn runs. */
static void capture(char *out, size_t n, const struct cnc_log *log)
{
    FILE *file = tmpfile();
    ck_assert_ptr_nonnull(file);
    int saved = dup(STDERR_FILENO);
    dup2(fileno(file), STDERR_FILENO);
    for (int level = CONCUR_LOG_ERROR; level <= CONCUR_LOG_DEBUG; level++)
        cnc_log(log, level, "line\n%d", level);
    dup2(saved, STDERR_FILENO);
    close(saved);
    rewind(file);
    out[fread(out, 1, n - 1, file)] = '\0';
    fclose(file);
}

START_TEST(without_a_sink_stderr_gets_what_is_grave_if_allowed)
{
    char out[512];
    struct cnc_log log = { .to_stderr = true };
    capture(out, sizeof out, &log);
    ck_assert_str_eq(out, "concur: error: line\\x0a1\nconcur: warning: line\\x0a2\n");
    log.to_stderr = false;
    capture(out, sizeof out, &log);
    ck_assert_str_eq(out, "");
    struct kept k = { 0 };
    log = (struct cnc_log){ .fn = keep, .arg = &k, .to_stderr = true };
    capture(out, sizeof out, &log);
    ck_assert_str_eq(out, "");
}
END_TEST

int main(void)
{
    Suite *s = suite_create("core_log");
    TCase *t = tcase_create("log");
    tcase_add_test(t, every_byte_alone_and_between);
    tcase_add_test(t, no_line_can_be_forged);
    tcase_add_test(t, long_lines_are_cut_between_escapes);
    tcase_add_test(t, levels_reach_the_sink_as_they_are);
    tcase_add_test(t, without_a_sink_stderr_gets_what_is_grave_if_allowed);
    suite_add_tcase(s, t);
    SRunner *runner = srunner_create(s);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
