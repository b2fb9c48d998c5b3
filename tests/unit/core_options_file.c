/* SPDX-License-Identifier: MIT
 *
 * The layer of options that is a file.
 */
#include "options_rig.h"

#include "base/fault.h"

#ifdef CNC_WITH_CONFUSE
/* "PATH:LINE" as origin. */
static const char *at(int line)
{
    static char out[64];
    snprintf(out, sizeof out, "%s:%d", path, line);
    return out;
}

START_TEST(a_file_is_read)
{
    struct cnc_route_config report, other;
    int rc = load("# a comment, one line\n"
                  "engine = thread // to the end\n"
                  "/* of several\n   lines */ workers = 4\n"
                  "listen = 127.0.0.1:8080 # unquoted\n"
                  "listen = { \"[::]:443\", # within a list\n"
                  "           'unix:/p mode=0600' }\n"
                  "name = \"a # \\\"b\\\" \\${x} // 'c' \\\\\"\r\n"
                  "route \"GET /report\" {\n"
                  "    blocking = on\n"
                  "    body_max = 2k\n"
                  "}\n"
                  "keepalive_timeout = 2m");
    ck_assert_msg(rc == CONCUR_OK, "%s", cnc_options_errors(o));
    ck_assert_int_eq(cnc_options_resolve(o, &config), CONCUR_OK);
    ck_assert_int_eq(config.engine, CONCUR_ENGINE_THREAD);
    ck_assert_int_eq(config.workers, 4);
    ck_assert_int_eq(config.keepalive_timeout, 120000);
    ck_assert_str_eq(config.name, "a # \"b\" ${x} // 'c' \\");
    ck_assert_uint_eq(config.listen.count, 3);
    ck_assert_str_eq(config.listen.items[0], "127.0.0.1:8080");
    ck_assert_str_eq(config.listen.items[1], "[::]:443");
    ck_assert_str_eq(config.listen.items[2], "unix:/p mode=0600");
    ck_assert_int_eq(cnc_options_resolve_route(o, "GET /report", &report), CONCUR_OK);
    ck_assert_int_eq(cnc_options_resolve_route(o, "GET /", &other), CONCUR_OK);
    ck_assert_int_eq(report.blocking, CNC_BLOCKING_ON);
    ck_assert_int_eq(report.body_max, 2048);
    ck_assert_int_eq(other.body_max, 1 << 20);
    char note[128];
    snprintf(note, sizeof note, "workers=4 (%s): has no effect on the engine thread\n", at(4));
    expect_in(cnc_options_notes(o), note);
    ck_assert_int_eq(load("backlog = 5\n"), CONCUR_OK); /* a second file replaces the first */
    ck_assert_int_eq(cnc_options_resolve(o, &config), CONCUR_OK);
    ck_assert_int_eq(config.backlog, 5);
    ck_assert_int_eq(config.workers, cnc_sys_cores());
    ck_assert_uint_eq(config.listen.count, 0);
    ck_assert_int_eq(load(""), CONCUR_OK);
}
END_TEST

START_TEST(errors_of_a_file_have_lines)
{
    static const struct {
        const char *text;
        int line;
        const char *says; /* %s: PATH:LINE */
    } rows[] = {
        { "# c\n/* c\n c */\nworkers = 9999\n", 4, "workers=9999 (%s): at most 1024\n" },
        { "\n\nwokers = 1\n", 3, "wokers (%s): no such option; did you mean workers?\n" },
        { "route \"GET /\" {\n # c\n blockin = on\n}\n", 3,
          "route \"GET /\": blockin (%s): no such option; did you mean blocking?\n" },
        { "route \"GET /\" {\n\n engine = event\n}\n", 3,
          "route \"GET /\": engine (%s): is an option of the whole server, not of a route\n" },
        { "\nblocking = on\n", 2, "blocking (%s): belongs into a section: route \"PATTERN\" { ... }\n" },
        { "backlog = 1\n#\n\nbacklog = 2\n", 4, "backlog=2 (%s): given before, in " },
        { "route \"/\" {\nbody_max = 1\nbody_max = 1\n}\n", 3, "route \"/\": body_max=1 (%s): given before, in " },
        { "route \"/\" {\n}\nroute \"/\" {\n}\n", 3, "%s: found duplicate title '/'\n" },
        { "listen = {\"fd:3\",\n\"nonsense\"}\n", 2, "listen=nonsense (%s): \"nonsense\": no port" },
        { "backlog 5\n", 1, "%s: missing equal sign after option 'backlog'\n" },
        { "backlog = 5\n}\n", 2, "%s: unexpected closing brace\n" },
        { "backlog = {5}\n", 1, "%s: unexpected token '{'\n" },
        { "\nroute {\n}\n", 2, "%s: missing title" },
        { "\nroute \"/\" blocking = on\n", 2, "%s: missing opening brace" },
        { "backlog =\n\n", 3, "%s: premature end of file\n" },
        { "\nlisten = *:80\n", 2, "%s: a value with other characters" },
        { "\nbacklog = 1+1\n", 2, "%s: a value with other characters" },
        { "\nname = \"abc\n\n", 2, "%s: a string that starts here has no end\n" },
        { "\nname = 'abc\\'\n\n", 2, "%s: a string that starts here has no end\n" },
        { "#\n/* abc\n\n", 2, "%s: a comment that starts here has no end\n" },
        { "\nname = ${HOME}\n", 2, "%s: variables are not put in" },
        { "\nname = \"${HOME}\"\n", 2, "%s: variables are not put in" },
        { "\nname = \"\\999\"\n", 2, "%s: bad escape sequence" },
        { "\n\"\" = 5\n", 2, "%s: not understood\n" },
    };
    for (size_t i = 0; i < CNC_COUNT(rows); i++) {
        char expected[256];
        struct cnc_options *kept = o;
        o = cnc_options_create();
        ck_assert_msg(load(rows[i].text) == CONCUR_E_OPTION, "accepted: %s", rows[i].text);
        snprintf(expected, sizeof expected, rows[i].says, at(rows[i].line));
        ck_assert_msg(strncmp(cnc_options_errors(o), expected, strlen(expected)) == 0, "%s\ngave: %s\nnot: %s",
                      rows[i].text, cnc_options_errors(o), expected);
        cnc_options_destroy(&o);
        o = cnc_options_create(); /* the next file is read as if nothing had been */
        ck_assert_msg(load("# c\nbacklog = 6\n") == CONCUR_OK, "after %s: %s", rows[i].text, cnc_options_errors(o));
        cnc_options_resolve(o, &config);
        ck_assert_int_eq(config.backlog, 6);
        cnc_options_destroy(&o);
        o = kept;
    }
}
END_TEST

START_TEST(what_this_version_lacks)
{
    static const struct {
        const char *text;
        int line;
        const char *says;
    } rows[] = {
        { "\ntls \"site\" {\n\ncertificate = x\n}\n", 2, "tls (%s): this version has no TLS" },
        { "tls \"site\" { }\n", 1, "tls (%s): this version has no TLS" },
        { "\n\nupstream price {\n}\n", 3, "upstream (%s): this version does not ask other servers" },
        { "#\nlisten = \"[::1]:443 tls=site\"\n", 2, "listen=[::1]:443 tls=site (%s): " },
        { "listen = { '[::1]:80',\n'[::1]:443 tls=site' }\n", 2, "listen=[::1]:443 tls=site (%s): " },
    };
    for (size_t i = 0; i < CNC_COUNT(rows); i++) {
        char expected[256];
        struct cnc_options *kept = o;
        o = cnc_options_create();
        ck_assert_msg(load(rows[i].text) == CONCUR_E_UNSUPPORTED, "%s: %s", rows[i].text, cnc_options_errors(o));
        snprintf(expected, sizeof expected, rows[i].says, at(rows[i].line));
        ck_assert_msg(strncmp(cnc_options_errors(o), expected, strlen(expected)) == 0, "%s", cnc_options_errors(o));
        ck_assert_int_eq(cnc_options_resolve(o, &config), CONCUR_E_UNSUPPORTED);
        cnc_options_destroy(&o);
        o = kept;
    }
}
END_TEST

START_TEST(one_run_shows_all_wrong_values)
{
    char expected[400];
    ck_assert_int_eq(load("backlog = 0\nengine = foo\nroute \"/\" {\n  body_max = x\n}\nfields_max = 5000\n"),
                     CONCUR_E_OPTION);
    snprintf(expected, sizeof expected,
             "backlog=0 (%s:1): at least 1\nengine=foo (%s:2): one of prefork, thread, event, ", path, path);
    ck_assert_int_eq(strncmp(cnc_options_errors(o), expected, strlen(expected)), 0);
    snprintf(expected, sizeof expected, "route \"/\": body_max=x (%s:4): a size", path);
    expect_in(cnc_options_errors(o), expected);
    snprintf(expected, sizeof expected, "fields_max=5000 (%s:6): at most 1000\n", path);
    expect_in(cnc_options_errors(o), expected);
}
END_TEST

START_TEST(nothing_is_printed)
{
    char text[64];
    int err = dup(2), out = dup(1), fd = open(path, O_RDWR);
    ck_assert_int_ge(fd, 0);
    char other[] = "/tmp/core_options_two.XXXXXX";
    int two = mkstemp(other);
    static const char bad[] = "engine = foo\nroute \"/\" {\n nonsense = 1\n}\n";
    ck_assert_int_eq(write(two, bad, sizeof bad - 1), sizeof bad - 1);
    dup2(fd, 1);
    dup2(fd, 2);
    int rc = cnc_options_load_file(o, other);
    dup2(out, 1);
    dup2(err, 2);
    ck_assert_int_eq(rc, CONCUR_E_OPTION);
    ck_assert_int_eq(lseek(fd, 0, SEEK_SET), 0);
    ck_assert_int_eq(read(fd, text, sizeof text), 0);
    unlink(other);
    close(fd);
    close(two);
    close(err);
    close(out);
}
END_TEST

START_TEST(files_that_cannot_be_read)
{
    char *large = malloc((1 << 20) + 2);
    ck_assert_int_eq(cnc_options_load_file(o, "/nonexistent/server.conf"), CONCUR_E_OPTION);
    expect_in(cnc_options_errors(o), "/nonexistent/server.conf: No such file or directory\n");
    ck_assert_int_eq(cnc_options_load_file(o, "/tmp"), CONCUR_E_OPTION);
    expect_in(cnc_options_errors(o), "/tmp: Is a directory\n");
    write_bytes("backlog = 5\0\n", 13);
    ck_assert_int_eq(cnc_options_load_file(o, path), CONCUR_E_OPTION);
    expect_in(cnc_options_errors(o), ": holds a NUL byte");
    memset(large, '\n', (1 << 20) + 1);
    write_bytes(large, (1 << 20) + 1);
    ck_assert_int_eq(cnc_options_load_file(o, path), CONCUR_E_OPTION);
    expect_in(cnc_options_errors(o), ": larger than 1 MiB\n");
    write_bytes(large, 1 << 20);
    ck_assert_int_eq(cnc_options_load_file(o, path), CONCUR_OK);
    free(large);
}
END_TEST

START_TEST(the_dump_can_be_loaded)
{
    struct cnc_config again;
    struct cnc_route_config route, route_again;
    struct cnc_options *first = o;
    set(CNC_LAYER_CODE, "engine", "thread");
    set(CNC_LAYER_CODE, "name", "q \" b \\ d ${HOME} # // /* é");
    set(CNC_LAYER_ENV, "listen", "*:8080");
    set(CNC_LAYER_ENV, "listen", "unix:/p mode=0600");
    set(CNC_LAYER_OVERRIDE, "body_max", "1536");
    set(CNC_LAYER_OVERRIDE, "header_timeout", "1500");
    cnc_options_set(o, CNC_LAYER_FILE, "route GET /{\"x\"}", "request_timeout", "90s", "server.conf:7");
    cnc_options_set(o, CNC_LAYER_CODE, "route GET /{\"x\"}", "blocking", "on", NULL);
    cnc_options_set(o, CNC_LAYER_CODE, "route GET /y", "blocking", "off", NULL);
    cnc_options_resolve(o, &config);
    cnc_options_resolve_route(o, "GET /{\"x\"}", &route);
    char *dump = cnc_options_dump(o, &config);
    expect_in(dump, "engine = thread # code\n");
    expect_in(dump, "backlog = 4096 # default\n");
    expect_in(dump, "pool_threads = auto # default\n");
    expect_in(dump, "header_timeout = 1500ms # override\n");
    expect_in(dump, "# concur_server_local: at most 64 of each\n");
    expect_in(dump,
              "route \"GET /{\\\"x\\\"}\" {\n    request_timeout = 90s # server.conf:7\n    blocking = on # code\n}\n");
    o = cnc_options_create();
    ck_assert_msg(load(dump) == CONCUR_OK, "%s\n%s", cnc_options_errors(o), dump);
    ck_assert_int_eq(cnc_options_resolve(o, &again), CONCUR_OK);
    cnc_options_resolve_route(o, "GET /{\"x\"}", &route_again);
    ck_assert_str_eq(again.name, config.name);
    ck_assert_str_eq(again.body_dir, config.body_dir);
    ck_assert_uint_eq(again.listen.count, 2);
    ck_assert_str_eq(again.listen.items[0], "*:8080");
    ck_assert_str_eq(again.listen.items[1], "unix:/p mode=0600");
    again.name = config.name; /* the rest is numbers */
    again.body_dir = config.body_dir;
    again.listen = config.listen;
    ck_assert_mem_eq(&again, &config, sizeof config);
    ck_assert_mem_eq(&route_again, &route, sizeof route);
    cnc_options_destroy(&o);
    o = first;
    free(dump);
}
END_TEST

#ifdef CNC_FAULTS
START_TEST(a_file_that_fails_halfway)
{
    for (unsigned nth = 1; nth < 6; nth++) {
        write_bytes("backlog = 5\n", 12);
        cnc_fault_arm(nth < 3 ? CNC_FAULT_READ : CNC_FAULT_ALLOC, nth < 3 ? nth : nth - 2, false);
        int rc = cnc_options_load_file(o, path);
        cnc_fault_arm(CNC_FAULT_READ, 0, false);
        cnc_fault_arm(CNC_FAULT_ALLOC, 0, false);
        ck_assert_msg(rc == (nth < 3 ? CONCUR_E_OPTION : CONCUR_E_NOMEM), "%u: %d", nth, rc);
    }
}
END_TEST
#endif
#else
START_TEST(files_need_libconfuse)
{
    ck_assert_int_eq(load("backlog = 5\n"), CONCUR_E_OPTION);
    expect_in(cnc_options_errors(o), "no libconfuse");
}
END_TEST
#endif

static void add_tests(TCase *tests)
{
#ifdef CNC_WITH_CONFUSE
    tcase_add_test(tests, a_file_is_read);
    tcase_add_test(tests, errors_of_a_file_have_lines);
    tcase_add_test(tests, what_this_version_lacks);
    tcase_add_test(tests, one_run_shows_all_wrong_values);
    tcase_add_test(tests, nothing_is_printed);
    tcase_add_test(tests, files_that_cannot_be_read);
    tcase_add_test(tests, the_dump_can_be_loaded);
#ifdef CNC_FAULTS
    tcase_add_test(tests, a_file_that_fails_halfway);
#endif
#else
    tcase_add_test(tests, files_need_libconfuse);
#endif
}

int main(void)
{
    return run_tests("core_options_file", add_tests);
}
