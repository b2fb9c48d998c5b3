/* SPDX-License-Identifier: MIT
 *
 * concur compare as a command, on concur-demo: what it prints, writes and returns, and that nothing is left of it,
 * whenever it is killed. Every process of a run is known by a mark in its environment.
 */
#include <check.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "json_walk.h"
#include "measure/app.h"

enum { WORDS = 32, OUTPUT = 65536, MOMENTS = 14, MOMENT_MS = 90 };

static char folder[64], mark[64], output[OUTPUT];

static void set_up(void)
{
    strcpy(folder, "/tmp/compare.XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
    snprintf(mark, sizeof mark, "COMPARE_MARK=%d", (int)getpid());
    ck_assert_int_eq(putenv(mark), 0);
}

static void tear_down(void)
{
    char command[128];
    snprintf(command, sizeof command, "rm -rf '%s'", folder);
    ck_assert_int_eq(system(command), 0);
}

static char *path_of(const char *name)
{
    char *path = NULL;
    ck_assert_int_gt(asprintf(&path, "%s/%s", folder, name), 0);
    return path;
}

static char *read_file(const char *path)
{
    char *text = NULL;
    size_t len = 0;
    FILE *f = fopen(path, "r");
    ck_assert_msg(f != NULL, "%s: %s", path, strerror(errno));
    ck_assert_int_gt((int)getdelim(&text, &len, '\0', f), 0);
    fclose(f);
    return text;
}

/* Starts a program with words up to NULL; out: where its output comes. */
static pid_t start(const char *program, const char *const words[], int *out)
{
    char *argv[WORDS] = { (char *)(uintptr_t)program };
    int ends[2];
    for (int i = 0; words[i]; i++)
        argv[i + 1] = (char *)(uintptr_t)words[i];
    ck_assert_int_eq(pipe2(ends, O_CLOEXEC), 0);
    pid_t pid = fork();
    if (pid == 0) {
        setpgid(0, 0);
        dup2(ends[1], STDOUT_FILENO);
        dup2(ends[1], STDERR_FILENO);
        execv(program, argv);
        _exit(127);
    }
    close(ends[1]);
    *out = ends[0];
    return pid;
}

/* Up to its end; the status. */
static int finish(pid_t pid, int out)
{
    size_t len = 0;
    ssize_t n;
    int status;
    while ((n = read(out, output + len, sizeof output - 1 - len)) > 0 || (n < 0 && errno == EINTR))
        len += n > 0 ? (size_t)n : 0;
    output[len] = '\0';
    close(out);
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert_msg(WIFEXITED(status), "ended by signal %d:\n%s", WTERMSIG(status), output);
    return WEXITSTATUS(status);
}

static int run(const char *program, const char *const words[])
{
    int out;
    pid_t pid = start(program, words, &out);
    return finish(pid, out);
}

static void has(const char *text)
{
    ck_assert_msg(strstr(output, text) != NULL, "\"%s\" is not in\n%s", text, output);
}

/* Processes with the mark, but for the test's own. */
static int count_marked(void)
{
    char path[300], text[16384];
    int count = 0;
    DIR *dir = opendir("/proc");
    struct dirent *e;
    while ((e = readdir(dir))) {
        long pid = strtol(e->d_name, NULL, 10);
        snprintf(path, sizeof path, "/proc/%ld/environ", pid);
        int fd = pid > 0 && pid != getpid() ? open(path, O_RDONLY | O_CLOEXEC) : -1;
        ssize_t n = fd >= 0 ? read(fd, text, sizeof text) : 0;
        if (fd >= 0)
            close(fd);
        count += n > 0 && memmem(text, (size_t)n, mark, strlen(mark)) != NULL;
    }
    closedir(dir);
    return count;
}

/* Waits for the guards, which end after the tool; only a hang takes a minute. */
static void nothing_is_left(void)
{
    const struct timespec look = { 0, 10000000 };
    for (int i = 0; i < 6000 && count_marked(); i++)
        nanosleep(&look, NULL);
    ck_assert_int_eq(count_marked(), 0);
}

/* Short, and the machine may be busy: noise is no failure here. */
static void compared(int status)
{
    ck_assert_msg(status == 0 || status == 4, "status %d:\n%s", status, output);
    ck_assert_int_eq(strstr(output, "TOO NOISY") != NULL, status == 4);
}

static void ignore(const char *path, void *arg)
{
    (void)path, (void)arg;
}

START_TEST(a_comparison)
{
    char *json = path_of("out.json"), *config = path_of("advised.conf");
    const char *const words[] = { "compare",
                                  "--url",
                                  "/",
                                  "--engines",
                                  "event,prefork,process-thread",
                                  "--rounds",
                                  "2",
                                  "--seconds",
                                  "0.3",
                                  "--json",
                                  json,
                                  "--write-config",
                                  config,
                                  NULL };
    const char *const check[] = { "--config", config, "--check", NULL };
    const char *const dump[] = { "--config", config, "--dump", NULL };
    compared(run(CONCUR_TOOL, words));
    has("Best: ");
    has("Noise: event under /, 4 times in turn against itself");
    has("concur compare --url / --engines ");
    ck_assert_ptr_null(strstr(output, "that is not this engine"));
    ck_assert_ptr_null(strstr(output, "differently"));
    char *text = read_file(json), *engine = read_file(config);
    ck_assert(json_walk(text, ignore, NULL));
    ck_assert_int_eq(run(CONCUR_DEMO, check), 0);
    ck_assert_int_eq(run(CONCUR_DEMO, dump), 0);
    char *line = strstr(engine, "engine = ");
    ck_assert_ptr_nonnull(line);
    *strchr(line, '\n') = '\0';
    has(line);
    nothing_is_left();
    free(text);
    free(engine);
    free(json);
    free(config);
}
END_TEST

/* A workload whose request says what the engine is, and one for a page that is not there. */
START_TEST(answers_that_differ)
{
    char *file = path_of("engine.conf");
    FILE *f = fopen(file, "w");
    fputs("name = \"engine\"\nclients \"all\" {\n    connections = 4\n    request \"GET /whoami\" { expect = "
          "\"\\\"engine\\\":\\\"event\\\"\" }\n}\n",
          f);
    fclose(f);
    const char *const words[] = { "compare",   "--workload",   file,        "--url", "/no-such-page",
                                  "--engines", "event,thread", "--rounds",  "1",     "--seconds",
                                  "0.2",       "--",           CONCUR_DEMO, NULL };
    run(CONCUR_TOOL, words);
    has("thread answers GET /whoami differently: ");
    has("thread answers wrongly: ");
    has("with other content");
    has("event answers wrongly: ");
    has("4xx");
    nothing_is_left();
    free(file);
}
END_TEST

/* Flags of the program's own command line overrule the environment: the tree shows it. */
START_TEST(a_program_that_overrules_the_engine)
{
    const char *const words[] = { "compare",       "--app",    CONCUR_DEMO, "--engine",  "event", "--engines",
                                  "event,prefork", "--rounds", "1",         "--seconds", "0.2",   NULL };
    compared(run(CONCUR_TOOL, words));
    has("prefork: 1 process with");
    has("that is not this engine");
    nothing_is_left();
}
END_TEST

/* A port of its own, in place of the one that it was given. */
START_TEST(a_port_is_found)
{
    const char *const words[] = { "compare", "--engines", "thread", "--rounds",  "1",        "--seconds", "0.2",
                                  "--url",   "/",         "--",     CONCUR_DEMO, "--listen", "[::1]:0",   NULL };
    compared(run(CONCUR_TOOL, words));
    has("thread");
    nothing_is_left();
}
END_TEST

START_TEST(words_of_the_program)
{
    char *script = path_of("program");
    FILE *f = fopen(script, "w");
    fputs("#!/bin/sh\necho \"$# words: $*\" $CONCUR_ENGINE $CONCUR_LISTEN\nexit 5\n", f);
    fclose(f);
    ck_assert_int_eq(chmod(script, 0700), 0);
    const char *const words[] = {
        "compare", "--app", script, "--port", "80", "--engines", "thread", "--url", "/", NULL
    };
    const char *const all[] = { "compare", "--engines", "event", "--", script, "--url", "--json", NULL };
    ck_assert_int_eq(run(CONCUR_TOOL, words), 1);
    has("thread: it ended at once (status 5): 2 words: --port 80 thread 127.0.0.1:0");
    ck_assert_int_eq(run(CONCUR_TOOL, all), 1);
    has("2 words: --url --json event");
    nothing_is_left();
    free(script);
}
END_TEST

/* What is for one engine goes before what is for all, in whatever order. */
START_TEST(the_environment_of_a_program)
{
    char event[] = "event", thread[] = "thread", master[] = "master", backlog[] = "backlog", on[] = "on";
    char one[] = "1", two[] = "2", three[] = "3";
    struct workload_setting all[] = {
        { event, backlog, one }, { NULL, backlog, two }, { thread, backlog, three }, { NULL, master, on }
    };
    static const char *const wanted[] = { "CONCUR_ENGINE=event", "CONCUR_LISTEN=127.0.0.1:0", "CONCUR_BACKLOG=1",
                                          "CONCUR_MASTER=on", NULL };
    struct workload w = { .settings = all, .setting_count = 4 };
    char **settings = app_settings(&w, "event");
    for (int i = 0; i < 5; i++)
        ck_assert(wanted[i] ? strcmp(settings[i], wanted[i]) == 0 : !settings[i]);
    app_settings_free(settings);
    ck_assert_str_eq(app_setting(&w, "thread", "backlog"), "3");
    ck_assert_str_eq(app_setting(&w, "prefork", "backlog"), "2");
    ck_assert_ptr_null(app_setting(&w, "prefork", "workers"));
}
END_TEST

static const struct {
    const char *words[6];
    const char *says;
} mistakes[] = {
    { { "compare", "--frobnicate" }, "no such flag" },
    { { "compare", "--url" }, "a value is missing" },
    { { "compare", "--url", "--json" }, "a value is missing" },
    { { "compare", "--url", "price" }, "a path begins with /" },
    { { "compare", "--workload", "nosuch" }, "nosuch: no such workload" },
    { { "compare", "--engines", "event,fast" }, "fast: no such engine" },
    { { "compare", "--rounds", "0" }, "--rounds 0: a number from 1" },
    { { "compare", "--seconds", "1x" }, "--seconds 1x: a number" },
    { { "compare", "--app", "--url", "/" }, "a program is missing" },
    { { "compare", "--app", "x", "--app", "y" }, "one program only" },
};

START_TEST(a_bad_flag)
{
    ck_assert_int_eq(run(CONCUR_TOOL, mistakes[_i].words), 2);
    has(mistakes[_i].says);
}
END_TEST

START_TEST(a_program_that_is_not_there)
{
    const char *const words[] = { "compare", "--app", "/nowhere/shop", "--engines", "event", NULL };
    ck_assert_int_eq(run(CONCUR_TOOL, words), 1);
    has("/nowhere/shop: No such file");
}
END_TEST

static const char *const whole[] = { "compare",
                                     "--workload",
                                     "killed",
                                     "--workload",
                                     "plain",
                                     "--rounds",
                                     "2",
                                     "--seconds",
                                     "0.3",
                                     "--engines",
                                     "process-thread,event,prefork",
                                     NULL };

/* At moments from its first to its fourth program. */
START_TEST(sigkill_leaves_nothing)
{
    int out;
    pid_t pid = start(CONCUR_TOOL, whole, &out);
    const struct timespec moment = { _i * MOMENT_MS / 1000, (long)(_i * MOMENT_MS % 1000) * 1000000 };
    nanosleep(&moment, NULL);
    kill(pid, SIGKILL);
    ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
    close(out);
    nothing_is_left();
}
END_TEST

/* To its group, as a terminal does, when a program serves. */
START_TEST(ctrl_c_prints_what_there_is)
{
    int out;
    const struct timespec look = { 0, 5000000 };
    pid_t pid = start(CONCUR_TOOL, whole, &out);
    while (count_marked() < 3) /* the tool, a guard, a program */
        nanosleep(&look, NULL);
    kill(-pid, SIGINT);
    ck_assert_int_eq(finish(pid, out), 3);
    has("Stopped; these are the results so far.");
    nothing_is_left();
}
END_TEST

int main(void)
{
    Suite *s = suite_create("compare");
    TCase *t = tcase_create("compare");
    tcase_set_timeout(t, 250);
    tcase_add_checked_fixture(t, set_up, tear_down);
    tcase_add_test(t, a_comparison);
    tcase_add_test(t, answers_that_differ);
    tcase_add_test(t, a_program_that_overrules_the_engine);
    tcase_add_test(t, a_port_is_found);
    tcase_add_test(t, words_of_the_program);
    tcase_add_test(t, the_environment_of_a_program);
    tcase_add_loop_test(t, a_bad_flag, 0, sizeof mistakes / sizeof *mistakes);
    tcase_add_test(t, a_program_that_is_not_there);
    tcase_add_loop_test(t, sigkill_leaves_nothing, 0, MOMENTS);
    tcase_add_test(t, ctrl_c_prints_what_there_is);
    suite_add_tcase(s, t);
    SRunner *runner = srunner_create(s);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
