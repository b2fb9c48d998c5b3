/* SPDX-License-Identifier: MIT
 *
 * Shared by scan.c and tokens.c.
 */
#ifndef CNC_OPTIONS_SCAN_H
#define CNC_OPTIONS_SCAN_H

#include "options/internal.h"

#define CNC_SCAN_TITLES 64 /* titles that are compared here; libconfuse compares all, but stops at the first mistake */

enum cnc_token_kind { CNC_TOKEN_END, CNC_TOKEN_WORD, CNC_TOKEN_STRING, CNC_TOKEN_SIGN };

struct cnc_token {
    enum cnc_token_kind kind;
    char *p; /* the text; of a STRING without its quotes */
    size_t n;
    char sign; /* of a SIGN: { } = , or + for += */
    int line;
};

struct cnc_scan {
    struct cnc_options_file *file;
    char *at, *start; /* the next byte; the start of the present statement */
    int line;
    struct cnc_section section; /* whose statements these are */
    char title[CNC_TITLE_MAX];
    struct cnc_token titles[CNC_SCAN_TITLES];
    size_t title_count;
};

/* Reads the next token. *why: what is wrong with it, or NULL. Comments before it are overwritten by spaces. */
struct cnc_token cnc_scan_next(struct cnc_scan *s, const char **why);
/* The next token, without reading it. */
struct cnc_token cnc_scan_peek(struct cnc_scan *s);
void cnc_scan_skip_space(struct cnc_scan *s);
/* Overwrites the text between by spaces. */
void cnc_scan_blank(char *from, const char *to);
/* Reports a mistake of the section as a whole, or outside of statements. */
void cnc_scan_tell(struct cnc_scan *s, int line, const char *why);

static inline bool cnc_token_is_sign(struct cnc_token t, char sign)
{
    return t.kind == CNC_TOKEN_SIGN && t.sign == sign;
}

static inline bool cnc_token_is_text(struct cnc_token t)
{
    return t.kind == CNC_TOKEN_WORD || t.kind == CNC_TOKEN_STRING;
}

/* Copies its text and a NUL, cut if it does not fit. */
static inline void cnc_token_copy(struct cnc_token t, char *out, size_t size)
{
    size_t n = t.n < size ? t.n : size - 1;
    memcpy(out, t.p, n);
    out[n] = '\0';
}

#endif
