/* SPDX-License-Identifier: MIT
 *
 * concur compare: one program, every engine, a table.
 */
#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "print/advice.h"
#include "commands.h"
#include "judge/compare.h"
#include "places.h"

enum { WORKLOADS_MAX = 32, WORDS_MAX = 64, DESCRIPTORS = 65536 };

static const char usage[] =
    "usage: concur compare [flags] [--app PROGRAM [ARGS ...]] [-- PROGRAM [ARGS ...]]\n"
    "\n"
    "Runs a program on one engine after the other, sends load to it, and reports speed, latency, processor time and\n"
    "memory. The program uses libconcur and needs no change: CONCUR_* variables set engine, address and options.\n"
    "\n"
    "  --app PROGRAM ARGS   the program and its arguments, up to the next flag of this list\n"
    "                       (default: concur-demo)\n"
    "  -- PROGRAM ARGS      the same, up to the end of the line\n"
    "  --url PATH           sends GET requests for this path; may be repeated\n"
    "  --workload FILE|NAME sends the requests of this workload; may be repeated\n"
    "                       (default: / for your program, seven workloads for concur-demo)\n"
    "  --engines A,B        the engines to compare (default: all six)\n"
    "  --rounds N           how often each engine is measured (3)\n"
    "  --seconds S          measured seconds in a round (default: as the workload says)\n"
    "  --json FILE          writes all results as JSON (docs/compare.md)\n"
    "  --write-config FILE  writes a configuration file with the advised engine and its settings\n"
    "  --help               prints this\n"
    "\n"
    "Exit status: 0 compared, 1 nothing could be compared, 2 a wrong flag, 3 stopped by a signal, 4 the machine was\n"
    "too noisy.\n";

static const char *const demo_workloads[] = { "plain", "close", "blocking", "stall", "mixed", "overload", "killed" };

static const char *const flags[] = { "--app",     "--url",  "--workload",     "--engines", "--rounds",
                                     "--seconds", "--json", "--write-config", "--help",    "--" };

struct command {
    struct workload *workloads[WORKLOADS_MAX];
    const char *given[WORKLOADS_MAX];
    size_t workload_count;
    char *app[WORDS_MAX + 1];
    size_t word_count;
    const char *engines, *json, *config;
    double rounds, seconds;
    bool has_app, help;
    char demo[PATH_MAX], unsafe[16];
};

static volatile sig_atomic_t interrupted;

static void on_signal(int number)
{
    interrupted = number;
}

/* The command line. */

static bool complain(const char *what, const char *why)
{
    fprintf(stderr, "concur compare: %s: %s (concur compare --help)\n", what, why);
    return false;
}

static bool is_flag(const char *word)
{
    for (size_t i = 0; i < sizeof flags / sizeof *flags; i++)
        if (strcmp(flags[i], word) == 0)
            return true;
    return false;
}

static bool take_number(const char *flag, const char *text, double min, double max, double *out)
{
    char *end;
    *out = strtod(text, &end);
    if (end != text && !*end && *out >= min && *out <= max)
        return true;
    fprintf(stderr, "concur compare: %s %s: a number from %g to %g\n", flag, text, min, max);
    return false;
}

static bool add_workload(struct command *c, const char *text, bool is_path)
{
    char error[512], file[PATH_MAX];
    if (c->workload_count == WORKLOADS_MAX)
        return complain(text, "too many workloads");
    struct workload **out = &c->workloads[c->workload_count];
    int rc = is_path                                    ? workload_from_path(text, out, error, sizeof error)
             : places_workload(text, file, sizeof file) ? workload_load(file, out, error, sizeof error)
                                                        : -ENOENT;
    if (rc == -ENOENT && !is_path)
        return complain(text, "no such workload");
    if (rc < 0)
        fprintf(stderr, "concur compare: %s\n", error);
    c->given[c->workload_count] = text;
    c->workload_count += rc == 0;
    return rc == 0;
}

static bool take_app(struct command *c, int argc, char **argv, int *at, bool to_the_end)
{
    if (c->has_app)
        return complain(argv[*at], "one program only");
    c->has_app = true;
    while (*at + 1 < argc && (to_the_end || !is_flag(argv[*at + 1]))) {
        if (c->word_count == WORDS_MAX)
            return complain("--app", "too many words");
        c->app[c->word_count++] = argv[++*at];
    }
    return c->word_count > 0 || complain("--app", "a program is missing");
}

static bool take_value(struct command *c, const char *flag, char *value)
{
    if (strcmp(flag, "--url") == 0)
        return add_workload(c, value, true);
    if (strcmp(flag, "--workload") == 0)
        return add_workload(c, value, false);
    if (strcmp(flag, "--rounds") == 0)
        return take_number(flag, value, 1, COMPARE_ROUNDS_MAX, &c->rounds);
    if (strcmp(flag, "--seconds") == 0)
        return take_number(flag, value, 0.1, 600, &c->seconds);
    *(strcmp(flag, "--engines") == 0 ? &c->engines : strcmp(flag, "--json") == 0 ? &c->json : &c->config) = value;
    return true;
}

static bool parse(struct command *c, int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        char *flag = argv[i];
        if (!is_flag(flag))
            return complain(flag, "no such flag");
        if (strcmp(flag, "--help") == 0) {
            c->help = true;
        } else if (strcmp(flag, "--app") == 0 || strcmp(flag, "--") == 0) {
            if (!take_app(c, argc, argv, &i, flag[2] == '\0'))
                return false;
        } else if (i + 1 >= argc || is_flag(argv[i + 1])) {
            return complain(flag, "a value is missing");
        } else if (!take_value(c, flag, argv[++i])) {
            return false;
        }
    }
    return true;
}

static bool set_engines(struct compare_options *o, const char *list)
{
    char text[256];
    for (size_t i = 0; !list && i < COMPARE_ENGINES; i++)
        o->engines[o->engine_count++] = compare_engines[i];
    snprintf(text, sizeof text, "%s", list ? list : "");
    char *rest = text;
    for (char *name; list && (name = strsep(&rest, ","));) {
        const char *known = NULL;
        for (size_t i = 0; i < COMPARE_ENGINES; i++)
            known = strcmp(compare_engines[i], name) == 0 ? compare_engines[i] : known;
        if (!known)
            return complain(name, "no such engine; they are prefork, thread, event, process-thread, process-event, event-pool");
        if (o->engine_count == COMPARE_ENGINES)
            return complain(name, "more engines than there are");
        o->engines[o->engine_count++] = known;
    }
    return true;
}

static bool needs_unsafe(const struct command *c)
{
    for (size_t i = 0; i < c->workload_count; i++)
        if (c->workloads[i]->needs_unsafe)
            return true;
    return false;
}

/* Defaults of flags that were not given. */
static bool complete(struct command *c)
{
    bool is_demo = !c->has_app;
    size_t n = is_demo && c->workload_count == 0 ? sizeof demo_workloads / sizeof *demo_workloads : 0;
    for (size_t i = 0; i < n; i++)
        if (!add_workload(c, demo_workloads[i], false))
            return false;
    if (c->workload_count == 0 && !add_workload(c, "/", true))
        return false;
    if (!is_demo)
        return true;
    places_demo(c->demo, sizeof c->demo);
    c->app[c->word_count++] = c->demo;
    strcpy(c->unsafe, "--unsafe");
    if (needs_unsafe(c))
        c->app[c->word_count++] = c->unsafe;
    return true;
}

/* Progress. */

enum { BAR = 24 };

struct progress {
    struct timespec began;
    int told; /* progress as lines: the tenths that were printed */
};

static void show_progress(const char *what, double part, void *arg)
{
    const struct progress *p = arg;
    struct timespec now;
    char bar[BAR + 1], left[32] = "";
    int full = (int)(part * BAR);
    clock_gettime(CLOCK_MONOTONIC, &now);
    double passed = (double)(now.tv_sec - p->began.tv_sec);
    for (int i = 0; i < BAR; i++)
        bar[i] = i < full ? '#' : '.';
    bar[BAR] = '\0';
    if (part > 0.02)
        snprintf(left, sizeof left, ", %.0f s left", passed / part * (1 - part));
    fprintf(stderr, "\r[%s] %3.0f %% %s%s\033[K", bar, part * 100, what, left);
}

/* Prints progress as lines, if stderr is a file or a pipe. */
static void tell_progress(const char *what, double part, void *arg)
{
    struct progress *p = arg;
    int tenths = (int)(part * 10);
    if (tenths <= p->told)
        return;
    p->told = tenths;
    fprintf(stderr, "concur compare: %d %%, %s\n", tenths * 10, what);
}

static void end_progress(void)
{
    fputs("\r\033[K", stderr);
}

/* The work. */

static void raise_limit(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur >= DESCRIPTORS)
        return;
    limit.rlim_cur = DESCRIPTORS < limit.rlim_max ? DESCRIPTORS : limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit); /* if that is not enough, the load client reports it */
}

static bool write_file(const char *path, const struct comparison *result,
                       void (*write)(FILE *, const struct comparison *))
{
    FILE *f = fopen(path, "we");
    if (f)
        write(f, result);
    if (f && !ferror(f) && fclose(f) == 0)
        return true;
    fprintf(stderr, "concur compare: %s: %s\n", path, strerror(errno));
    return false;
}

static bool write_config(const char *path, const struct comparison *result)
{
    struct advice a;
    advice_make(&a, result);
    if (a.engine)
        return write_file(path, result, advice_write);
    fprintf(stderr, "concur compare: %s: not written: no engine can be advised\n", path);
    return true;
}

/* The command as it was given, with quotes for a shell. */
static void set_repeat(const struct command *c, char *out, size_t room)
{
    size_t len = (size_t)snprintf(out, room, "%s compare", program_invocation_name);
    if (c->has_app)
        len += (size_t)snprintf(out + len, room - len, " --app");
    for (size_t i = 0; c->has_app && i < c->word_count && len < room; i++)
        len += (size_t)snprintf(out + len, room - len, strpbrk(c->app[i], " '\"$\\") ? " '%s'" : " %s", c->app[i]);
}

static int report(const struct command *c, const struct comparison *result)
{
    char repeat[1024];
    bool is_written = true;
    set_repeat(c, repeat, sizeof repeat);
    table_print(stdout, result, repeat);
    if (c->json)
        is_written = write_file(c->json, result, compare_json);
    if (c->config)
        is_written &= write_config(c->config, result);
    return is_written ? (int)judge_exit(result) : JUDGE_NOTHING;
}

static int run(struct command *c)
{
    struct progress progress = { .told = -1 };
    bool is_terminal = isatty(STDERR_FILENO);
    struct comparison result;
    struct compare_options o = { .app = c->app,
                                 .workloads = c->workloads,
                                 .given = c->given,
                                 .workload_count = c->workload_count,
                                 .rounds = c->rounds > 0 ? (unsigned)c->rounds : 3,
                                 .seconds = c->seconds,
                                 .stop = &interrupted,
                                 .arg = &progress };
    struct sigaction on = { .sa_handler = on_signal };
    if (!set_engines(&o, c->engines))
        return JUDGE_USAGE;
    clock_gettime(CLOCK_MONOTONIC, &progress.began);
    o.on_progress = is_terminal ? show_progress : tell_progress;
    sigaction(SIGINT, &on, NULL);
    sigaction(SIGTERM, &on, NULL);
    raise_limit();
    int rc = compare_run(&o, &result);
    if (is_terminal)
        end_progress();
    if (rc == 0) {
        judge(&result);
        rc = report(c, &result);
    } else {
        fprintf(stderr, "concur compare: %s\n", strerror(-rc));
        rc = JUDGE_NOTHING;
    }
    comparison_free(&result);
    return rc;
}

int cmd_compare(int argc, char **argv)
{
    struct command *c = calloc(1, sizeof *c);
    int rc = JUDGE_USAGE;
    if (!c)
        return JUDGE_NOTHING;
    bool is_good = parse(c, argc, argv);
    if (is_good && c->help) {
        fputs(usage, stdout);
        rc = JUDGE_COMPARED;
    } else if (is_good && complete(c)) {
        rc = run(c);
    }
    for (size_t i = 0; i < c->workload_count; i++)
        workload_free(&c->workloads[i]);
    free(c);
    return rc;
}
