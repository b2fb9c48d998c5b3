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
    expect_in(cnc_options_notes(o, CNC_NOTES_ALL), note);
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
        { "\nblocking = on\n", 2, "blocking (%s): belongs in a section: route \"PATTERN\" { ... }\n" },
        { "backlog = 1\n#\n\nbacklog = 2\n", 4, "backlog=2 (%s): given before, in " },
        { "route \"/\" {\nbody_max = 1\nbody_max = 1\n}\n", 3, "route \"/\": body_max=1 (%s): given before, in " },
        { "route \"/\" {\n}\nroute \"/\" {\n}\n", 3, "%s: there is a section with this title already\n" },
        { "listen = {\"fd:3\",\n\"nonsense\"}\n", 2, "listen=nonsense (%s): \"nonsense\": no port" },
        { "backlog 5\n", 1, "backlog (%s): no = after the name: backlog = 5\n" },
        { "backlog\nengine = thread\n", 1, "backlog (%s): no = after the name: backlog = ...\n" },
        { "\nbacklog", 2, "backlog (%s): no = after the name: backlog = ...\n" },
        { "engine: thread\n", 1, "engine (%s): use = after the name, not a colon: engine = thread\n" },
        { "\nengine:thread\n", 2, "engine (%s): use = after the name, not a colon: engine = thread\n" },
        { "engine :thread\n", 1, "engine (%s): use = after the name, not a colon: engine = thread\n" },
        { "engine : thread\n", 1, "engine (%s): use = after the name, not a colon: engine = ...\n" },
        { "engine:\n", 1, "engine (%s): use = after the name, not a colon: engine = ...\n" },
        { "listen: 127.0.0.1:80\n", 1,
          "listen (%s): use = after the name, not a colon: listen = 127.0.0.1:80\n" },
        { "backlog = 5\n}\n", 2, "%s: this closing brace closes nothing\n" },
        { "backlog = {5}\n", 1, "backlog (%s): takes one value, not a list\n" },
        { "backlog += 5\n", 1, "backlog (%s): takes one value: = and not +=\n" },
        { "listen = { \"fd:3\" 'fd:4' }\n", 1, "listen (%s): a comma is missing in the list\n" },
        { "listen = { \"fd:3\",\n = }\n", 2, "listen (%s): a value is missing in the list\n" },
        { "\nlisten = { \"fd:3\",\n", 2, "listen (%s): a list that starts here has no end\n" },
        { "listen = fd:3, fd:4\n", 1, "listen (%s): several values need braces, with commas between them\n" },
        { "\nheader_timeout = 15 s\nbacklog = 5\n", 2, "header_timeout (%s): something follows the value; " },
        { "backlog = 5;\n", 1, "backlog (%s): a value must not be followed by ;\n" },
        { "\nroute {\n}\n", 2, "route (%s): a title in quotes must come before the brace\n" },
        { "\nroute \"/\" blocking = on\n", 2, "route (%s): a title in quotes and { must follow: route \"...\" {" },
        { "\nroute GET /x {\nblocking = on\n}\n", 2, "route (%s): a title in quotes and { must follow: route" },
        { "route = 5\n", 1, "route (%s): is a section: route \"PATTERN\" { ... }\n" },
        { "\nserver {\nbacklog = x\n}\n", 2, "server (%s): no such section; use route " },
        { "backlog {\n}\n", 1, "backlog (%s): is an option, not a section: put = after it\n" },
        { "route \"/\" {\nroute \"/x\" {\n}\n}\n", 2, "route \"/\": route (%s): a section cannot be in another section\n" },
        { "\nroute \"/\" {\nbody_max = 1\n", 2, "%s: a section that starts here has no end\n" },
        { "backlog =\n\n", 1, "backlog (%s): no value after the =\n" },
        { "= 5\n", 1, "%s: a name is missing here\n" },
        { "\nlisten = *:80\n", 2, "listen (%s): a value with other characters" },
        { "\nbacklog = 1+1\n", 2, "backlog (%s): a value with other characters" },
        { "\nname = \"abc\n\n", 2, "name (%s): a string that starts here has no end on its line\n" },
        { "\nname = 'abc\\'\n\n", 2, "name (%s): a string that starts here has no end on its line\n" },
        { "#\n/* abc\n\n", 2, "%s: a comment that starts here has no end\n" },
        { "\nname = ${HOME}\n", 2, "name (%s): variables are not replaced" },
        { "\nname = \"${HOME}\"\n", 2, "name (%s): variables are not replaced" },
        { "\nname = \"\\999\"\n", 2, "name (%s): a number after a backslash is octal" },
        { "\nname = \"\\400\"\n", 2, "name (%s): a number after a backslash is octal" },
        { "\nname = \"\\1234\"\n", 2, "name (%s): a number after a backslash is octal" },
        { "\nname = \"a\\0b\"\n", 2, "name (%s): a value cannot have a NUL byte\n" },
        { "\nname = \"a\\x0\"\n", 2, "name (%s): a value cannot have a NUL byte\n" },
        { "\n\"\" = 5\n", 2, "%s: a name is missing here\n" },
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
        { "\n\nupstream price {\n}\n", 3, "upstream (%s): this version makes no requests to other servers" },
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

/* Statements with one mistake each, none of which may hide another. line: which of its lines is told. */
static const struct {
    const char *text;
    int lines, line;
    const char *says; /* %s: PATH:LINE */
} mistakes[] = {
    { "threads_max = 99999\n", 1, 0, "threads_max=99999 (%s): at most 65536\n" },
    { "keepalive_timeout = 15\n", 1, 0, "keepalive_timeout=15 (%s): a time needs a unit: 15ms or 15s\n" },
    { "engine = treads\n", 1, 0,
      "engine=treads (%s): one of prefork, thread, event, process-thread, process-event, "
      "event-pool; did you mean thread?\n" },
    { "wokers = 2 # c\n", 1, 0, "wokers (%s): no such option; did you mean workers?\n" },
    { "zzzz = { 1, # c\n 2 }\n", 2, 0, "zzzz (%s): no such option\n" },
    { "master: on\n", 1, 0, "master (%s): use = after the name, not a colon: master = on\n" },
    { "backlog 5\n", 1, 0, "backlog (%s): no = after the name: backlog = 5\n" },
    { "name = \"abc\n", 1, 0, "name (%s): a string that starts here has no end on its line\n" },
    { "body_dir = 'it\\'s\n", 1, 0, "body_dir (%s): a string that starts here has no end on its line\n" },
    { "queue_max = 5;\n", 1, 0, "queue_max (%s): a value must not be followed by ;\n" },
    { "header_timeout = 15 s\n", 1, 0,
      "header_timeout (%s): something follows the value; a value with spaces needs quotes\n" },
    { "server {\n  backlog = 9\n  location / {\n }\n}\n", 5, 0,
      "server (%s): no such section; use route \"PATTERN\" { ... }\n" },
    { "route GET /x {\n  blocking = on\n}\n", 3, 0,
      "route (%s): a title in quotes and { must follow: route \"...\" { ... }\n" },
    { "route \"GET /y\" {\n/* c\n*/ blockin = on\n}\n", 4, 2,
      "route \"GET /y\": blockin (%s): no such option; did you mean blocking?\n" },
    { "route \"GET /z\" { body_max = x }\n", 1, 0,
      "route \"GET /z\": body_max=x (%s): a size such as 512, 64k, 1m or 2g, from 0 to 1024g\n" },
    { "route '/v' {\n}\nroute '/v' {\n body_memory = x\n}\n", 5, 2,
      "%s: there is a section with this title already\n" },
    { "output_high = -1\n", 1, 0, "output_high=-1 (%s): a size such as 512, 64k, 1m or 2g, from 1k to 1g\n" },
    { "fields_max = {1,\n2}\n", 2, 0, "fields_max (%s): takes one value, not a list\n" },
    { "listen = {\"fd:3\",\n\"nonsense\"}\n", 2, 1,
      "listen=nonsense (%s): \"nonsense\": no port; write ADDRESS:PORT, [IPV6]:PORT, *:PORT, unix:/PATH or "
      "fd:NUMBER\n" },
    { "tls \"site\" {\n certificate = x\n}\n", 3, 0,
      "tls (%s): this version has no TLS: put a proxy in front that has it\n" },
    { "}\n", 1, 0, "%s: this closing brace closes nothing\n" },
    { "workers_max = *\n", 1, 0,
      "workers_max (%s): a value with other characters than letters, digits and _ - . : / [ ] "
      "needs quotes\n" },
    { "linger_max = \"\\777\"\n", 1, 0,
      "linger_max (%s): a number after a backslash is octal, at most \\377; write \\\\ for a backslash\n" },
    { "park_after += 5ms\n", 1, 0, "park_after (%s): takes one value: = and not +=\n" },
    { "blocking = on\n", 1, 0, "blocking (%s): belongs in a section: route \"PATTERN\" { ... }\n" },
};

static const char *const fine[] = {
    "line_max = 4k\n",
    "# a comment: = {\n",
    "route \"GET /fine\" { blocking = on }\n",
    "\n\n/* of\nthree */\n",
    "trailer_max = 1k chunk_ext_max = 1k\n",
    "spare_min = 2 // it's\n",
    "route /other {\n body_max = 2k\n}\n",
};

/* In any order, among good statements: each is told once, in the order of the file, and what is good counts. */
START_TEST(one_mistake_hides_no_other)
{
    uint64_t seed = test_seed();
    for (int run = 0; run < 300; run++) {
        bool used[CNC_COUNT(mistakes)] = { false }, good[CNC_COUNT(fine)] = { false };
        char text[8192] = "", expected[16384] = "", origin[64];
        int line = 1, told = 0;
        for (int i = 0; i < 40; i++) {
            size_t pick = test_random(&seed) % (CNC_COUNT(mistakes) + CNC_COUNT(fine));
            if (pick >= CNC_COUNT(mistakes) && !good[pick - CNC_COUNT(mistakes)]) {
                const char *part = fine[pick - CNC_COUNT(mistakes)];
                good[pick - CNC_COUNT(mistakes)] = true;
                strcat(text, part);
                for (; *part; part++)
                    line += *part == '\n';
            } else if (pick < CNC_COUNT(mistakes) && !used[pick]) {
                used[pick] = true;
                strcat(text, mistakes[pick].text);
                size_t n = strlen(expected);
                snprintf(origin, sizeof origin, "%s:%d", path, line + mistakes[pick].line);
                snprintf(expected + n, sizeof expected - n, mistakes[pick].says, origin);
                line += mistakes[pick].lines;
                told++;
            }
        }
        struct cnc_options *kept = o;
        o = cnc_options_create();
        int rc = load(text);
        ck_assert_msg(rc == (told ? strncmp(expected, "tls", 3) ? CONCUR_E_OPTION : CONCUR_E_UNSUPPORTED : CONCUR_OK),
                      "%d\n%s", rc, text);
        ck_assert_msg(strcmp(cnc_options_errors(o), expected) == 0, "%s\ngave:\n%s\nnot:\n%s", text,
                      cnc_options_errors(o), expected);
        ck_assert_int_eq(cnc_options_resolve(o, &config), rc);
        ck_assert_int_eq(config.line_max, good[0] ? 4096 : 8192);
        ck_assert_int_eq(config.chunk_ext_max, good[4] ? 1024 : 16384);
        ck_assert_int_eq(config.spare_min, good[5] ? 2 : 5);
        ck_assert_int_eq(config.backlog, 4096);
        cnc_options_destroy(&o);
        o = kept;
    }
}
END_TEST

START_TEST(nobody_reads_a_thousand_mistakes)
{
    char *text = malloc(20000), *at = text;
    for (int i = 0; i < 1000; i++)
        at += sprintf(at, i % 2 ? "backlog = %d;\n" : "backlog = x%d\n", i);
    ck_assert_int_eq(load(text), CONCUR_E_OPTION);
    int lines = 0;
    for (const char *p = cnc_options_errors(o); *p; p++)
        lines += *p == '\n';
    ck_assert_int_eq(lines, CNC_MISTAKES_MAX + 1);
    expect_in(cnc_options_errors(o), ": more than 100 mistakes: the others are not shown\n");
    free(text);
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
    expect_in(cnc_options_errors(o), ": it has a NUL byte");
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
    set(CNC_LAYER_OVERRIDE, "header_timeout", "1500ms");
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
    tcase_add_test(tests, one_mistake_hides_no_other);
    tcase_add_test(tests, nobody_reads_a_thousand_mistakes);
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
