/* SPDX-License-Identifier: MIT
 *
 * What the public headers promise without a server that runs: numbers that never change, texts, NULL servers, and set-up
 * errors that stick.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <concur/concur.h>

/* The binary interface: a program compiled today must mean the same to every later library. */
#define FIXED(name, number) _Static_assert((name) == (number), #name " must stay " #number)
FIXED(CONCUR_OK, 0);
FIXED(CONCUR_DECLINE, 1);
FIXED(CONCUR_AGAIN, 2);
FIXED(CONCUR_E_INVAL, -1);
FIXED(CONCUR_E_NOMEM, -2);
FIXED(CONCUR_E_SYS, -3);
FIXED(CONCUR_E_STATE, -4);
FIXED(CONCUR_E_OPTION, -5);
FIXED(CONCUR_E_LISTEN, -6);
FIXED(CONCUR_E_THREADS, -7);
FIXED(CONCUR_E_FORKED, -8);
FIXED(CONCUR_E_HOME, -9);
FIXED(CONCUR_E_UNSUPPORTED, -10);
FIXED(CONCUR_E_GONE, -11);
FIXED(CONCUR_E_CANCELLED, -12);
FIXED(CONCUR_E_STOPPING, -13);
FIXED(CONCUR_E_FULL, -14);
FIXED(CONCUR_E_TIMEOUT, -15);
FIXED(CONCUR_E_UPSTREAM, -16);
FIXED(CONCUR_E_LIMIT, -17);
FIXED(CONCUR_E_BUSY, -18);
FIXED(CONCUR_ENGINE_DEFAULT, 0);
FIXED(CONCUR_ENGINE_PREFORK, 1);
FIXED(CONCUR_ENGINE_THREAD, 2);
FIXED(CONCUR_ENGINE_EVENT, 3);
FIXED(CONCUR_ENGINE_PROCESS_THREAD, 4);
FIXED(CONCUR_ENGINE_PROCESS_EVENT, 5);
FIXED(CONCUR_ENGINE_EVENT_POOL, 6);
FIXED(CONCUR_ROUTE_BLOCKING, 1);
FIXED(CONCUR_ROUTE_STREAM, 2);
FIXED(CONCUR_ROUTE_IN_MEMORY, 4);
FIXED(CONCUR_HOOK_BEFORE_FORK, 1);
FIXED(CONCUR_HOOK_WORKER_START, 2);
FIXED(CONCUR_HOOK_WORKER_EXIT, 3);
FIXED(CONCUR_HOOK_EVENT, 4);
FIXED(CONCUR_NEED_SHARED_MEMORY, 1);
FIXED(CONCUR_READ, 1);
FIXED(CONCUR_WRITE, 2);
FIXED(CONCUR_IN_PARAM, 1);
FIXED(CONCUR_IN_QUERY, 2);
FIXED(CONCUR_IN_FORM, 3);
FIXED(CONCUR_IN_HEADER, 4);
FIXED(CONCUR_IN_COOKIE, 5);
FIXED(CONCUR_ROUTES_MAIN_ONLY, 1);
FIXED(CONCUR_PAGE_ALL, 0);
FIXED(CONCUR_PAGE_4XX, 4);
FIXED(CONCUR_PAGE_5XX, 5);
FIXED(CONCUR_COOKIE_SECURE, 1);
FIXED(CONCUR_COOKIE_HTTP_ONLY, 2);
FIXED(CONCUR_COOKIE_LAX, 4);
FIXED(CONCUR_COOKIE_STRICT, 8);
FIXED(CONCUR_COOKIE_CROSS_SITE, 16);
FIXED(CONCUR_HTTP_1_0, 10);
FIXED(CONCUR_HTTP_1_1, 11);
FIXED(CONCUR_LOG_ERROR, 1);
FIXED(CONCUR_LOG_WARN, 2);
FIXED(CONCUR_LOG_INFO, 3);
FIXED(CONCUR_LOG_DEBUG, 4);
FIXED(CONCUR_TEXT_HELP, 1);
FIXED(CONCUR_TEXT_DUMP, 2);
FIXED(CONCUR_TEXT_NOTES, 3);

static int handler(concur_request *r, void *arg)
{
    (void)r, (void)arg;
    return CONCUR_OK;
}

static void no_log(int level, const char *line, void *arg)
{
    (void)level, (void)line, (void)arg;
}

START_TEST(version_is_that_of_the_headers)
{
    char made[32];
    snprintf(made, sizeof made, "%d.%d.%d", CONCUR_VERSION_MAJOR, CONCUR_VERSION_MINOR, CONCUR_VERSION_PATCH);
    ck_assert_str_eq(CONCUR_VERSION, made);
    ck_assert_str_eq(concur_version(), CONCUR_VERSION);
}
END_TEST

START_TEST(every_code_has_a_text_of_its_own)
{
    for (int a = CONCUR_E_BUSY; a <= CONCUR_AGAIN; a++) {
        ck_assert_str_ne(concur_strerror(a), "");
        ck_assert_str_ne(concur_strerror(a), "unknown code");
        for (int b = CONCUR_E_BUSY; b < a; b++)
            ck_assert_str_ne(concur_strerror(a), concur_strerror(b));
    }
    ck_assert_str_eq(concur_strerror(CONCUR_E_BUSY - 1), "unknown code");
    ck_assert_str_eq(concur_strerror(CONCUR_AGAIN + 1), "unknown code");
}
END_TEST

START_TEST(engines_have_names)
{
    static const char *const names[] = { "default",        "prefork",       "thread",    "event",
                                         "process-thread", "process-event", "event-pool" };
    for (int i = 0; i < 7; i++) {
        ck_assert_str_eq(concur_engine_name(i), names[i]);
        ck_assert_int_eq(concur_engine_parse(names[i]), i);
    }
    ck_assert_ptr_null(concur_engine_name(-1));
    ck_assert_ptr_null(concur_engine_name(7));
    ck_assert_int_eq(concur_engine_parse(NULL), CONCUR_E_INVAL);
    ck_assert_int_eq(concur_engine_parse(""), CONCUR_E_INVAL);
    ck_assert_int_eq(concur_engine_parse("Event"), CONCUR_E_INVAL);
    ck_assert_int_eq(concur_engine_parse("event-"), CONCUR_E_INVAL);
}
END_TEST

START_TEST(no_server_is_an_error_and_no_crash)
{
    char text[64];
    size_t len = sizeof text;
    ck_assert_int_eq(concur_server_route(NULL, "GET /", 0, handler, NULL), CONCUR_E_INVAL);
    ck_assert_int_eq(concur_server_set(NULL, NULL, "threads_max", "1"), CONCUR_E_INVAL);
    ck_assert_int_eq(concur_server_override(NULL, NULL, "threads_max", "1"), CONCUR_E_INVAL);
    ck_assert_int_eq(concur_server_listen(NULL, "127.0.0.1:0"), CONCUR_E_INVAL);
    ck_assert_int_eq(concur_server_log(NULL, no_log, NULL), CONCUR_E_INVAL);
    ck_assert_int_eq(concur_server_check(NULL), CONCUR_E_INVAL);
    ck_assert_int_eq(concur_server_run(NULL), CONCUR_E_INVAL);
    ck_assert_int_eq(concur_server_start(NULL), CONCUR_E_INVAL);
    ck_assert_int_eq(concur_server_stop(NULL, 0), CONCUR_E_INVAL);
    ck_assert_int_eq(concur_server_reload(NULL), CONCUR_E_INVAL);
    ck_assert_int_eq(concur_server_wait(NULL), CONCUR_E_INVAL);
    ck_assert_int_eq(concur_server_address(NULL, 0, text, sizeof text), CONCUR_E_INVAL);
    ck_assert_int_eq(concur_server_status(NULL, text, &len), CONCUR_E_INVAL);
    ck_assert_int_eq(concur_server_text(NULL, CONCUR_TEXT_HELP, text, &len), CONCUR_E_INVAL);
    ck_assert_int_eq(concur_server_engine(NULL), CONCUR_E_INVAL);
    ck_assert_ptr_nonnull(concur_server_error(NULL));
    concur_server_free(NULL);
}
END_TEST

START_TEST(set_up_errors_stick)
{
    concur_server *s = concur_server_new(CONCUR_ENGINE_EVENT, NULL);
    ck_assert_int_eq(concur_server_listen(s, "127.0.0.1:0"), CONCUR_OK);
    ck_assert_int_eq(concur_server_route(s, "GET /", 0, handler, NULL), CONCUR_OK);
    ck_assert_int_eq(concur_server_check(s), CONCUR_OK);
    ck_assert_str_eq(concur_server_error(s), "");
    ck_assert_int_eq(concur_server_route(s, "no slash", 0, handler, NULL), CONCUR_E_INVAL);
    ck_assert_int_eq(concur_server_set(s, NULL, "no_such_option", "1"), CONCUR_E_OPTION);
    ck_assert_ptr_nonnull(strstr(concur_last_error(), "no_such_option"));
    ck_assert_int_eq(concur_server_check(s), CONCUR_E_INVAL);
    ck_assert_int_eq(concur_server_start(s), CONCUR_E_INVAL);
    ck_assert_ptr_nonnull(strstr(concur_server_error(s), "no slash"));
    ck_assert_ptr_nonnull(strstr(concur_server_error(s), "no_such_option"));
    concur_server_free(s);
}
END_TEST

START_TEST(bad_routes_are_refused)
{
    static const char *const bad[] = { "",         "GET",        "GET ",        "GET hello", "GET /{",     "GET /{}",
                                       "GET /{a",  "GET /{a}b",  "GET /{a}/{a}", "GET /*a/b", "GE T /",     "GET, /",
                                       ",GET /",   "GET,GET /",  "G@T /" };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        concur_server *s = concur_server_new(CONCUR_ENGINE_EVENT, NULL);
        ck_assert_msg(concur_server_route(s, bad[i], 0, handler, NULL) == CONCUR_E_INVAL, "'%s' was accepted", bad[i]);
        concur_server_free(s);
    }
    concur_server *s = concur_server_new(CONCUR_ENGINE_EVENT, NULL);
    ck_assert_int_eq(concur_server_route(s, NULL, 0, handler, NULL), CONCUR_E_INVAL);
    ck_assert_int_eq(concur_server_route(s, "GET /", 0, NULL, NULL), CONCUR_E_INVAL);
    ck_assert_int_eq(concur_server_route(s, "GET /", 1u << 30, handler, NULL), CONCUR_E_INVAL);
    concur_server_free(s);
}
END_TEST

START_TEST(an_engine_that_lacks_what_is_required_is_unsupported)
{
    concur_server *s = concur_server_new(CONCUR_ENGINE_PREFORK, NULL);
    concur_server_listen(s, "127.0.0.1:0");
    ck_assert_int_eq(concur_server_check(s), CONCUR_OK);
    ck_assert_int_eq(concur_server_require(s, CONCUR_NEED_SHARED_MEMORY), CONCUR_OK);
    ck_assert_int_eq(concur_server_check(s), CONCUR_E_UNSUPPORTED);
    ck_assert_ptr_nonnull(strstr(concur_server_error(s), "prefork"));
    ck_assert_int_eq(concur_server_engine(s), CONCUR_ENGINE_PREFORK);
    concur_server_free(s);
    s = concur_server_new(99, NULL);
    concur_server_listen(s, "127.0.0.1:0");
    ck_assert_int_eq(concur_server_check(s), CONCUR_E_INVAL);
    concur_server_free(s);
}
END_TEST

START_TEST(without_an_address_there_is_nothing_to_serve)
{
    concur_server *s = concur_server_new(CONCUR_ENGINE_THREAD, NULL);
    ck_assert_int_eq(concur_server_check(s), CONCUR_E_LISTEN);
    ck_assert_int_eq(concur_server_start(s), CONCUR_E_LISTEN);
    concur_server_free(s);
}
END_TEST

START_TEST(overrides_beat_the_program)
{
    unsetenv("CONCUR_ENGINE");
    concur_server *s = concur_server_new(CONCUR_ENGINE_EVENT, NULL);
    ck_assert_int_eq(concur_server_engine(s), CONCUR_ENGINE_EVENT);
    ck_assert_int_eq(concur_server_override(s, NULL, "engine", "thread"), CONCUR_OK);
    ck_assert_int_eq(concur_server_engine(s), CONCUR_ENGINE_THREAD);
    concur_server_free(s);
}
END_TEST

START_TEST(texts_say_how_much_room_they_need)
{
    concur_server *s = concur_server_new(CONCUR_ENGINE_EVENT, NULL);
    size_t len = 0;
    ck_assert_int_eq(concur_server_text(s, CONCUR_TEXT_HELP, NULL, &len), CONCUR_E_LIMIT);
    ck_assert_uint_gt(len, 0);
    size_t room = len + 1, small = len;
    char *text = malloc(room);
    ck_assert_int_eq(concur_server_text(s, CONCUR_TEXT_HELP, text, &small), CONCUR_E_LIMIT);
    ck_assert_uint_eq(small, len);
    ck_assert_str_eq(text, "");
    ck_assert_int_eq(concur_server_text(s, CONCUR_TEXT_HELP, text, &room), CONCUR_OK);
    ck_assert_uint_eq(room, len);
    ck_assert_uint_eq(strlen(text), len);
    ck_assert_ptr_nonnull(strstr(text, "threads_max"));
    ck_assert_int_eq(concur_server_text(s, 99, text, &room), CONCUR_E_INVAL);
    ck_assert_int_eq(concur_server_text(s, CONCUR_TEXT_HELP, text, NULL), CONCUR_E_INVAL);
    free(text);
    concur_server_free(s);
}
END_TEST

START_TEST(a_server_that_does_not_run_says_so)
{
    char text[64];
    size_t len = sizeof text;
    concur_server *s = concur_server_new(CONCUR_ENGINE_EVENT, NULL);
    ck_assert_int_eq(concur_server_stop(s, 0), CONCUR_E_STATE);
    ck_assert_int_eq(concur_server_wait(s), CONCUR_E_STATE);
    ck_assert_int_eq(concur_server_reload(s), CONCUR_E_STATE);
    ck_assert_int_eq(concur_server_address(s, 0, text, sizeof text), CONCUR_E_STATE);
    ck_assert_int_eq(concur_server_status(s, text, &len), CONCUR_E_STATE);
    concur_server_free(s);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("api_headers");
    TCase *tests = tcase_create("all");
    tcase_add_test(tests, version_is_that_of_the_headers);
    tcase_add_test(tests, every_code_has_a_text_of_its_own);
    tcase_add_test(tests, engines_have_names);
    tcase_add_test(tests, no_server_is_an_error_and_no_crash);
    tcase_add_test(tests, set_up_errors_stick);
    tcase_add_test(tests, bad_routes_are_refused);
    tcase_add_test(tests, an_engine_that_lacks_what_is_required_is_unsupported);
    tcase_add_test(tests, without_an_address_there_is_nothing_to_serve);
    tcase_add_test(tests, overrides_beat_the_program);
    tcase_add_test(tests, texts_say_how_much_room_they_need);
    tcase_add_test(tests, a_server_that_does_not_run_says_so);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
