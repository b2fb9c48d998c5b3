/* SPDX-License-Identifier: MIT
 *
 * The engines of the build, what tests know of them, and how a suite is run on them.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "e2e/harness.h"

static const char *const all_engines[ENGINES_MAX] = {
    "prefork", "thread", "event", "process-thread", "process-event", "event-pool"
};
static const char *engines[ENGINES_MAX];
static int engines_found;

int engine_count(void)
{
    return engines_found;
}

const char *engine_name(int i)
{
    return engines[i];
}

int variant_count(void)
{
    return engines_found * 2;
}

const char *variant_engine(int i)
{
    return engines[i / 2];
}

const char *variant_pool(int i)
{
    return i % 2 ? "4" : "0";
}

static bool is_one_of(const char *engine, const char *a, const char *b, const char *c)
{
    return strcmp(engine, a) == 0 || strcmp(engine, b) == 0 || strcmp(engine, c) == 0;
}

bool has_loop(const char *engine)
{
    return is_one_of(engine, "event", "event-pool", "process-event");
}

bool has_threads(const char *engine)
{
    return is_one_of(engine, "thread", "process-thread", "");
}

bool has_workers(const char *engine)
{
    return is_one_of(engine, "prefork", "process-thread", "process-event");
}

bool is_one_connection_a_worker(const char *engine)
{
    return strcmp(engine, "prefork") == 0;
}

int workers_usually(const char *engine)
{
    return is_one_connection_a_worker(engine) ? 8 : has_workers(engine) ? 2 : 1;
}

const char *workers_for(const char *engine, unsigned n)
{
    static char text[16];
    snprintf(text, sizeof text, "%u", is_one_connection_a_worker(engine) ? n : (unsigned)workers_usually(engine));
    return text;
}

/* Does this build have it? What the demo says about one it has not is of no interest. */
static bool has_engine(const char *name)
{
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        int null = open("/dev/null", O_RDWR | O_CLOEXEC);
        if (null < 0 || dup2(null, STDOUT_FILENO) < 0 || dup2(null, STDERR_FILENO) < 0)
            _exit(127);
        execl(demo_program(), demo_program(), "--engine", name, "--check", (char *)NULL);
        _exit(127);
    }
    int status = 0;
    return pid > 0 && waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

/* Is it among those that CONCUR_TEST_ENGINES names, if that is set? */
static bool is_asked_for(const char *name)
{
    const char *p = getenv("CONCUR_TEST_ENGINES");
    const size_t n = strlen(name);
    if (!p || !*p)
        return true;
    for (; *p; p += strcspn(p, ","), p += *p == ',')
        if (strncmp(p, name, n) == 0 && (p[n] == ',' || p[n] == '\0'))
            return true;
    return false;
}

/* Fails when an engine that was named is missing, or when there is none at all. */
static bool find_engines(int argc, char **argv)
{
    for (size_t i = 0; i < COUNT(all_engines); i++)
        if (is_asked_for(all_engines[i]) && has_engine(all_engines[i]))
            engines[engines_found++] = all_engines[i];
    for (int a = 1; a < argc; a++) {
        bool found = !is_asked_for(argv[a]);
        for (int i = 0; i < engines_found; i++)
            found |= strcmp(engines[i], argv[a]) == 0;
        if (!found) {
            fprintf(stderr, "%s --engine %s --check fails\n", demo_program(), argv[a]);
            return false;
        }
    }
    if (engines_found == 0)
        fprintf(stderr, "%s has no engine\n", demo_program());
    return engines_found > 0;
}

TCase *e2e_case(Suite *s, const char *name, unsigned seconds)
{
    TCase *t = tcase_create(name);
    tcase_set_timeout(t, slow(seconds));
    suite_add_tcase(s, t);
    return t;
}

static int run_suite(const char *name, void (*add)(Suite *s))
{
    Suite *s = suite_create(name);
    add(s);
    SRunner *runner = srunner_create(s);
    srunner_set_fork_status(runner, CK_FORK);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

static bool prepare(int argc, char **argv)
{
    signal(SIGPIPE, SIG_IGN);
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        files.rlim_cur = files.rlim_max;
        setrlimit(RLIMIT_NOFILE, &files);
    }
    return find_engines(argc, argv);
}

int e2e_main(const char *name, void (*add)(Suite *s), int argc, char **argv)
{
    return prepare(argc, argv) ? run_suite(name, add) : EXIT_FAILURE;
}

/* One engine's run of the suite, in a process of its own: what it prints goes to a file. */
struct run {
    pid_t pid;
    FILE *out;
};

static void start_run(struct run *run, const char *engine, const char *name, void (*add)(Suite *s))
{
    pid_t parent = getpid();
    run->out = tmpfile();
    fflush(NULL);
    run->pid = run->out ? fork() : -1;
    if (run->pid != 0)
        return;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent || dup2(fileno(run->out), STDOUT_FILENO) < 0 || dup2(fileno(run->out), STDERR_FILENO) < 0)
        _exit(EXIT_FAILURE);
    printf("%s:\n", engine);
    engines[0] = engine;
    engines_found = 1;
    int status = run_suite(name, add);
    fflush(NULL);
    _exit(status);
}

static void print_run(struct run *run)
{
    char text[4096];
    size_t n;
    if (!run->out)
        return;
    rewind(run->out);
    while ((n = fread(text, 1, sizeof text, run->out)) > 0)
        fwrite(text, 1, n, stdout);
    fclose(run->out);
}

static int engines_at_once(void)
{
    const char *text = getenv("CONCUR_TEST_JOBS");
    long n = text ? strtol(text, NULL, 10) : 0;
    return n >= 1 && n <= 100 ? (int)n : 3; /* they wait more than they work */
}

int e2e_main_apart(const char *name, void (*add)(Suite *s), int argc, char **argv)
{
    struct run runs[COUNT(all_engines)] = { 0 };
    int begun = 0, failed = 0;
    if (!prepare(argc, argv))
        return EXIT_FAILURE;
    if (engines_at_once() == 1 || engines_found == 1)
        return run_suite(name, add);
    for (int ended = 0; ended < engines_found; ended++) {
        while (begun < engines_found && begun - ended < engines_at_once()) {
            start_run(&runs[begun], engines[begun], name, add);
            if (runs[begun].pid < 0) {
                perror("fork");
                return EXIT_FAILURE;
            }
            begun++;
        }
        int status;
        pid_t pid = wait(&status);
        failed += !WIFEXITED(status) || WEXITSTATUS(status) != EXIT_SUCCESS;
        for (int i = 0; i < begun; i++)
            if (runs[i].pid == pid)
                print_run(&runs[i]);
    }
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
