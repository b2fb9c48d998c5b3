/* SPDX-License-Identifier: MIT
 *
 * What the files of this folder share.
 */
#ifndef CNC_TREE_INTERNAL_H
#define CNC_TREE_INTERNAL_H

#include "proc/child.h"
#include "proc/master.h"
#include "tree/tree.h"

#define CNC_TREE_LINES 262144 /* bytes of log lines that may be under way */

/* tree.c */
int cnc_tree_open_board(concur_server *server);
/* What the master or a child says, in the process whose functions are to be called. */
void cnc_tree_hear(concur_server *server, enum cnc_note_what what, int64_t value, const char *text);

/* child.c: cnc_master_ops.child. */
int cnc_tree_child(void *arg, const struct cnc_child *child);

/* reload.c */
/* What the set-up asks for. The caller holds a reference to it, which the plan takes over. */
int cnc_tree_plan(struct cnc_setup *setup, struct cnc_plan *plan);
/* cnc_master_ops.reload, serves and dropped. */
int cnc_tree_reload(void *arg, struct cnc_plan *plan);
void cnc_tree_serves(void *arg, void *setup, unsigned generation);
void cnc_tree_dropped(void *arg, void *setup);

/* master.c: the calling process is the master until the server has stopped. lines: where children's log lines come, or -1. */
int cnc_tree_run_master(concur_server *server, int lines);

#endif
