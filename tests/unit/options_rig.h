/* SPDX-License-Identifier: MIT
 *
 * For tests of the options: a set of them, and a file.
 */
#ifndef CNC_OPTIONS_RIG_H
#define CNC_OPTIONS_RIG_H

#include "base/sys.h"
#include "options/config.h"
#include "options/internal.h"
#include "options/options.h"

#include <check.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/error.h"

static struct cnc_options *o;
static struct cnc_config config;
static char path[32];

static inline void set_up(void)
{
    o = cnc_options_create();
    ck_assert_ptr_nonnull(o);
    snprintf(path, sizeof path, "/tmp/core_options.XXXXXX");
    int fd = mkstemp(path);
    ck_assert_int_ge(fd, 0);
    close(fd);
}

static inline void tear_down(void)
{
    static const char *const variables[] = { "CONCUR_ENGINE",        "CONCUR_LISTEN",     "CONCUR_BACKLOG",
                                             "CONCUR_ENVIRONMENT",   "CONCUR_NAME",       "CONCUR_BLOCKING",
                                             "CONCUR_SERVER",        "CONCUR_TREADS_MAX", "CONCUR_NAEM",
                                             "CONCUR_OTHER_PROGRAM", "CONCURRENT" };
    for (size_t i = 0; i < CNC_COUNT(variables); i++)
        unsetenv(variables[i]);
    unlink(path);
    cnc_options_destroy(&o);
    ck_assert_ptr_null(o);
    cnc_options_destroy(&o);
}

static inline int set(enum cnc_layer layer, const char *name, const char *value)
{
    return cnc_options_set(o, layer, NULL, name, value, NULL);
}

static inline void write_bytes(const char *text, size_t n)
{
    FILE *f = fopen(path, "w");
    ck_assert_ptr_nonnull(f);
    ck_assert_uint_eq(fwrite(text, 1, n, f), n);
    fclose(f);
}

static inline int load(const char *text)
{
    write_bytes(text, strlen(text));
    return cnc_options_load_file(o, path);
}

static inline void expect_in(const char *text, const char *part)
{
    ck_assert_msg(strstr(text, part) != NULL, "'%s' is not in:\n%.2000s", part, text);
}

/* CONCUR_TEST_SEED, or one of the moment; printed, so that a failure can be repeated. */
static inline uint64_t test_seed(void)
{
    const char *given = getenv("CONCUR_TEST_SEED");
    uint64_t seed = given && *given ? strtoull(given, NULL, 10) : ((uint64_t)time(NULL) << 20) + (uint64_t)getpid();
    printf("CONCUR_TEST_SEED=%llu\n", (unsigned long long)seed);
    fflush(stdout);
    return seed;
}

static inline uint64_t test_random(uint64_t *state)
{
    uint64_t z = *state += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

static inline int run_tests(const char *name, void (*add)(TCase *))
{
    Suite *suite = suite_create(name);
    TCase *tests = tcase_create("all");
    tcase_add_checked_fixture(tests, set_up, tear_down);
    add(tests);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

#endif
