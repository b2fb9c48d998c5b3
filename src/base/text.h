/* SPDX-License-Identifier: MIT
 *
 * A text that grows as it is written.
 */
#ifndef CNC_TEXT_H
#define CNC_TEXT_H

#include "base/base.h"

/* After a failed allocation it takes nothing more. INV: n < cap once anything was added; p[n] == 0 */
struct cnc_text {
    char *p; /* owned */
    size_t n, cap;
    bool failed;
};

void cnc_text_add(struct cnc_text *t, const char *fmt, ...) CNC_PRINTF(2, 3);
void cnc_text_reset(struct cnc_text *t);
/* Forgets all but the first n bytes, of those there are. */
void cnc_text_cut(struct cnc_text *t, size_t n);
/* What was added from start on is one line, whatever a value or a name in it holds: puts ? for control characters. */
void cnc_text_make_printable(struct cnc_text *t, size_t start);
/* The same, and a newline. */
void cnc_text_end_line(struct cnc_text *t, size_t start);
/* Hands over the text (malloc'd), or NULL if an allocation failed. */
char *cnc_text_take(struct cnc_text *t);

#endif
