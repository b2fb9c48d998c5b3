/* SPDX-License-Identifier: MIT
 *
 * Routes that are legal and probably meant otherwise: which are told of, and which are not.
 */
#include "server/route_notes.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>

static int first(concur_request *r, void *arg)
{
    (void)r, (void)arg;
    return 0;
}

static int second(concur_request *r, void *arg)
{
    (void)r, (void)arg;
    return 1;
}

static char said[8192];

static void say(void *arg, int level, const char *line)
{
    size_t n = strlen(said);
    (void)arg;
    snprintf(said + n, sizeof said - n, "%s%s\n", level == CONCUR_LOG_WARN ? "W " : "I ", line);
}

/* The lines about a set of routes; those whose pattern begins with "=" have the handler of the one before. */
static const char *notes_of(const char *const patterns[])
{
    struct cnc_router r;
    static int args[16];
    int n = 0;
    cnc_router_init(&r);
    for (int i = 0; patterns[i]; i++) {
        bool same = patterns[i][0] == '=';
        n += !same;
        ck_assert_int_eq(cnc_router_add(&r, patterns[i] + same, 0, n % 2 ? first : second, &args[n]), CONCUR_OK);
    }
    said[0] = '\0';
    cnc_route_notes(&r, say, NULL);
    cnc_router_deinit(&r);
    return said;
}

#define EXPECT(expected, ...)                                                                                          \
    do {                                                                                                               \
        static const char *const patterns_[] = { __VA_ARGS__, NULL };                                                  \
        ck_assert_str_eq(notes_of(patterns_), expected);                                                               \
    } while (0)

START_TEST(parameters_of_other_libraries)
{
    EXPECT("W route \"GET /a/:id\": :id is literal text; a parameter is written {id}\n", "GET /a/:id");
    EXPECT("W route \"/:user/:post_id\": :user is literal text; a parameter is written {user}\n"
           "W route \"/:user/:post_id\": :post_id is literal text; a parameter is written {post_id}\n",
           "/:user/:post_id");
    EXPECT("W route \"GET /a/<id>/b\": <id> is literal text; a parameter is written {id}\n", "GET /a/<id>/b");
    EXPECT("", "GET /a:b/c:", "GET /:", "GET /::", "GET /a/<>", "GET /a/<b", "GET /{id}/*rest", "GET /:a.b");
}
END_TEST

START_TEST(methods_in_lower_case)
{
    EXPECT("W route \"get /\": methods are case-sensitive; did you mean GET?\n", "get /");
    EXPECT("W route \"GET,Post,delete /x\": methods are case-sensitive; did you mean POST?\n"
           "W route \"GET,Post,delete /x\": methods are case-sensitive; did you mean DELETE?\n",
           "GET,Post,delete /x");
    EXPECT("", "PURGE /x", "purge /y", "M-SEARCH /z", "abcdefghijklmnopqrstuvwxyz /long");
}
END_TEST

START_TEST(routes_that_another_covers)
{
    EXPECT("I route \"GET /x\": \"GET /x\" was added before and takes the same requests; this one gets those that it "
           "declines\n",
           "GET /x", "GET /x");
    EXPECT("W route \"GET /x\": \"GET /x\" was added before and takes the same requests; this one does nothing\n",
           "GET /x", "=GET /x");
    EXPECT("I route \"GET /a/{name}\": \"GET,POST /a/{id}\" was added before and takes the same requests; this one "
           "gets those "
           "that it declines\n",
           "GET,POST /a/{id}", "GET /a/{name}");
    EXPECT("I route \"HEAD /x\": \"GET /x\" was added before and takes the same requests; this one gets those that it "
           "declines\n",
           "GET /x", "HEAD /x");
    EXPECT("I route \"PUT /s/*b\": \"/s/*a\" was added before and takes the same requests; this one gets those that it "
           "declines\n",
           "/s/*a", "PUT /s/*b");
    EXPECT("", "GET /x", "POST /x", "GET /x/", "GET /x/{a}", "GET /x/*a", "GET /", "HEAD /y", "GET /y", "GET /z", "/z",
           "GET,POST /w", "GET,PUT /w", "PURGE /w", "GET /x/{a}/b", "GET /x/{a}/c");
}
END_TEST

START_TEST(many_routes)
{
    struct cnc_router r;
    char pattern[64];
    cnc_router_init(&r);
    for (int i = 0; i < 500; i++) {
        snprintf(pattern, sizeof pattern, "GET /some/path/%d/{id}", i);
        ck_assert_int_eq(cnc_router_add(&r, pattern, 0, first, NULL), CONCUR_OK);
    }
    said[0] = '\0';
    cnc_route_notes(&r, say, NULL);
    ck_assert_str_eq(said, "");
    cnc_router_deinit(&r);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("core_route_notes");
    TCase *tests = tcase_create("all");
    tcase_add_test(tests, parameters_of_other_libraries);
    tcase_add_test(tests, methods_in_lower_case);
    tcase_add_test(tests, routes_that_another_covers);
    tcase_add_test(tests, many_routes);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
