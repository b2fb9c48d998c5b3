/* SPDX-License-Identifier: MIT
 *
 * concur load: sends one workload to one server, and prints the result.
 */
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "commands.h"
#include "print/load_report.h"

enum { EXIT_RAN = 0, EXIT_FAILED = 1, EXIT_USAGE = 2, EXIT_NOT_ALL_GOOD = 3 };

static const char usage[] =
    "usage: concur load URL [flags]\n"
    "\n"
    "Sends requests to an HTTP/1.1 server, checks each answer, and prints how many were good and how long they took.\n"
    "\n"
    "  -c, --connections N  connections (64)\n"
    "  -t, --threads N      threads (1)\n"
    "  -d, --duration S     seconds that are measured, after the warm-up (2)\n"
    "  -w, --warmup S       seconds of warm-up, which are not measured (0.3)\n"
    "  -R, --rate N         requests per second, of all connections together. Latency then counts from the time when\n"
    "                       a request was due. Without -R a connection sends its next request after each answer\n"
    "  -p, --pipeline N     requests under way on each connection at the same time\n"
    "      --close          uses a new connection for each request\n"
    "      --timeout S      seconds to wait for an answer (5)\n"
    "      --workload FILE  takes requests, clients and times from a file, and only host and port from the URL.\n"
    "                       -d, -w, -R and --timeout win over the file\n"
    "      --json           prints one JSON object\n"
    "      --help           prints this\n"
    "\n"
    "Exit status: 0 all answers were good, 1 it could not run, 2 a wrong flag, 3 some answers were not good.\n";

enum { FLAG_CLOSE = 256, FLAG_TIMEOUT, FLAG_WORKLOAD, FLAG_JSON, FLAG_HELP };

static const struct option flags[] = {
    { "connections", required_argument, NULL, 'c' },
    { "threads", required_argument, NULL, 't' },
    { "duration", required_argument, NULL, 'd' },
    { "warmup", required_argument, NULL, 'w' },
    { "rate", required_argument, NULL, 'R' },
    { "pipeline", required_argument, NULL, 'p' },
    { "close", no_argument, NULL, FLAG_CLOSE },
    { "timeout", required_argument, NULL, FLAG_TIMEOUT },
    { "workload", required_argument, NULL, FLAG_WORKLOAD },
    { "json", no_argument, NULL, FLAG_JSON },
    { "help", no_argument, NULL, FLAG_HELP },
    { NULL, 0, NULL, 0 },
};

/* A number that was not given is 0, or -1 if 0 is a valid value. */
struct command {
    double connections, threads, pipeline, duration, warmup, timeout, rate;
    const char *url, *file;
    bool closes, json, help;
};

static volatile sig_atomic_t interrupted;

static void on_signal(int number)
{
    interrupted = number;
}

static bool take_number(const char *flag, const char *text, double min, double max, double *out)
{
    char *end;
    double v = strtod(text, &end);
    if (end != text && !*end && v >= min && v <= max) {
        *out = v;
        return true;
    }
    fprintf(stderr, "concur load: %s %s: a number from %g to %g\n", flag, text, min, max);
    return false;
}

static bool take_flag(struct command *c, int flag)
{
    switch (flag) {
    case 'c': return take_number("-c", optarg, 1, 1e6, &c->connections);
    case 't': return take_number("-t", optarg, 1, 256, &c->threads);
    case 'd': return take_number("-d", optarg, 0.1, 3600, &c->duration);
    case 'w': return take_number("-w", optarg, 0, 600, &c->warmup);
    case 'R': return take_number("-R", optarg, 0.1, 1e7, &c->rate);
    case 'p': return take_number("-p", optarg, 1, 128, &c->pipeline);
    case FLAG_TIMEOUT: return take_number("--timeout", optarg, 0.001, 600, &c->timeout);
    case FLAG_CLOSE: c->closes = true; return true;
    case FLAG_WORKLOAD: c->file = optarg; return true;
    case FLAG_JSON: c->json = true; return true;
    case FLAG_HELP: c->help = true; return true;
    default: return false;
    }
}

static bool complain(const char *why)
{
    fprintf(stderr, "concur load: %s (concur load --help)\n", why);
    return false;
}

static bool complain_of(const char *flag, const char *why)
{
    fprintf(stderr, "concur load: %s: %s (concur load --help)\n", flag, why);
    return false;
}

static bool parse(struct command *c, int argc, char **argv)
{
    int flag;
    opterr = 0;
    while ((flag = getopt_long(argc, argv, ":c:t:d:w:R:p:", flags, NULL)) != -1) {
        if (flag == ':' || flag == '?')
            return complain_of(argv[optind - 1], flag == ':' ? "a value is missing" : "no such flag");
        if (!take_flag(c, flag))
            return false;
    }
    if (c->help)
        return true;
    if (optind + 1 != argc)
        return complain("one URL is needed");
    if (c->file && (c->closes || c->pipeline > 0 || c->connections > 0))
        return complain("-c, -p and --close cannot be used with --workload");
    if (c->closes && c->pipeline > 1)
        return complain("-p cannot be used with --close");
    c->url = argv[optind];
    return true;
}

static void apply(const struct command *c, struct workload *w)
{
    struct workload_group *g = &w->groups[0];
    if (c->connections > 0)
        g->connections = (unsigned)c->connections;
    if (c->closes)
        g->kind = WORKLOAD_CLOSE;
    if (c->pipeline > 1) {
        g->kind = WORKLOAD_PIPELINE;
        g->depth = (unsigned)c->pipeline;
    }
    if (c->rate > 0)
        workload_set_rate(w, c->rate);
    if (c->duration > 0)
        w->duration_ms = (unsigned)(c->duration * 1000);
    if (c->warmup >= 0)
        w->warmup_ms = (unsigned)(c->warmup * 1000);
    if (c->timeout > 0)
        w->timeout_ms = (unsigned)(c->timeout * 1000);
}

static void raise_limit(unsigned need)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur >= need)
        return;
    limit.rlim_cur = need < limit.rlim_max ? need : limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit); /* if that is not enough, load_run() reports it */
}

static int run(const struct command *c, const struct load_target *target, const struct workload *w)
{
    char error[512];
    struct load_options o = { .workload = w, .target = target, .threads = (unsigned)c->threads, .stop = &interrupted };
    struct load_result *r = NULL;
    struct sigaction on = { .sa_handler = on_signal, .sa_flags = (int)SA_RESETHAND };
    sigaction(SIGINT, &on, NULL);
    sigaction(SIGTERM, &on, NULL);
    raise_limit(load_descriptors(w, o.threads));
    if (load_run(&o, &r, error, sizeof error) < 0) {
        fprintf(stderr, "concur load: %s\n", error);
        return EXIT_FAILED;
    }
    if (c->json)
        load_report_json(stdout, w, r);
    else
        load_report_text(stdout, w, r);
    if (c->json)
        putchar('\n');
    int rc = load_failures(&r->total.counts) ? EXIT_NOT_ALL_GOOD : EXIT_RAN;
    load_result_free(&r);
    return rc;
}

int cmd_load(int argc, char **argv)
{
    char error[512];
    struct command c = { .warmup = -1 };
    struct load_target target;
    struct workload *w = NULL;
    if (!parse(&c, argc, argv))
        return EXIT_USAGE;
    if (c.help) {
        fputs(usage, stdout);
        return EXIT_RAN;
    }
    int rc = load_target_parse(c.url, &target, error, sizeof error);
    if (rc == 0)
        rc = c.file ? workload_load(c.file, &w, error, sizeof error)
                    : workload_from_path(target.path, &w, error, sizeof error);
    if (rc < 0) {
        fprintf(stderr, "concur load: %s\n", error);
        return EXIT_USAGE;
    }
    apply(&c, w);
    rc = run(&c, &target, w);
    workload_free(&w);
    return rc;
}
