/* SPDX-License-Identifier: MIT
 *
 * Workload files: those that are shipped, what one says, and that each mistake is named with its line.
 */
#include "load/workload.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char file[64];

static void make_name(void)
{
    strcpy(file, "/tmp/workload-test-XXXXXX");
    int fd = mkstemp(file);
    ck_assert_int_ge(fd, 0);
    close(fd);
}

static void remove_file(void)
{
    unlink(file);
}

static int load(const char *text, struct workload **w, char error[512])
{
    FILE *f = fopen(file, "w");
    fputs(text, f);
    fclose(f);
    strcpy(error, "");
    return workload_load(file, w, error, 512);
}

static const char full[] =
    "# one\n"
    "name = \"full\"\n"
    "title = \"a # is no comment here\" // but here\n"
    "duration_ms = 1500 warmup_ms = 0 timeout_ms = 700\n"
    "settings = { \"queue_max=8\", /* inside */ \"thread:listen=127.0.0.1:80\" }\n"
    "overload = 2.5\n"
    "kill_worker_every_ms = 250\n"
    "needs_unsafe = true\n"
    "wait_ms = 20\n"
    "at_once = { \"thread=64\", \"event=1\" }\n"
    "clients \"a b\" {\n"
    "    kind = pipeline connections = 7 depth = 3 rate = 70\n"
    "    request \"GET /a\" { weight = 9 expect = \"say \\\"hi\\\"\" headers = { \"X: 1\", \"Y: 2\" } }\n"
    "    request \"POST /b?c=d\" { status = 201 body = \"abc\\n\" }\n"
    "}\n"
    "clients \"quiet\" { kind = idle connections = 5 }\n"
    "clients \"slow\" { kind = slow_send connections = 2 slow_bytes = 3 slow_ms = 40 request \"GET /\" {} }\n";

START_TEST(a_file_says_everything)
{
    struct workload *w = NULL;
    char error[512];
    ck_assert_msg(load(full, &w, error) == 0, "%s", error);
    ck_assert_str_eq(w->name, "full");
    ck_assert_str_eq(w->title, "a # is no comment here");
    ck_assert_str_eq(w->source, file);
    ck_assert_uint_eq(w->duration_ms, 1500);
    ck_assert_uint_eq(w->warmup_ms, 0);
    ck_assert_uint_eq(w->timeout_ms, 700);
    ck_assert_uint_eq(w->setting_count, 2);
    ck_assert_ptr_null(w->settings[0].engine);
    ck_assert_str_eq(w->settings[0].option, "queue_max");
    ck_assert_str_eq(w->settings[0].value, "8");
    ck_assert_str_eq(w->settings[1].engine, "thread");
    ck_assert_str_eq(w->settings[1].option, "listen");
    ck_assert_str_eq(w->settings[1].value, "127.0.0.1:80");
    ck_assert_double_eq(w->overload, 2.5);
    ck_assert_uint_eq(w->kill_worker_every_ms, 250);
    ck_assert(w->needs_unsafe);
    ck_assert_double_eq(workload_theory(w, "thread"), 3200);
    ck_assert_double_eq(workload_theory(w, "event"), 50);
    ck_assert_double_eq(workload_theory(w, "prefork"), 0);
    workload_free(&w);
    ck_assert_ptr_null(w);
}
END_TEST

START_TEST(a_file_has_groups_and_requests)
{
    struct workload *w = NULL;
    char error[512];
    ck_assert_msg(load(full, &w, error) == 0, "%s", error);
    ck_assert_uint_eq(w->group_count, 3);
    const struct workload_group *g = &w->groups[0];
    ck_assert_str_eq(g->name, "a b");
    ck_assert_int_eq(g->kind, WORKLOAD_PIPELINE);
    ck_assert_uint_eq(g->connections, 7);
    ck_assert_uint_eq(g->depth, 3);
    ck_assert_double_eq(g->rate, 70);
    ck_assert_uint_eq(g->request_count, 2);
    ck_assert_str_eq(g->requests[0].method, "GET");
    ck_assert_str_eq(g->requests[0].target, "/a");
    ck_assert_str_eq(g->requests[0].headers, "X: 1\r\nY: 2\r\n");
    ck_assert_str_eq(g->requests[0].expect, "say \"hi\"");
    ck_assert_uint_eq(g->requests[0].weight, 9);
    ck_assert_int_eq(g->requests[0].status, 200);
    ck_assert_ptr_null(g->requests[0].body);
    ck_assert_str_eq(g->requests[1].method, "POST");
    ck_assert_str_eq(g->requests[1].target, "/b?c=d");
    ck_assert_str_eq(g->requests[1].body, "abc\n");
    ck_assert_uint_eq(g->requests[1].body_len, 4);
    ck_assert_ptr_null(g->requests[1].expect);
    ck_assert_uint_eq(w->groups[1].request_count, 0);
    ck_assert_uint_eq(w->groups[2].slow_bytes, 3);
    ck_assert_uint_eq(w->groups[2].slow_ms, 40);
    ck_assert_uint_eq(w->groups[2].depth, 1);
    workload_free(&w);
}
END_TEST

START_TEST(the_rate_is_shared_by_the_active_groups)
{
    struct workload *w = NULL;
    char error[512];
    ck_assert_int_eq(load("name = \"x\"\nclients \"a\" { connections = 30 request \"GET /\" {} }\n"
                          "clients \"b\" { connections = 10 kind = close request \"GET /\" {} }\n"
                          "clients \"c\" { connections = 99 kind = idle }\n",
                          &w, error),
                     0);
    ck_assert_str_eq(w->title, "x");
    workload_set_rate(w, 400);
    ck_assert_double_eq(w->groups[0].rate, 300);
    ck_assert_double_eq(w->groups[1].rate, 100);
    ck_assert_double_eq(w->groups[2].rate, 0);
    workload_free(&w);
}
END_TEST

/* The line is the file's, the words are in the message. */
#define NAME "name = \"x\"\n"
#define ONE "clients \"a\" { request \"GET /\" {} }\n"

static const struct {
    const char *text;
    int line;
    const char *words;
} mistakes[] = {
    { "", 1, "name" },
    { NAME, 2, "no clients" },
    { ONE, 2, "name" },
    { "name = \"A b\"\n" ONE, 3, "lower-case letters" },
    { NAME "/* one\ntwo */ # three\nduration_ms = 5\n" ONE, 4, "duration_ms = 5: from 100" },
    { NAME "\n\ntimeout_ms = 0\n" ONE, 4, "timeout_ms" },
    { NAME "warmup_ms = -1\n" ONE, 2, "warmup_ms" },
    { NAME "duration_ms = soon\n" ONE, 2, "duration_ms" },
    { NAME "overload = 1000\n" ONE, 2, "overload" },
    { NAME "colour = 3\n" ONE, 2, "colour" },
    { NAME "settings = { \"queue_max\" }\n" ONE, 2, "OPTION=VALUE" },
    { NAME "settings = { \"thread:=5\" }\n" ONE, 2, "OPTION=VALUE" },
    { NAME "at_once = { \"thread=many\" }\n" ONE, 2, "ENGINE=N" },
    { NAME "at_once = { \"thread=0\" }\n" ONE, 2, "ENGINE=N" },
    { NAME ONE "title = \"no end\n", 3, "no end" },
    { NAME "title = \"${HOME}\"\n" ONE, 2, "${" },
    { NAME "/* no end\n" ONE, 2, "comment" },
    { NAME "clients \"a\" {\n}\n", 3, "no request" },
    { NAME "clients \"a\" {\n connections = 0\n request \"GET /\" {}\n}\n", 3, "connections" },
    { NAME "clients \"a\" {\n kind = fast\n request \"GET /\" {}\n}\n", 3, "kind = fast" },
    { NAME "clients \"a\" {\n depth = 4\n request \"GET /\" {}\n}\n", 5, "depth is for" },
    { NAME "clients \"a\" {\n kind = pipeline depth = 4000\n request \"GET /\" {}\n}\n", 3, "depth = 4000" },
    { NAME "clients \"a\" {\n kind = idle\n rate = 3\n}\n", 5, "no rate" },
    { NAME "clients \"a\" {\n request \"/\" {}\n}\n", 3, "METHOD /path" },
    { NAME "clients \"a\" {\n request \"GET\" {}\n}\n", 3, "METHOD /path" },
    { NAME "clients \"a\" {\n request \"GET / x\" {}\n}\n", 3, "METHOD /path" },
    { NAME "clients \"a\" {\n request \"GET /\" {\n status = 99 }\n}\n", 4, "status" },
    { NAME "clients \"a\" {\n request \"GET /\" {\n weight = 0 }\n}\n", 4, "weight" },
    { NAME "clients \"a\" {\n request \"GET /\" {\n expect = \"\" }\n}\n", 4, "expect" },
    { NAME "clients \"a\" {\n request \"GET /\" {\n headers = { \"none\" } }\n}\n", 4, "Name: value" },
    { NAME "clients \"a\" {\n request \"GET /\" {\n headers = { \"A: b\\r\\nC: d\" } }\n}\n", 4, "Name: value" },
    { NAME ONE ONE, 3, "a" },
    { NAME "clients \"a\" {\n", 3, "" },
};

START_TEST(a_mistake_is_named_with_its_line)
{
    struct workload *w = NULL;
    char error[512], where[80];
    ck_assert_msg(load(mistakes[_i].text, &w, error) < 0, "accepted: %s", mistakes[_i].text);
    ck_assert_ptr_null(w);
    snprintf(where, sizeof where, "%s:%d: ", file, mistakes[_i].line);
    ck_assert_msg(strncmp(error, where, strlen(where)) == 0 && strstr(error, mistakes[_i].words), "%s\nfor\n%s", error,
                  mistakes[_i].text);
    ck_assert_msg(load(NAME ONE, &w, error) == 0, "after a mistake a good file is read: %s", error);
    workload_free(&w);
}
END_TEST

START_TEST(a_file_that_is_not_there_is_an_error)
{
    struct workload *w = NULL;
    char error[512];
    ck_assert_int_lt(workload_load("/nowhere/x.conf", &w, error, sizeof error), 0);
    ck_assert_ptr_nonnull(strstr(error, "/nowhere/x.conf: No such file"));
    ck_assert_int_lt(workload_load("/tmp", &w, error, sizeof error), 0);
    ck_assert_ptr_nonnull(strstr(error, "/tmp: "));
}
END_TEST

START_TEST(a_path_is_a_workload)
{
    struct workload *w = NULL;
    char error[512];
    ck_assert_int_eq(workload_from_path("/x?y=1", &w, error, sizeof error), 0);
    ck_assert_uint_eq(w->group_count, 1);
    ck_assert_str_eq(w->groups[0].requests[0].target, "/x?y=1");
    ck_assert_int_eq(w->groups[0].requests[0].status, 200);
    ck_assert_double_eq(w->groups[0].rate, 0);
    workload_free(&w);
    ck_assert_int_lt(workload_from_path("x", &w, error, sizeof error), 0);
    ck_assert_int_lt(workload_from_path("/a b", &w, error, sizeof error), 0);
    ck_assert_int_lt(workload_from_path("/a#b", &w, error, sizeof error), 0);
}
END_TEST

START_TEST(what_is_shipped_is_right)
{
    static const char *const names[] = { "plain", "close", "pipelined", "cpu",  "blocking", "stall",
                                         "offload", "mixed", "idle",      "slow", "overload", "killed",
                                         "../../examples/guestbook-visitors", "../../tests/truths/crash",
                                         "../../tests/truths/both" };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        struct workload *w = NULL;
        char error[512], path[512];
        const char *slash = strrchr(names[i], '/'), *name = slash ? slash + 1 : names[i];
        snprintf(path, sizeof path, "%s/%s.conf", WORKLOADS, names[i]);
        ck_assert_msg(workload_load(path, &w, error, sizeof error) == 0, "%s", error);
        ck_assert_str_eq(w->name, name);
        ck_assert_str_ne(w->title, name);
        workload_free(&w);
    }
}
END_TEST

int main(void)
{
    enum { MISTAKES = sizeof mistakes / sizeof *mistakes };
    Suite *s = suite_create("workload");
    TCase *t = tcase_create("workload");
    suite_add_tcase(s, t);
    tcase_add_checked_fixture(t, make_name, remove_file);
    tcase_add_test(t, a_file_says_everything);
    tcase_add_test(t, a_file_has_groups_and_requests);
    tcase_add_test(t, the_rate_is_shared_by_the_active_groups);
    tcase_add_loop_test(t, a_mistake_is_named_with_its_line, 0, MISTAKES);
    tcase_add_test(t, a_file_that_is_not_there_is_an_error);
    tcase_add_test(t, a_path_is_a_workload);
    tcase_add_test(t, what_is_shipped_is_right);
    SRunner *runner = srunner_create(s);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
