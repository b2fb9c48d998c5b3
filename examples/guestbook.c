/* SPDX-License-Identifier: MIT
 *
 * A guestbook over SQLite: a program whose handlers block, keep their data in a file and have a connection to it on
 * each thread. It is the same program on every engine.
 *
 *     ./guestbook --database guests.db --engine thread --listen 127.0.0.1:8080
 *
 * Every option of the library is a flag, --NAME VALUE; it goes into the override layer, so nothing overrules it. What
 * the guestbook wants by default is in the code layer: file and environment may change it.
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
    "  --database FILE  the book, made if there is none (guestbook.db)\n"
    "  --config FILE    a configuration file\n"
    "  --check          checks flags, environment and file, and exits\n"
    "  --help           prints this and every option\n"
    "  --NAME VALUE     an option of the library, such as --engine thread or --listen 127.0.0.1:8080\n"
    "Environment: GUESTBOOK_TOKEN, what DELETE /entries/ID asks for; without it nobody can remove an entry.\n";

/* The command line. Flags of the library's are left to take_options(): the configuration file must be known first. */

static bool parse(struct command *c, int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        const char *flag = argv[i];
        if (strcmp(flag, "--check") == 0) {
            c->check = true;
            continue;
        }
        if (strcmp(flag, "--help") == 0) {
            c->help = true;
            continue;
        }
        if (strncmp(flag, "--", 2) != 0 || ++i == argc) {
            fprintf(stderr, "guestbook: %s %s\n", flag, i == argc ? "needs a value" : "is no flag");
            return false;
        }
        if (strcmp(flag, "--config") == 0)
            c->config = argv[i];
        else if (strcmp(flag, "--database") == 0)
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

/* The first thing that happens is that it serves. */
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
    return rc < 0 ? fail(server, rc) : 0;
}

int main(int argc, char **argv)
{
    struct command command = { .database = "guestbook.db" };
    if (!parse(&command, argc, argv)) {
        fputs(usage, stderr);
        return 2;
    }
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
