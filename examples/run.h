/* SPDX-License-Identifier: MIT
 *
 * Shared by the larger examples: flags, and the line that says where they listen. Each flag is --NAME VALUE. One flag
 * is the example's own; all others are options of the library, such as --engine thread or --listen 127.0.0.1:8080. The
 * last flag may be --check, without a value: then the flags are only checked.
 */
#ifndef EXAMPLES_RUN_H
#define EXAMPLES_RUN_H

#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <concur/concur.h>

/* The value of the example's own flag; otherwise: the value if the flag is missing. */
static inline char *run_flag(int argc, char **argv, const char *own, char *otherwise)
{
    for (int i = 1; i + 1 < argc; i += 2)
        if (strcmp(argv[i], own) == 0)
            otherwise = argv[i + 1];
    return otherwise;
}

static inline bool run_checks(int argc, char **argv)
{
    return argc > 1 && strcmp(argv[argc - 1], "--check") == 0;
}

static inline int run_on_event(concur_server *server, int what, const char *detail, void *arg)
{
    char address[64] = "";
    (void)what, (void)arg;
    if (strcmp(detail, "ready") != 0)
        return CONCUR_OK;
    (void)concur_server_address(server, 0, address, sizeof address);
    printf("listening on %s engine=%s pid=%ld\n", address, concur_engine_name(concur_server_engine(server)), (long)getpid());
    fflush(stdout);
    return CONCUR_OK;
}

/* Serves until it is stopped, and frees the server. Returns what main() must return. A wrong flag is an unknown option
 * for the library, so concur_server_run() reports it. */
static inline int run(concur_server *server, int argc, char **argv, const char *own)
{
    concur_server_listen(server, "127.0.0.1:8080");
    const bool checks = run_checks(argc, argv);
    for (int i = 1; i < argc - checks; i += 2)
        if (strcmp(argv[i], own) != 0)
            concur_server_override(server, NULL, strncmp(argv[i], "--", 2) ? argv[i] : argv[i] + 2,
                                   i + 1 < argc - checks ? argv[i + 1] : "");
    concur_server_hook(server, CONCUR_HOOK_EVENT, run_on_event, NULL);
    int rc = checks ? concur_server_check(server) : concur_server_run(server);
    if (rc < 0)
        fprintf(stderr, "%s: %s\n%s", argv[0], concur_strerror(rc), concur_server_error(server));
    concur_server_free(server);
    return rc < 0;
}

#endif
