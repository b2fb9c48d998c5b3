/* SPDX-License-Identifier: MIT
 *
 * Shared by the files of this folder.
 */
#ifndef CNC_TREE_INTERNAL_H
#define CNC_TREE_INTERNAL_H

#include "proc/child.h"
#include "proc/master.h"
#include "tree/tree.h"

#define CNC_TREE_LINES 262144 /* bytes of log lines that may be under way to the log function's process */

/* tree.c */
int cnc_tree_open_board(concur_server *server);
/* A log line or an event of the master or a child, in the process where the program's functions are to be called. */
void cnc_tree_hear(concur_server *server, enum cnc_note_what what, int64_t value, const char *text);

/* child.c: cnc_master_ops.child. */
int cnc_tree_child(void *arg, const struct cnc_child *child);

/* reload.c */
/* Fills the plan of a set-up. The caller has a reference to the set-up, which the plan takes over. */
int cnc_tree_plan(struct cnc_setup *setup, struct cnc_plan *plan);
/* cnc_master_ops.reload, serves and dropped. */
int cnc_tree_reload(void *arg, struct cnc_plan *plan);
void cnc_tree_serves(void *arg, void *setup, unsigned generation);
void cnc_tree_dropped(void *arg, void *setup);

/* master.c: runs the master in the calling process until the server has stopped. lines: the descriptor from which
 * children's log lines are read, or -1. */
int cnc_tree_run_master(concur_server *server, int lines);

#endif
