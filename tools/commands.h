/* SPDX-License-Identifier: MIT
 *
 * The subcommands of `concur`. argv[0] is the name of the subcommand. They return the exit status.
 */
#ifndef TOOLS_COMMANDS_H
#define TOOLS_COMMANDS_H

int cmd_compare(int argc, char **argv);
int cmd_load(int argc, char **argv);

#endif
