/* SPDX-License-Identifier: MIT
 *
 * concur SUBCOMMAND ...
 */
#include <stdio.h>
#include <string.h>

#include "commands.h"

static const struct command {
    const char *name;
    int (*run)(int argc, char **argv);
    const char *what;
} commands[] = {
    { "compare", cmd_compare, "runs a program on each engine and compares speed, latency, processor time and memory" },
    { "load", cmd_load, "sends load to an HTTP server and checks the answers" },
};

enum { COMMANDS = sizeof commands / sizeof *commands };

static void print_usage(FILE *out)
{
    fputs("usage: concur COMMAND ...\n\n", out);
    for (int i = 0; i < COMMANDS; i++)
        fprintf(out, "  %-10s %s\n", commands[i].name, commands[i].what);
    fputs("\nMore: concur COMMAND --help\n", out);
}

int main(int argc, char **argv)
{
    for (int i = 0; argc > 1 && i < COMMANDS; i++)
        if (strcmp(argv[1], commands[i].name) == 0)
            return commands[i].run(argc - 1, argv + 1);
    if (argc > 1 && strcmp(argv[1], "--help") == 0) {
        print_usage(stdout);
        return 0;
    }
    if (argc > 1)
        fprintf(stderr, "concur: %s: no such command\n", argv[1]);
    print_usage(stderr);
    return 2;
}
