/* SPDX-License-Identifier: MIT
 *
 * A guestbook with SQLite: its handlers block, keep their data in a file, and have a connection to the database on each thread.
 * The program is the same for every engine.
 *
 *     ./guestbook --database guests.db --engine thread --listen 127.0.0.1:8080
 *
 * Every option of the library is a flag, --NAME VALUE, in the override layer, which wins over all others. The guestbook's own
 * defaults are in the code layer, so file and environment can change them.
 *
 * Exit status: 0 stopped or checked, 1 no database or no server, 2 a bad flag.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "guestbook.h"

struct command {
    const char *config;
    char *database;
    bool check, help;
};

static const char usage[] =
    "usage: guestbook [flags]\n"
    "  --database FILE  the database, made if it does not exist (guestbook.db)\n"
    "  --config FILE    a configuration file\n"
    "  --check          checks flags, environment and file, and exits\n"
    "  --help           prints this and every option\n"
    "  --NAME VALUE     an option of the library, such as --engine thread or --listen 127.0.0.1:8080\n"
    "Environment: GUESTBOOK_TOKEN, the token for DELETE /entries/ID; without it nobody can remove an entry.\n";

/* Does the library have this option? Its help text lists all of them. */
static bool is_option(const char *name)
{
    char line[64];
    concur_server *scratch = concur_server_new(CONCUR_ENGINE_DEFAULT, NULL);
    size_t len = 0;
    (void)concur_server_text(scratch, CONCUR_TEXT_HELP, NULL, &len);
    char *help = malloc(++len);
    bool is = help && concur_server_text(scratch, CONCUR_TEXT_HELP, help, &len) == CONCUR_OK &&
              snprintf(line, sizeof line, "  %s = ", name) < (int)sizeof line && strstr(help, line);
    free(help);
    concur_server_free(scratch);
    return is;
}

/* The command line. Flags for the library are taken later, by take_options(), since the configuration file must be
 * known first. */

static bool complain(const char *flag, const char *why)
{
    fprintf(stderr, "guestbook: %s: %s (guestbook --help lists the flags)\n", flag, why);
    return false;
}

/* --threads-max means --threads_max. */
static char *name_of(char *flag)
{
    for (char *p = flag + 2; *p; p++)
        if (*p == '-')
            *p = '_';
    return flag + 2;
}

static bool parse(struct command *c, int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        char *flag = argv[i];
        if (strcmp(flag, "--check") == 0) {
            c->check = true;
            continue;
        }
        if (strcmp(flag, "--help") == 0) {
            c->help = true;
            continue;
        }
        if (strncmp(flag, "--", 2) != 0)
            return complain(flag, "not a flag");
        bool config = strcmp(flag, "--config") == 0, database = strcmp(flag, "--database") == 0;
        if (!config && !database && !is_option(name_of(flag)))
            return complain(flag, "no such flag");
        if (++i == argc)
            return complain(flag, "a value is missing");
        if (config)
            c->config = argv[i];
        if (database)
            c->database = argv[i];
    }
    return true;
}

static void take_options(concur_server *server, int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        const char *name = argv[i] + 2;
        if (strcmp(name, "check") == 0 || strcmp(name, "help") == 0)
            continue;
        i++;
        if (strcmp(name, "config") != 0 && strcmp(name, "database") != 0)
            concur_server_override(server, NULL, name, argv[i]);
    }
}

static int fail(const concur_server *server, int rc)
{
    fprintf(stderr, "guestbook: %s\n%s", concur_strerror(rc), concur_server_error(server));
    return 1;
}

static int print_help(concur_server *server)
{
    size_t len = 0;
    concur_server_text(server, CONCUR_TEXT_HELP, NULL, &len);
    char *text = malloc(++len);
    int rc = text ? concur_server_text(server, CONCUR_TEXT_HELP, text, &len) : CONCUR_E_NOMEM;
    if (rc == CONCUR_OK)
        printf("%s\nOptions:\n%s", usage, text);
    free(text);
    return rc < 0 ? fail(server, rc) : 0;
}

/* CONCUR_HOOK_EVENT. The first event is that the server serves. */
static int on_event(concur_server *server, int what, const char *detail, void *arg)
{
    char address[128] = "";
    (void)what, (void)arg;
    if (strcmp(detail, "ready") != 0)
        return CONCUR_OK;
    concur_server_address(server, 0, address, sizeof address);
    printf("listening on %s engine=%s pid=%ld\n", address, concur_engine_name(concur_server_engine(server)),
           (long)getpid());
    fflush(stdout);
    return CONCUR_OK;
}

static int serve(concur_server *server, const struct command *c)
{
    if (!book_create(c->database))
        return 1;
    int rc = concur_server_run(server);
    if (rc < 0) /* run has written the reason */
        fprintf(stderr, "guestbook: %s\n", concur_strerror(rc));
    return rc < 0 ? 1 : 0;
}

int main(int argc, char **argv)
{
    struct command command = { .database = "guestbook.db" };
    if (!parse(&command, argc, argv))
        return 2;
    concur_server *server = concur_server_new(CONCUR_ENGINE_EVENT_POOL, command.config);
    if (!server)
        return fail(NULL, CONCUR_E_NOMEM);
    struct site site = {
        .books = concur_server_local(server, book_open, book_close, command.database),
        .token = getenv("GUESTBOOK_TOKEN"),
    };
    concur_server_listen(server, "127.0.0.1:8080");
    take_options(server, argc, argv);
    concur_server_hook(server, CONCUR_HOOK_EVENT, on_event, NULL);
    pages_add(server, &site);
    int status;
    if (command.help) {
        status = print_help(server);
    } else if (command.check) {
        int rc = concur_server_check(server);
        status = rc < 0 ? fail(server, rc) : 0;
    } else {
        status = serve(server, &command);
    }
    concur_server_free(server);
    return status;
}
