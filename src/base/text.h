/* SPDX-License-Identifier: MIT
 *
 * A text that grows when something is added.
 */
#ifndef CNC_TEXT_H
#define CNC_TEXT_H

#include "base/base.h"

/* After a failed allocation nothing more is added. INV: n < cap once anything was added; p[n] == 0 */
struct cnc_text {
    char *p; /* owned */
    size_t n, cap;
    bool failed;
};

void cnc_text_add(struct cnc_text *t, const char *fmt, ...) CNC_PRINTF(2, 3);
void cnc_text_reset(struct cnc_text *t);
/* Removes all but the first n bytes. */
void cnc_text_cut(struct cnc_text *t, size_t n);
/* Replaces control characters from start on by "?", so that a value or a name cannot break the line. */
void cnc_text_make_printable(struct cnc_text *t, size_t start);
/* The same, and adds a newline. */
void cnc_text_end_line(struct cnc_text *t, size_t start);
/* Returns the text (malloc'd), which the caller owns then; NULL if an allocation failed. */
char *cnc_text_take(struct cnc_text *t);

#endif
