/* SPDX-License-Identifier: MIT
 *
 * What is noted of options that are not wrong, and the options of the environment.
 */
#include "options_rig.h"

START_TEST(notes)
{
    struct cnc_route_config route;
    set(CNC_LAYER_CODE, "engine", "event");
    cnc_options_set(o, CNC_LAYER_FILE, NULL, "threads_max", "9", "server.conf:3");
    set(CNC_LAYER_CODE, "stall_warn", "1s");
    set(CNC_LAYER_CODE, "workers", "3");
    cnc_options_set(o, CNC_LAYER_FILE, "route GET /gone", "body_max", "1", "server.conf:4");
    cnc_options_set(o, CNC_LAYER_FILE, "route GET /gone", "blocking", "on", "server.conf:5");
    cnc_options_set(o, CNC_LAYER_ENV, NULL, "backlog", "7", "CONCUR_BACKLOG");
    ck_assert_int_eq(cnc_options_resolve(o, &config), CONCUR_OK);
    ck_assert_str_eq(cnc_options_notes(o, CNC_NOTES_REST), "backlog=7: set by CONCUR_BACKLOG in the environment\n"
                                                           "workers=3 (code): has no effect on the engine event\n");
    ck_assert_str_eq(cnc_options_notes(o, CNC_NOTES_WARNINGS),
                     "threads_max=9 (server.conf:3): has no effect on the engine event\n");
    cnc_options_resolve_route(o, "GET /", &route);
    expect_in(cnc_options_notes(o, CNC_NOTES_WARNINGS),
              "route \"GET /gone\" (server.conf:4): the program has no such route\n");
    cnc_options_resolve_route(o, "GET /gene", &route);
    expect_in(cnc_options_notes(o, CNC_NOTES_WARNINGS), "has no such route; did you mean \"GET /gene\"?\n");
    cnc_options_resolve_route(o, "GET /gone", &route);
    ck_assert_ptr_null(strstr(cnc_options_notes(o, CNC_NOTES_ALL), "/gone"));
    set(CNC_LAYER_OVERRIDE, "backlog", "8"); /* the environment is overruled */
    ck_assert_ptr_null(strstr(cnc_options_notes(o, CNC_NOTES_ALL), "CONCUR_BACKLOG"));
}
END_TEST

/* Options that need something else to be set. */
START_TEST(options_without_effect)
{
    static const struct {
        const char *engine, *name, *value, *other, *to, *note;
    } rows[] = {
        { "event", "requests_per_worker", "5", NULL, NULL, "has no effect without a master (option master)" },
        { "event", "requests_per_worker", "5", "master", "on", NULL },
        { "prefork", "requests_per_worker", "5", NULL, NULL, NULL },
        { "event-pool", "stuck_timeout", "5s", NULL, NULL, "has no effect without a master (option master)" },
        { "thread", "start_timeout", "5s", NULL, NULL, "has no effect without a master (option master)" },
        { "event", "pool_queue_max", "5", NULL, NULL, "has no effect without a pool (option pool_threads)" },
        { "event", "pool_queue_max", "5", "pool_threads", "0", "has no effect without a pool (option pool_threads)" },
        { "event", "pool_queue_max", "5", "pool_threads", "2", NULL },
        { "event-pool", "pool_queue_max", "5", NULL, NULL, NULL },
        { "event-pool", "pool_queue_max", "5", "pool_threads", "0", "has no effect without a pool" },
        { "prefork", "connections_max", "5", NULL, NULL, NULL },
        { "prefork", "accept_batch", "5", NULL, NULL, "has no effect on the engine prefork" },
        { "process-thread", "accept_batch", "5", NULL, NULL, NULL },
        { "thread", "lend", "connection", NULL, NULL, "has no effect on the engine thread" },
    };
    for (size_t i = 0; i < CNC_COUNT(rows); i++)
        for (enum cnc_layer layer = CNC_LAYER_CODE; layer <= CNC_LAYER_OVERRIDE; layer++) {
            struct cnc_options *one = cnc_options_create();
            enum cnc_notes which = layer == CNC_LAYER_CODE ? CNC_NOTES_REST : CNC_NOTES_WARNINGS;
            cnc_options_set(one, CNC_LAYER_CODE, NULL, "engine", rows[i].engine, NULL);
            cnc_options_set(one, layer, NULL, rows[i].name, rows[i].value, "here");
            if (rows[i].other)
                cnc_options_set(one, CNC_LAYER_CODE, NULL, rows[i].other, rows[i].to, NULL);
            ck_assert_int_eq(cnc_options_resolve(one, &config), CONCUR_OK);
            if (rows[i].note)
                expect_in(cnc_options_notes(one, which), rows[i].note);
            else
                ck_assert_ptr_null(strstr(cnc_options_notes(one, CNC_NOTES_ALL), "no effect"));
            if (which == CNC_NOTES_REST)
                ck_assert_str_eq(cnc_options_notes(one, CNC_NOTES_WARNINGS), "");
            cnc_options_destroy(&one);
        }
}
END_TEST

/* Variables of this name that nobody reads. */
START_TEST(unknown_variables)
{
    setenv("CONCUR_TREADS_MAX", "3", 1);
    setenv("CONCUR_BLOCKING", "on", 1);
    setenv("CONCUR_NAEM", "", 1); /* as good as unset */
    setenv("CONCUR_OTHER_PROGRAM", "1", 1);
    setenv("CONCUR_ENVIRONMENT", "off", 1);
    setenv("CONCUR_SERVER", "", 1);
    setenv("CONCURRENT", "1", 1);
    for (int i = 0; i < 2; i++) {
        ck_assert_int_eq(cnc_options_load_env(o), CONCUR_OK);
        ck_assert_int_eq(cnc_options_resolve(o, &config), CONCUR_OK);
        const char *text = cnc_options_notes(o, CNC_NOTES_WARNINGS);
        expect_in(text, "CONCUR_TREADS_MAX: no such option; did you mean CONCUR_THREADS_MAX?\n");
        expect_in(text, "CONCUR_BLOCKING: has no effect; set it in the program or its file\n");
        expect_in(text, "CONCUR_ENVIRONMENT: has no effect; set it in the program or its file\n");
        ck_assert_ptr_null(strstr(text, "NAEM"));
        ck_assert_ptr_null(strstr(text, "SERVER"));
        ck_assert_ptr_null(strstr(text, "OTHER"));
        ck_assert_ptr_null(strstr(strstr(text, "TREADS") + 1, "TREADS")); /* told once */
        expect_in(cnc_options_notes(o, CNC_NOTES_REST), "CONCUR_OTHER_PROGRAM: names no option\n");
        ck_assert_ptr_null(strstr(cnc_options_notes(o, CNC_NOTES_ALL), "CONCURRENT"));
    }
    setenv("CONCUR_SERVER", "another", 1); /* they are not meant for this one */
    ck_assert_int_eq(cnc_options_load_env(o), CONCUR_OK);
    ck_assert_str_eq(cnc_options_notes(o, CNC_NOTES_ALL), "");
}
END_TEST

/* Notes go to the log, where a name or a value must not look like another line. */
START_TEST(a_note_is_one_line)
{
    static const char odd[] = "CONCUR_A\nB\tC";
    setenv(odd, "1", 1);
    ck_assert_int_eq(cnc_options_load_env(o), CONCUR_OK);
    unsetenv(odd);
    ck_assert_int_eq(cnc_options_set(o, CNC_LAYER_FILE, "route GET /a\nb", "body_max", "1", NULL), CONCUR_OK);
    ck_assert_int_eq(cnc_options_resolve(o, &config), CONCUR_OK);
    struct cnc_route_config route;
    ck_assert_int_eq(cnc_options_resolve_route(o, "GET /other/path", &route), CONCUR_OK);
    expect_in(cnc_options_notes(o, CNC_NOTES_REST), "CONCUR_A?B?C: names no option\n"); /* beside those of the tests */
    ck_assert_str_eq(cnc_options_notes(o, CNC_NOTES_WARNINGS),
                     "route \"GET /a?b\" (file): the program has no such route\n");
}
END_TEST

/* The environment is read by every check and start. */
START_TEST(environment)
{
    setenv("CONCUR_ENGINE", "thread", 1);
    setenv("CONCUR_LISTEN", "127.0.0.1:1 , unix:/p mode=0600,", 1);
    setenv("CONCUR_BACKLOG", "", 1);
    setenv("CONCUR_ENVIRONMENT", "off", 1);
    setenv("CONCUR_BLOCKING", "nonsense", 1);
    set(CNC_LAYER_CODE, "listen", "fd:3");
    set(CNC_LAYER_FILE, "engine", "event");
    ck_assert_int_eq(cnc_options_load_env(o), CONCUR_OK);
    ck_assert_int_eq(cnc_options_load_env(o), CONCUR_OK);
    ck_assert_int_eq(cnc_options_resolve(o, &config), CONCUR_OK);
    ck_assert_int_eq(config.engine, CONCUR_ENGINE_THREAD);
    ck_assert_int_eq(config.backlog, 4096);
    ck_assert_uint_eq(config.listen.count, 2);
    ck_assert_str_eq(config.listen.items[0], "127.0.0.1:1");
    ck_assert_str_eq(config.listen.items[1], "unix:/p mode=0600");
    ck_assert(config.environment);
    setenv("CONCUR_ENGINE", "foo", 1);
    setenv("CONCUR_LISTEN", "fd:1,,fd:x", 1);
    ck_assert_int_eq(cnc_options_load_env(o), CONCUR_E_OPTION);
    expect_in(cnc_options_errors(o), "engine=foo (CONCUR_ENGINE): one of prefork, thread,");
    expect_in(cnc_options_errors(o), "listen= (CONCUR_LISTEN): \"\": no port");
    expect_in(cnc_options_errors(o), "listen=fd:x (CONCUR_LISTEN): ");
}
END_TEST

START_TEST(environment_only_for_the_named_server)
{
    setenv("CONCUR_BACKLOG", "7", 1);
    setenv("CONCUR_NAME", "shop", 1); /* a name that the environment gives does not count */
    setenv("CONCUR_SERVER", "shop", 1);
    ck_assert_int_eq(cnc_options_load_env(o), CONCUR_OK);
    cnc_options_resolve(o, &config);
    ck_assert_int_eq(config.backlog, 4096);
    set(CNC_LAYER_CODE, "name", "shop");
    ck_assert_int_eq(cnc_options_load_env(o), CONCUR_OK);
    cnc_options_resolve(o, &config);
    ck_assert_int_eq(config.backlog, 7);
    set(CNC_LAYER_FILE, "name", "other");
    ck_assert_int_eq(cnc_options_load_env(o), CONCUR_OK);
    cnc_options_resolve(o, &config);
    ck_assert_int_eq(config.backlog, 4096);
    setenv("CONCUR_SERVER", "", 1);
    ck_assert_int_eq(cnc_options_load_env(o), CONCUR_OK);
    cnc_options_resolve(o, &config);
    ck_assert_int_eq(config.backlog, 7);
    set(CNC_LAYER_CODE, "environment", "off");
    ck_assert_int_eq(cnc_options_load_env(o), CONCUR_OK);
    cnc_options_resolve(o, &config);
    ck_assert_int_eq(config.backlog, 4096);
}
END_TEST

static void add_tests(TCase *tests)
{
    tcase_add_test(tests, notes);
    tcase_add_test(tests, options_without_effect);
    tcase_add_test(tests, unknown_variables);
    tcase_add_test(tests, a_note_is_one_line);
    tcase_add_test(tests, environment);
    tcase_add_test(tests, environment_only_for_the_named_server);
}

int main(void)
{
    return run_tests("options_notes", add_tests);
}
