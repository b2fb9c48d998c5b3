/* SPDX-License-Identifier: MIT
 *
 * Splits the text of a configuration file into tokens (words, strings and signs), and checks each.
 */
#include "options/scan.h"

#ifdef CNC_WITH_CONFUSE

void cnc_scan_blank(char *from, const char *to)
{
    for (; from < to; from++)
        if (*from != '\n')
            *from = ' ';
}

static bool starts_comment(const char *p)
{
    return *p == '#' || (*p == '/' && (p[1] == '/' || p[1] == '*'));
}

void cnc_scan_tell(struct cnc_scan *s, int line, const char *why)
{
    cnc_options_file_tell(s->file, line, CONCUR_E_OPTION, s->section, "", NULL, why);
}

/* Overwrites a comment by spaces. A comment without an end is the rest of the file. */
static void skip_comment(struct cnc_scan *s)
{
    bool is_long = s->at[0] == '/' && s->at[1] == '*';
    char *close = is_long ? strstr(s->at + 2, "*/") : NULL;
    char *end = close ? close + 2 : s->at + (is_long ? strlen(s->at) : strcspn(s->at, "\n"));
    if (is_long && !close)
        cnc_scan_tell(s, s->line, "a comment that starts here has no end");
    for (const char *p = s->at; p < end; p++)
        s->line += *p == '\n';
    cnc_scan_blank(s->at, end);
    s->at = end;
}

void cnc_scan_skip_space(struct cnc_scan *s)
{
    for (;; s->at++) {
        while (starts_comment(s->at))
            skip_comment(s);
        if (*s->at == '\n')
            s->line++;
        else if (*s->at != ' ' && *s->at != '\t' && *s->at != '\r')
            return;
    }
}

/* What is wrong with the escape at p, a backslash in double quotes; NULL: nothing. */
static const char *judge_escape(const char *p)
{
    unsigned value = 0, digits = 0;
    bool is_hex = p[1] == 'x' && cnc_hex(p[2]) >= 0;
    while (!is_hex && digits < 3 && p[1 + digits] >= '0' && p[1 + digits] <= '7')
        value = value * 8 + (unsigned)(p[1 + digits++] - '0');
    if (is_hex && p[2] == '0' && (p[3] == '0' || cnc_hex(p[3]) < 0))
        return "a value cannot have a NUL byte";
    if (value > 0xff || cnc_is_digit(p[1 + digits]))
        return "a number after a backslash is octal, at most \\377; write \\\\ for a backslash";
    return digits > 0 && value == 0 ? "a value cannot have a NUL byte" : NULL;
}

/* What is wrong with the string at s->at, or NULL. Sets *end to its closing quote, or to the end of its line. */
static const char *judge_string(struct cnc_scan *s, char **end, int *lines)
{
    char quote = *s->at, *p = s->at + 1;
    const char *why = NULL;
    for (; *p && *p != quote && *p != '\n'; p++) {
        if (quote == '"' && p[0] == '$' && p[1] == '{')
            why = "variables are not replaced; write \\${ if ${ is meant";
        else if (quote == '"' && p[0] == '\\' && !why)
            why = judge_escape(p);
        if (p[0] == '\\' && p[1])
            *lines += *++p == '\n';
    }
    *end = p;
    return *p == quote ? why : "a string that starts here has no end on its line";
}

static const char *judge_word(const char *p, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (p[i] == '$' && i + 1 < n && p[i + 1] == '{')
            return "variables are not replaced";
        if (strchr("*+()", p[i]) || (unsigned char)p[i] < 0x20 || p[i] == 0x7f)
            return "a value with other characters than letters, digits and _ - . : / [ ] needs quotes";
    }
    return n > 1 && p[n - 1] == ';' ? "a value must not be followed by ;" : NULL;
}

static size_t word_length(const char *p)
{
    size_t n = 0;
    while (p[n] && !strchr(" \t\r\n\"'={},", p[n]) && !starts_comment(p + n)) {
        if (p[n] == '+' && p[n + 1] == '=')
            break;
        if (p[n] == '$' && p[n + 1] == '{') /* with its braces, as one word */
            n += strcspn(p + n, "}\n \t");
        n += p[n] && !strchr("\n \t", p[n]);
    }
    return n;
}

struct cnc_token cnc_scan_next(struct cnc_scan *s, const char **why)
{
    cnc_scan_skip_space(s);
    struct cnc_token t = { .kind = CNC_TOKEN_END, .p = s->at, .line = s->line };
    *why = NULL;
    if (*s->at == '"' || *s->at == '\'') {
        char *end;
        int lines = 0;
        *why = judge_string(s, &end, &lines);
        t.kind = CNC_TOKEN_STRING;
        t.p++;
        t.n = (size_t)(end - t.p);
        s->line += lines;
        s->at = end + (*end == '"' || *end == '\'');
    } else if (*s->at && strchr("{}=,", *s->at)) {
        t.kind = CNC_TOKEN_SIGN;
        t.sign = *s->at++;
    } else if (s->at[0] == '+' && s->at[1] == '=') {
        t.kind = CNC_TOKEN_SIGN;
        t.sign = '+';
        s->at += 2;
    } else if (*s->at) {
        t.kind = CNC_TOKEN_WORD;
        t.n = word_length(s->at);
        *why = judge_word(t.p, t.n);
        s->at += t.n;
    }
    return t;
}

struct cnc_token cnc_scan_peek(struct cnc_scan *s)
{
    char *at = s->at;
    int line = s->line;
    const char *why;
    struct cnc_token t = cnc_scan_next(s, &why);
    s->at = at;
    s->line = line;
    return t;
}

#endif
