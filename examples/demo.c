/* SPDX-License-Identifier: MIT
 *
 * concur-demo: a server with routes for every feature of the library. Load and conformance tools use it.
 *
 *     concur-demo --engine thread --listen 127.0.0.1:0
 *
 * When it accepts connections it prints `listening on ADDR:PORT engine=NAME pid=N`. SIGTERM or SIGINT stops it gracefully, a
 * second one at once. Flags are in the override layer, which wins over all others. The demo's own defaults are in the code
 * layer, so that the configuration file and CONCUR_* variables can change them.
 *
 * Exit status: 0 stopped or checked, 1 the server failed, 2 a bad flag.
 */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "demo.h"

enum { OVERRIDES_MAX = 64 };

struct setting {
    const char *name, *value;
};

struct command {
    const char *config;
    struct setting overrides[OVERRIDES_MAX];
    size_t override_count;
    bool is_unsafe, events, check, dump, help;
};

static const struct setting defaults[] = {
    { "listen", "127.0.0.1:8080" },
    { "head_max", "65536" },
    { "line_max", "32768" },
    { "body_max", "1073741824" },
    { "header_timeout", "15s" },
    { "body_timeout", "15s" },
    { "keepalive_timeout", "15s" },
    { "connections_max", "20000" },
};

static const char usage[] =
    "usage: concur-demo [flags]\n"
    "  --engine NAME     prefork, thread, event, process-thread, process-event or event-pool\n"
    "  --listen ADDR     such as 127.0.0.1:8080; port 0 picks a free one; may be repeated\n"
    "  --workers N       worker processes\n"
    "  --threads N       threads that serve requests (threads_max)\n"
    "  --pool N          threads for offloaded work and blocking routes (pool_threads)\n"
    "  --root DIR        the directory of files to serve\n"
    "  --config FILE     a configuration file\n"
    "  --set KEY=VALUE   any option; may be repeated\n"
    "  --unsafe          adds /crash, /hang, /test/fork, /test/leak, /test/lock-crash and /test/reload\n"
    "  --events          prints events of the server's processes, one a line\n"
    "  --check           checks flags, environment and file, and exits\n"
    "  --dump            prints the current options and where each was set, and exits\n"
    "  --help            prints this and every option\n";

static const struct option flags[] = {
    { "engine", required_argument, NULL, 'e' },  { "listen", required_argument, NULL, 'l' },
    { "workers", required_argument, NULL, 'w' }, { "threads", required_argument, NULL, 't' },
    { "pool", required_argument, NULL, 'p' },    { "root", required_argument, NULL, 'r' },
    { "config", required_argument, NULL, 'c' },  { "set", required_argument, NULL, 's' },
    { "unsafe", no_argument, NULL, 'u' },        { "check", no_argument, NULL, 'k' },
    { "events", no_argument, NULL, 'v' },
    { "dump", no_argument, NULL, 'd' },          { "help", no_argument, NULL, 'h' },
    { NULL, 0, NULL, 0 },
};

/* The command line. */

static bool add_override(struct command *c, const char *name, const char *value)
{
    if (c->override_count == OVERRIDES_MAX) {
        fprintf(stderr, "concur-demo: at most %d flags\n", OVERRIDES_MAX);
        return false;
    }
    c->overrides[c->override_count++] = (struct setting){ name, value };
    return true;
}

/* Splits "key=value" in place. */
static bool add_set(struct command *c, char *text)
{
    char *equals = strchr(text, '=');
    if (!equals || equals == text) {
        fprintf(stderr, "concur-demo: --set %s: must be KEY=VALUE\n", text);
        return false;
    }
    *equals = 0;
    return add_override(c, text, equals + 1);
}

static bool is_folder(const char *path)
{
    struct stat st;
    if (stat(path, &st) == 0 && S_ISDIR(st.st_mode))
        return true;
    fprintf(stderr, "concur-demo: --root %s: not a directory\n", path);
    return false;
}

static bool take_flag(struct command *c, int flag, char *value)
{
    switch (flag) {
    case 'e': return add_override(c, "engine", value);
    case 'l': return add_override(c, "listen", value);
    case 'w': return add_override(c, "workers", value);
    case 't': return add_override(c, "threads_max", value);
    case 'p': return add_override(c, "pool_threads", value);
    case 'r': return is_folder(value);
    case 'c': c->config = value; return true;
    case 's': return add_set(c, value);
    case 'u': c->is_unsafe = true; return true;
    case 'v': c->events = true; return true;
    case 'k': c->check = true; return true;
    case 'd': c->dump = true; return true;
    case 'h': c->help = true; return true;
    default: return false;
    }
}

static bool parse(struct command *c, int argc, char **argv)
{
    int flag;
    opterr = 0;
    while ((flag = getopt_long(argc, argv, ":", flags, NULL)) != -1) {
        const char *given = argv[optind - 1];
        if (flag == ':')
            fprintf(stderr, "concur-demo: %s: a value is missing\n", given);
        else if (flag == '?')
            fprintf(stderr, "concur-demo: %s: no such flag; options of the library are set by --set NAME=VALUE\n", given);
        if (flag == ':' || flag == '?' || !take_flag(c, flag, optarg))
            return false;
    }
    if (optind < argc)
        fprintf(stderr, "concur-demo: %s: not a flag\n", argv[optind]);
    return optind == argc;
}

/* The server. */

static void print_log(int level, const char *line, void *arg)
{
    static const char *const names[] = { "", "error", "warning", "info", "debug" };
    (void)arg;
    if (level <= CONCUR_LOG_WARN)
        fprintf(stderr, "concur-demo: %s: %s\n", names[level], line);
}

static concur_server *make_server(const struct command *c)
{
    concur_server *server = concur_server_new(CONCUR_ENGINE_EVENT, c->config);
    if (!server)
        return NULL;
    for (size_t i = 0; i < sizeof defaults / sizeof *defaults; i++)
        concur_server_set(server, NULL, defaults[i].name, defaults[i].value);
    for (size_t i = 0; i < c->override_count; i++)
        concur_server_override(server, NULL, c->overrides[i].name, c->overrides[i].value);
    concur_server_log(server, print_log, NULL);
    demo_routes_add(server, c->is_unsafe);
    demo_test_add(server);
    if (c->is_unsafe)
        demo_test_hook(server);
    demo_reply_add(server);
    demo_abort_add(server);
    demo_stop_add(server);
    demo_async_add(server);
    demo_shared_add(server, c->is_unsafe);
    demo_facts_add(server);
    demo_around_add(server);
    demo_fields_add(server);
    return server;
}

static int fail(const concur_server *server, int rc)
{
    fprintf(stderr, "concur-demo: %s\n%s", concur_strerror(rc), concur_server_error(server));
    return 1;
}

static int print_text(concur_server *server, int what)
{
    size_t len = 0;
    int rc = concur_server_text(server, what, NULL, &len);
    if (rc != CONCUR_OK && rc != CONCUR_E_LIMIT)
        return fail(server, rc);
    size_t room = len + 1;
    char *text = malloc(room);
    rc = text ? concur_server_text(server, what, text, &room) : CONCUR_E_NOMEM;
    if (rc == CONCUR_OK)
        fputs(text, stdout);
    free(text);
    return rc == CONCUR_OK ? 0 : fail(server, rc);
}

static int check(concur_server *server)
{
    int rc = concur_server_check(server);
    if (rc < 0)
        return fail(server, rc);
    return print_text(server, CONCUR_TEXT_NOTES);
}

/* CONCUR_HOOK_EVENT. The first event is that the server serves. */
static int on_event(concur_server *server, int what, const char *detail, void *arg)
{
    const bool *prints_all = arg;
    char address[128] = "";
    (void)what;
    if (strcmp(detail, "ready") != 0) {
        if (*prints_all) {
            printf("event %s\n", detail);
            fflush(stdout);
        }
        return CONCUR_OK;
    }
    concur_server_address(server, 0, address, sizeof address);
    printf("listening on %s engine=%s pid=%ld\n", address, concur_engine_name(concur_server_engine(server)),
           (long)getpid());
    fflush(stdout);
    return CONCUR_OK;
}

static int serve(concur_server *server, bool events)
{
    concur_server_hook(server, CONCUR_HOOK_EVENT, on_event, &events);
    int rc = concur_server_run(server);
    if (rc < 0) /* the reason is in the log */
        fprintf(stderr, "concur-demo: %s\n", concur_strerror(rc));
    return rc < 0 ? 1 : 0;
}

int main(int argc, char **argv)
{
    struct command command = { 0 };
    if (!parse(&command, argc, argv)) {
        fputs("concur-demo --help lists flags and options\n", stderr);
        return 2;
    }
    concur_server *server = make_server(&command);
    if (!server)
        return fail(NULL, CONCUR_E_NOMEM);
    int status;
    if (command.help) {
        printf("%s\nOptions of --set, of a configuration file, and of the environment (CONCUR_NAME):\n", usage);
        status = print_text(server, CONCUR_TEXT_HELP);
    } else if (command.check) {
        status = check(server);
    } else if (command.dump) {
        status = print_text(server, CONCUR_TEXT_DUMP);
    } else {
        status = serve(server, command.events);
    }
    concur_server_free(server);
    return status;
}
