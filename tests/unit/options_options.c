/* SPDX-License-Identifier: MIT
 *
 * The table of options and its layers but the file and the environment. `options_options --reference` prints the page docs/options.md.
 */
#include "options_rig.h"

#include "base/fault.h"

START_TEST(the_table_is_sound)
{
    for (size_t i = 0; i < cnc_option_count; i++) {
        const struct cnc_option_row *row = &cnc_option_rows[i];
        struct cnc_text why = { 0 }, again = { 0 };
        int64_t number = 0, back = 0;
        ck_assert(i == 0 || row->id > cnc_option_rows[i - 1].id); /* a number that was given stays */
        ck_assert_msg(row->type == CNC_TYPE_LIST || cnc_option_parse(row, row->dflt, &number, &why) == CONCUR_OK,
                      "default of %s: %s", row->name, why.p ? why.p : "");
        if (row->type != CNC_TYPE_STRING && row->type != CNC_TYPE_LIST) {
            cnc_option_print(row, number, &again);
            ck_assert_str_eq(again.p, row->dflt);
            ck_assert_int_eq(cnc_option_parse(row, again.p, &back, &why), CONCUR_OK);
            ck_assert_int_eq(back, number);
        }
        ck_assert_uint_ne(row->engines, 0);
        ck_assert(row->in_config != CNC_NO_MEMBER || row->in_route != CNC_NO_MEMBER);
        ck_assert_msg(strchr(row->doc, '|') == NULL && row->doc[strlen(row->doc) - 1] != '.', "%s", row->name);
        for (size_t j = 0; j < i; j++)
            ck_assert_str_ne(row->name, cnc_option_rows[j].name);
        cnc_text_reset(&why);
        cnc_text_reset(&again);
    }
}
END_TEST

START_TEST(ids_and_names_stay)
{
    /* Append only: an id never changes its name. */
    static const char *const names[] = {
        "engine",
        "name",
        "environment",
        "listen",
        "backlog",
        "accept_batch",
        "connections_max",
        "tcp_nodelay",
        "stop_timeout",
        "drain_idle",
        "workers",
        "threads_max",
        "thread_idle",
        "thread_stack",
        "queue_max",
        "retry_after",
        "park_after",
        "pool_threads",
        "pool_queue_max",
        "stall_warn",
        "header_timeout",
        "body_timeout",
        "body_rate_min",
        "write_timeout",
        "keepalive_timeout",
        "keepalive_requests",
        "linger_timeout",
        "linger_max",
        "request_timeout",
        "line_max",
        "head_max",
        "fields_max",
        "chunk_ext_max",
        "trailer_max",
        "body_max",
        "body_memory",
        "body_dir",
        "request_memory",
        "output_high",
        "output_low",
        "pipeline_max",
        "half_close",
        "blocking",
        "workers_start",
        "spare_min",
        "spare_max",
        "workers_max",
        "requests_per_worker",
        "start_timeout",
        "stuck_timeout",
        "master",
        "fork_with_threads",
        "queue_timeout",
        "lend",
        "output_max",
        "sighup",
        "early_body_max",
    };
    ck_assert_uint_le(CNC_COUNT(names), cnc_option_count);
    for (size_t i = 0; i < CNC_COUNT(names); i++)
        ck_assert_str_eq(cnc_option_rows[i].name, names[i]);
}
END_TEST

START_TEST(defaults)
{
    struct cnc_route_config route;
    ck_assert_int_eq(cnc_options_resolve(o, &config), CONCUR_OK);
    ck_assert_int_eq(config.engine, CONCUR_ENGINE_EVENT_POOL);
    ck_assert_int_eq(config.pool_threads, 4);
    ck_assert_int_eq(config.workers, cnc_sys_cores());
    ck_assert_str_eq(config.name, "");
    ck_assert(config.environment);
    ck_assert_uint_eq(config.listen.count, 0);
    ck_assert_int_eq(config.backlog, 4096);
    ck_assert_int_eq(config.thread_stack, 1 << 20);
    ck_assert_int_eq(config.park_after, 10);
    ck_assert_int_eq(config.header_timeout, 15000);
    ck_assert_int_eq(config.retry_after, 1000);
    ck_assert_int_eq(config.body_rate_min, 240);
    ck_assert_int_eq(config.body_max, 1 << 20);
    ck_assert_int_eq(config.output_high, 256 * 1024);
    ck_assert_int_eq(config.half_close, CNC_HALF_CLOSE_ALLOW);
    ck_assert_int_eq(cnc_options_resolve_route(o, "GET /", &route), CONCUR_OK);
    ck_assert_int_eq(route.blocking, CNC_BLOCKING_AUTO);
    ck_assert_int_eq(route.body_max, 1 << 20);
    ck_assert_int_eq(route.request_timeout, 0);
    ck_assert_str_eq(cnc_options_errors(o), "");
    ck_assert_str_eq(cnc_options_notes(o, CNC_NOTES_ALL), "");
}
END_TEST

START_TEST(values_of_every_type)
{
    static const struct {
        const char *name, *text;
        int64_t number;
    } rows[] = {
        { "tcp_nodelay", "on", 1 },
        { "tcp_nodelay", "yes", 1 },
        { "tcp_nodelay", "True", 1 },
        { "tcp_nodelay", "1", 1 },
        { "tcp_nodelay", "off", 0 },
        { "tcp_nodelay", "NO", 0 },
        { "tcp_nodelay", "false", 0 },
        { "tcp_nodelay", "0", 0 },
        { "backlog", "1", 1 },
        { "backlog", "65535", 65535 },
        { "backlog", "00010", 10 },
        { "body_max", "0", 0 },
        { "body_max", "7", 7 },
        { "body_max", "2k", 2048 },
        { "body_max", "3M", 3 << 20 },
        { "body_max", "1g", 1 << 30 },
        { "body_max", "1024g", INT64_C(1) << 40 },
        { "thread_idle", "0000250ms", 250 },
        { "keepalive_timeout", "0", 0 },
        { "keepalive_timeout", "000", 0 },
        { "thread_idle", "250ms", 250 },
        { "thread_idle", "2s", 2000 },
        { "thread_idle", "3m", 180000 },
        { "thread_idle", "1h", 3600000 },
        { "workers", "auto", 0 },
        { "workers", "0", 0 },
        { "workers", "8", 8 },
        { "pool_threads", "auto", -1 },
        { "pool_threads", "0", 0 },
        { "engine", "process-thread", CONCUR_ENGINE_PROCESS_THREAD },
        { "half_close", "cancel", CNC_HALF_CLOSE_CANCEL },
        { "blocking", "off", CNC_BLOCKING_OFF },
    };
    for (size_t i = 0; i < CNC_COUNT(rows); i++) {
        struct cnc_text why = { 0 };
        int64_t number;
        ck_assert_msg(cnc_option_parse(cnc_option_row(rows[i].name), rows[i].text, &number, &why) == CONCUR_OK,
                      "%s=%s: %s", rows[i].name, rows[i].text, why.p ? why.p : "");
        ck_assert_msg(number == rows[i].number, "%s=%s is %lld", rows[i].name, rows[i].text, (long long)number);
        cnc_text_reset(&why);
    }
}
END_TEST

START_TEST(refused_values_say_what_is_allowed)
{
    static const struct {
        const char *name, *text, *error;
    } rows[] = {
        { "workers", "9999", "workers=9999 (override): at most 1024\n" },
        { "workers", "-1", "workers=-1 (override): auto or a whole number from 1 to 1024\n" },
        { "backlog", "0", "backlog=0 (override): at least 1\n" },
        { "backlog", "99999999999999999999999", "backlog=99999999999999999999999 (override): at most 65535\n" },
        { "backlog", "5k", "backlog=5k (override): a whole number from 1 to 65535\n" },
        { "backlog", "", "backlog= (override): a whole number from 1 to 65535\n" },
        { "backlog", " 5", "backlog= 5 (override): a whole number from 1 to 65535\n" },
        { "line_max", "63", "line_max=63 (override): at least 64\n" },
        { "line_max", "9000000000g", "line_max=9000000000g (override): at most 1m\n" },
        { "line_max", "1s", "line_max=1s (override): a size such as 512, 64k, 1m or 2g, from 64 to 1m\n" },
        { "retry_after", "1ms", "retry_after=1ms (override): at least 1s\n" },
        { "retry_after", "0", "retry_after=0 (override): at least 1s\n" },
        { "retry_after", "1", "retry_after=1 (override): a time needs a unit: 1ms or 1s\n" },
        { "keepalive_timeout", "15", "keepalive_timeout=15 (override): a time needs a unit: 15ms or 15s\n" },
        { "keepalive_timeout", "15000", "keepalive_timeout=15000 (override): a time needs a unit: 15000ms or 15000s\n" },
        { "retry_after", "2h", "retry_after=2h (override): at most 1h\n" },
        { "retry_after", "1d", "retry_after=1d (override): a time such as 500ms, 15s, 2m or 1h, from 1s to 1h\n" },
        { "tcp_nodelay", "maybe", "tcp_nodelay=maybe (override): on, yes, true or 1; off, no, false or 0\n" },
        { "engine", "foo",
          "engine=foo (override): one of prefork, thread, event, process-thread, process-event, "
          "event-pool\n" },
        { "engine", "treads",
          "engine=treads (override): one of prefork, thread, event, process-thread, process-event, "
          "event-pool; did you mean thread?\n" },
        { "engine", "Event-Pool",
          "engine=Event-Pool (override): one of prefork, thread, event, process-thread, process-event, "
          "event-pool; did you mean event-pool?\n" },
        { "half_close", "alow", "half_close=alow (override): one of cancel, allow; did you mean allow?\n" },
        { "name", "a\nb", "name=a?b (override): no control characters\n" },
        { "listen", "example.com:80",
          "listen=example.com:80 (override): \"example.com:80\": host names are not looked "
          "up; write an IPv4 address, [IPV6], * or localhost\n" },
    };
    for (size_t i = 0; i < CNC_COUNT(rows); i++) {
        struct cnc_options *one = cnc_options_create();
        ck_assert_int_eq(cnc_options_set(one, CNC_LAYER_OVERRIDE, NULL, rows[i].name, rows[i].text, NULL),
                         CONCUR_E_OPTION);
        ck_assert_str_eq(cnc_options_errors(one), rows[i].error);
        ck_assert_int_eq(strncmp(cnc_error_text(), rows[i].error, strlen(cnc_error_text())), 0);
        ck_assert_int_eq(cnc_options_resolve(one, &config), CONCUR_E_OPTION);
        ck_assert_int_eq(config.backlog, 4096);
        cnc_options_destroy(&one);
    }
}
END_TEST

START_TEST(long_values_are_cut_in_errors)
{
    char value[5000];
    memset(value, 'x', sizeof value);
    value[sizeof value - 1] = '\0';
    ck_assert_int_eq(set(CNC_LAYER_CODE, "name", value), CONCUR_E_OPTION);
    ck_assert_int_eq(set(CNC_LAYER_CODE, value, value), CONCUR_E_OPTION);
    ck_assert_int_eq(set(CNC_LAYER_CODE, "listen", value), CONCUR_E_OPTION);
    ck_assert_uint_lt(strlen(cnc_options_errors(o)), 2000);
}
END_TEST

START_TEST(unknown_names_get_the_nearest)
{
    ck_assert_int_eq(set(CNC_LAYER_CODE, "wokers", "1"), CONCUR_E_OPTION);
    expect_in(cnc_options_errors(o), "wokers (code): no such option; did you mean workers?\n");
    ck_assert_int_eq(set(CNC_LAYER_CODE, "Thread_Max", "1"), CONCUR_E_OPTION);
    expect_in(cnc_options_errors(o), "Thread_Max (code): no such option; did you mean threads_max?\n");
    ck_assert_int_eq(set(CNC_LAYER_CODE, "zzzzzz", "1"), CONCUR_E_OPTION);
    expect_in(cnc_options_errors(o), "zzzzzz (code): no such option\n");
    ck_assert_int_eq(set(CNC_LAYER_CODE, "", "1"), CONCUR_E_OPTION);
    ck_assert_int_eq(cnc_options_set(o, CNC_LAYER_CODE, "route GET /", "blockin", "1", "here"), CONCUR_E_OPTION);
    expect_in(cnc_options_errors(o), "route \"GET /\": blockin (here): no such option; did you mean blocking?\n");
}
END_TEST

START_TEST(options_keep_to_their_sections)
{
    ck_assert_int_eq(set(CNC_LAYER_CODE, "blocking", "on"), CONCUR_E_OPTION);
    expect_in(cnc_options_errors(o), "blocking (code): belongs in a section: route \"PATTERN\" { ... }\n");
    ck_assert_int_eq(cnc_options_set(o, CNC_LAYER_CODE, "route GET /", "engine", "event", NULL), CONCUR_E_OPTION);
    expect_in(cnc_options_errors(o),
              "route \"GET /\": engine (code): is an option of the whole server, not of a route\n");
    static const char *const bad[] = { "route", "route ", "routes GET /", "server", " route x" };
    for (size_t i = 0; i < CNC_COUNT(bad); i++) {
        ck_assert_int_eq(cnc_options_set(o, CNC_LAYER_CODE, bad[i], "body_max", "1", NULL), CONCUR_E_OPTION);
        expect_in(cnc_error_text(), "must be route PATTERN");
    }
    ck_assert_int_eq(cnc_options_set(o, CNC_LAYER_CODE, "", "body_max", "1", NULL), CONCUR_OK);
}
END_TEST

/* What is to come is refused by its name, and the code says that it is no slip of the fingers. */
START_TEST(what_this_version_lacks)
{
    static const struct {
        const char *section, *name, *value, *error;
    } rows[] = {
        { NULL, "listen", "[::1]:443 tls=web",
          "listen=[::1]:443 tls=web (code): \"[::1]:443 tls=web\": this version has no TLS" },
        { "tls web", "certificate", "x", "tls \"web\": certificate (code): this version has no TLS" },
        { "tls web", "backlog", "5", "tls \"web\": backlog (code): this version has no TLS" },
        { NULL, "tls", "web", "tls (code): this version has no TLS" },
        { "upstream price", "server", "x",
          "upstream \"price\": server (code): this version makes no requests to other servers" },
    };
    for (size_t i = 0; i < CNC_COUNT(rows); i++) {
        struct cnc_options *one = cnc_options_create();
        ck_assert_int_eq(cnc_options_set(one, CNC_LAYER_CODE, rows[i].section, rows[i].name, rows[i].value, NULL),
                         CONCUR_E_UNSUPPORTED);
        ck_assert_msg(strncmp(cnc_options_errors(one), rows[i].error, strlen(rows[i].error)) == 0, "%s",
                      cnc_options_errors(one));
        ck_assert_int_eq(cnc_options_set(one, CNC_LAYER_CODE, NULL, "backlog", "x", NULL), CONCUR_E_OPTION);
        ck_assert_int_eq(cnc_options_resolve(one, &config), CONCUR_E_UNSUPPORTED); /* the first of both */
        cnc_options_destroy(&one);
    }
    ck_assert_int_eq(set(CNC_LAYER_CODE, "backlog", "x"), CONCUR_E_OPTION);
    ck_assert_int_eq(set(CNC_LAYER_CODE, "listen", "[::1]:443 tls=web"), CONCUR_E_UNSUPPORTED);
    ck_assert_int_eq(cnc_options_resolve(o, &config), CONCUR_E_OPTION);
    ck_assert_uint_eq(config.listen.count, 0);
}
END_TEST

START_TEST(later_layers_win)
{
    set(CNC_LAYER_OVERRIDE, "backlog", "4");
    set(CNC_LAYER_ENV, "backlog", "3");
    set(CNC_LAYER_FILE, "backlog", "2");
    set(CNC_LAYER_CODE, "backlog", "1");
    for (enum cnc_layer layer = CNC_LAYER_OVERRIDE; layer >= CNC_LAYER_CODE; layer--) {
        ck_assert_int_eq(cnc_options_resolve(o, &config), CONCUR_OK);
        ck_assert_int_eq(config.backlog, layer);
        cnc_options_drop(o, layer);
    }
    ck_assert_int_eq(cnc_options_resolve(o, &config), CONCUR_OK);
    ck_assert_int_eq(config.backlog, 4096);
    set(CNC_LAYER_CODE, "backlog", "7");
    set(CNC_LAYER_CODE, "backlog", "8");
    cnc_options_resolve(o, &config);
    ck_assert_int_eq(config.backlog, 8);
}
END_TEST

START_TEST(engine_default_leaves_the_choice)
{
    set(CNC_LAYER_FILE, "engine", "thread");
    ck_assert_int_eq(set(CNC_LAYER_OVERRIDE, "engine", "event"), CONCUR_OK);
    ck_assert_int_eq(set(CNC_LAYER_OVERRIDE, "engine", "default"), CONCUR_OK);
    cnc_options_resolve(o, &config);
    ck_assert_int_eq(config.engine, CONCUR_ENGINE_THREAD);
    ck_assert_int_eq(config.pool_threads, 0);
    set(CNC_LAYER_CODE, "pool_threads", "3");
    cnc_options_resolve(o, &config);
    ck_assert_int_eq(config.pool_threads, 3);
    ck_assert_str_eq(cnc_engine_name(CONCUR_ENGINE_DEFAULT), "default");
    ck_assert_str_eq(cnc_engine_name(CONCUR_ENGINE_EVENT_POOL), "event-pool");
    ck_assert_ptr_null(cnc_engine_name(7));
    ck_assert_ptr_null(cnc_engine_name(-1));
    ck_assert_int_eq(cnc_engine_parse("event"), CONCUR_ENGINE_EVENT);
    ck_assert_int_eq(cnc_engine_parse("Event"), CONCUR_E_INVAL);
    ck_assert_int_eq(cnc_engine_parse("cancel"), CONCUR_E_INVAL);
    ck_assert_int_eq(cnc_engine_parse(NULL), CONCUR_E_INVAL);
}
END_TEST

START_TEST(lists_are_replaced_by_later_layers)
{
    set(CNC_LAYER_CODE, "listen", "127.0.0.1:1");
    set(CNC_LAYER_CODE, "listen", "127.0.0.1:2");
    cnc_options_resolve(o, &config);
    ck_assert_uint_eq(config.listen.count, 2);
    ck_assert_str_eq(config.listen.items[0], "127.0.0.1:1");
    ck_assert_str_eq(config.listen.items[1], "127.0.0.1:2");
    set(CNC_LAYER_OVERRIDE, "listen", "fd:3");
    cnc_options_resolve(o, &config);
    ck_assert_uint_eq(config.listen.count, 1);
    ck_assert_str_eq(config.listen.items[0], "fd:3");
    for (int i = 1; i < 64; i++)
        ck_assert_int_eq(set(CNC_LAYER_OVERRIDE, "listen", "fd:3"), CONCUR_OK);
    cnc_options_resolve(o, &config);
    ck_assert_uint_eq(config.listen.count, 64);
    ck_assert_int_eq(set(CNC_LAYER_OVERRIDE, "listen", "fd:3"), CONCUR_E_OPTION);
    expect_in(cnc_options_errors(o), "listen=fd:3 (override): at most 64 of them\n");
}
END_TEST

START_TEST(values_that_do_not_fit_together)
{
    cnc_options_set(o, CNC_LAYER_FILE, NULL, "output_low", "512k", "server.conf:3");
    ck_assert_int_eq(cnc_options_resolve(o, &config), CONCUR_E_OPTION);
    ck_assert_int_eq(cnc_options_resolve(o, &config), CONCUR_E_OPTION);
    ck_assert_str_eq(cnc_options_errors(o), "output_low=512k (server.conf:3): at most output_high, which is 256k\n");
    set(CNC_LAYER_OVERRIDE, "output_high", "1m"); /* and all is well */
    ck_assert_int_eq(cnc_options_resolve(o, &config), CONCUR_OK);
    ck_assert_str_eq(cnc_options_errors(o), "");
    set(CNC_LAYER_OVERRIDE, "head_max", "4k");
    ck_assert_int_eq(cnc_options_resolve(o, &config), CONCUR_E_OPTION);
    ck_assert_str_eq(cnc_options_errors(o), "line_max=8k (default): at most head_max, which is 4k\n");
}
END_TEST

START_TEST(routes_have_their_own)
{
    struct cnc_route_config a, b;
    set(CNC_LAYER_OVERRIDE, "body_max", "2k");
    cnc_options_set(o, CNC_LAYER_FILE, "route GET /a", "body_max", "3k", NULL);
    cnc_options_set(o, CNC_LAYER_CODE, "route GET /a", "blocking", "off", NULL);
    cnc_options_set(o, CNC_LAYER_FILE, "route GET /a", "blocking", "on", NULL);
    cnc_options_resolve(o, &config);
    ck_assert_int_eq(cnc_options_resolve_route(o, "GET /a", &a), CONCUR_OK);
    ck_assert_int_eq(cnc_options_resolve_route(o, "GET /b", &b), CONCUR_OK);
    ck_assert_int_eq(config.body_max, 2048);
    ck_assert_int_eq(a.body_max, 3072);
    ck_assert_int_eq(b.body_max, 2048);
    ck_assert_int_eq(a.blocking, CNC_BLOCKING_ON);
    ck_assert_int_eq(b.blocking, CNC_BLOCKING_AUTO);
}
END_TEST

START_TEST(a_mistake_is_told_once)
{
    static const char line[] = "backlog=x (CONCUR_BACKLOG): a whole number from 1 to 65535\n";
    setenv("CONCUR_BACKLOG", "x", 1);
    set(CNC_LAYER_CODE, "fields_max", "0");
    for (int i = 0; i < 3; i++) {
        ck_assert_int_eq(cnc_options_load_env(o), CONCUR_E_OPTION);
        ck_assert_int_eq(set(CNC_LAYER_CODE, "fields_max", "0"), CONCUR_E_OPTION);
        ck_assert_int_eq(cnc_options_resolve(o, &config), CONCUR_E_OPTION);
    }
    char both[200];
    snprintf(both, sizeof both, "fields_max=0 (code): at least 1\n%s", line);
    ck_assert_str_eq(cnc_options_errors(o), both);
}
END_TEST

START_TEST(help_has_every_option)
{
    char *help = cnc_options_help(), part[80];
    for (size_t i = 0; i < cnc_option_count; i++) {
        snprintf(part, sizeof part, "  %s = ", cnc_option_rows[i].name);
        expect_in(help, part);
    }
    expect_in(help, "  threads_max = auto  (auto, 1 to 65536; threads)\n      Threads that run requests");
    expect_in(help, "  body_max = 1m  (0 to 1024g; bytes; also in a route section)\n");
    free(help);
}
END_TEST

/* This file is tests/unit/options_options.c of the source tree. */
START_TEST(the_page_is_current)
{
    static const char here[] = __FILE__, tail[] = "tests/unit/options_options.c";
    char page[1024], committed[65536];
    size_t n = sizeof here - sizeof tail;
    ck_assert_int_eq(strcmp(here + n, tail), 0);
    ck_assert_uint_lt(n + sizeof "docs/options.md", sizeof page);
    memcpy(page, here, n);
    memcpy(page + n, "docs/options.md", sizeof "docs/options.md");
    FILE *f = fopen(page, "r");
    ck_assert_msg(f != NULL, "%s", page);
    committed[fread(committed, 1, sizeof committed - 1, f)] = '\0';
    fclose(f);
    char *reference = cnc_options_reference();
    ck_assert_msg(strcmp(committed, reference) == 0, "make it again: options_options --reference > docs/options.md");
    free(reference);
}
END_TEST

/* Every engine has a number of threads that run handlers, in so many processes. */
START_TEST(the_dump_tells_how_many_locals_there_can_be)
{
    static const struct {
        const char *engine, *pool, *workers, *line;
    } rows[] = {
        { "event", "auto", "auto", "at most 1 of each\n" },
        { "event", "3", "auto", "at most 4 of each\n" },
        { "event-pool", "auto", "auto", "at most 5 of each\n" },
        { "thread", "auto", "7", "at most 10 of each\n" },
        { "thread", "2", "auto", "at most 12 of each\n" },
        { "process-event", "2", "3", "at most 9 of each; twice that while workers are replaced\n" },
        { "process-thread", "2", "1", "at most 12 of each; twice that while workers are replaced\n" },
        { "process-thread", "auto", "3", "at most 30 of each; twice that while workers are replaced\n" },
        { "prefork", "auto", "auto", "at most 50 of each; twice that while workers are replaced\n" },
        { "prefork", "1", "4", "at most 8 of each; twice that while workers are replaced\n" },
    };
    set(CNC_LAYER_CODE, "threads_max", "10");
    set(CNC_LAYER_CODE, "workers_max", "50");
    for (size_t i = 0; i <= CNC_COUNT(rows); i++) {
        bool last = i == CNC_COUNT(rows);
        set(CNC_LAYER_CODE, "engine", last ? "event" : rows[i].engine);
        set(CNC_LAYER_CODE, "pool_threads", last ? "0" : rows[i].pool);
        set(CNC_LAYER_CODE, "workers", last ? "auto" : rows[i].workers);
        set(CNC_LAYER_CODE, "master", last ? "on" : "off");
        ck_assert_int_eq(cnc_options_resolve(o, &config), CONCUR_OK);
        char *dump = cnc_options_dump(o, &config);
        char line[128];
        snprintf(line, sizeof line, "\n# concur_server_local: %s",
                 last ? "at most 1 of each; twice that while workers are replaced\n" : rows[i].line);
        expect_in(dump, line);
        free(dump);
    }
}
END_TEST

#ifdef CNC_FAULTS
static int everything(void)
{
    struct cnc_options *all = cnc_options_create();
    struct cnc_route_config route;
    if (!all)
        return CONCUR_E_NOMEM;
    int rc = cnc_options_set(all, CNC_LAYER_CODE, NULL, "listen", "127.0.0.1:0", NULL);
    int bad = cnc_options_set(all, CNC_LAYER_CODE, NULL, "backlog", "x", NULL);
    rc = rc == CONCUR_OK && bad != CONCUR_E_OPTION ? bad : rc;
    if (rc == CONCUR_OK)
        rc = cnc_options_load_env(all);
    int resolved = cnc_options_resolve(all, &config);
    rc = rc == CONCUR_OK && resolved != CONCUR_E_OPTION ? resolved : rc;
    resolved = cnc_options_resolve_route(all, "GET /", &route);
    rc = rc == CONCUR_OK && resolved != CONCUR_E_OPTION ? resolved : rc;
    char *dump = cnc_options_dump(all, &config);
    rc = rc == CONCUR_OK && !dump ? CONCUR_E_NOMEM : rc;
    free(dump);
    ck_assert_ptr_nonnull(cnc_options_errors(all));
    ck_assert_ptr_nonnull(cnc_options_notes(all, CNC_NOTES_ALL));
    cnc_options_destroy(&all);
    return rc;
}

START_TEST(out_of_memory_is_an_error)
{
    setenv("CONCUR_LISTEN", "127.0.0.1:1,127.0.0.1:2", 1);
    ck_assert_int_eq(everything(), CONCUR_OK);
    unsigned nth = 1, failures = 0;
    for (;; nth++) {
        cnc_fault_arm(CNC_FAULT_ALLOC, nth, false);
        int rc = everything();
        unsigned used = cnc_fault_count(CNC_FAULT_ALLOC);
        cnc_fault_arm(CNC_FAULT_ALLOC, 0, false);
        if (used < nth)
            break;
        failures += rc != CONCUR_OK;
        ck_assert_msg(rc == CONCUR_OK || rc == CONCUR_E_NOMEM || rc == CONCUR_E_OPTION, "allocation %u: %d", nth, rc);
    }
    ck_assert_uint_gt(failures, 5);
}
END_TEST
#endif

static void add_tests(TCase *tests)
{
    tcase_add_test(tests, the_table_is_sound);
    tcase_add_test(tests, ids_and_names_stay);
    tcase_add_test(tests, defaults);
    tcase_add_test(tests, values_of_every_type);
    tcase_add_test(tests, refused_values_say_what_is_allowed);
    tcase_add_test(tests, long_values_are_cut_in_errors);
    tcase_add_test(tests, unknown_names_get_the_nearest);
    tcase_add_test(tests, options_keep_to_their_sections);
    tcase_add_test(tests, what_this_version_lacks);
    tcase_add_test(tests, later_layers_win);
    tcase_add_test(tests, engine_default_leaves_the_choice);
    tcase_add_test(tests, lists_are_replaced_by_later_layers);
    tcase_add_test(tests, values_that_do_not_fit_together);
    tcase_add_test(tests, routes_have_their_own);
    tcase_add_test(tests, a_mistake_is_told_once);
    tcase_add_test(tests, the_dump_tells_how_many_locals_there_can_be);
    tcase_add_test(tests, help_has_every_option);
    tcase_add_test(tests, the_page_is_current);
#ifdef CNC_FAULTS
    tcase_add_test(tests, out_of_memory_is_an_error);
#endif
}

int main(int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], "--reference") == 0) {
        char *page = cnc_options_reference();
        bool done = page && fputs(page, stdout) >= 0;
        free(page);
        return done ? EXIT_SUCCESS : EXIT_FAILURE;
    }
    return run_tests("core_options", add_tests);
}
