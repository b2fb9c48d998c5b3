/* SPDX-License-Identifier: MIT
 *
 * Checks the syntax of a configuration file, statement by statement, before libconfuse parses it, since libconfuse
 * stops at the first mistake. Mistakes are reported. Statements with a mistake or an unknown name, and comments, are
 * overwritten by spaces. libconfuse understands the rest, so all mistakes of the file are reported.
 */
#include "options/scan.h"

#include <stdarg.h>
#include <stdio.h>

#ifdef CNC_WITH_CONFUSE

/* ---- going on after a mistake ---- */

/* Skips to behind the brace that closes the one that was just read. */
static void skip_block(struct cnc_scan *s)
{
    const char *why;
    for (unsigned open = 1; open > 0;) {
        struct cnc_token t = cnc_scan_next(s, &why);
        if (t.kind == CNC_TOKEN_END)
            return;
        open += cnc_token_is_sign(t, '{');
        open -= cnc_token_is_sign(t, '}');
    }
}

/* Overwrites the statement up to the end of the line, or of the block that begins on it. */
static void scan_drop(struct cnc_scan *s)
{
    const char *why;
    for (int line = s->line;;) {
        struct cnc_token t = cnc_scan_peek(s);
        if (t.kind == CNC_TOKEN_END || t.line != line || cnc_token_is_sign(t, '}'))
            break;
        (void)cnc_scan_next(s, &why);
        if (cnc_token_is_sign(t, '{'))
            skip_block(s);
    }
    cnc_scan_blank(s->start, s->at);
}

static void scan_refuse(struct cnc_scan *s, int line, const char *name, const char *fmt, ...) CNC_PRINTF(4, 5);

static void scan_refuse(struct cnc_scan *s, int line, const char *name, const char *fmt, ...)
{
    char why[400];
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(why, sizeof why, fmt, args);
    va_end(args);
    cnc_options_file_tell(s->file, line, CONCUR_E_OPTION, s->section, name, NULL, why);
    scan_drop(s);
}

/* ---- values ---- */

/* Is t, which follows a value on its line, the beginning of another statement? */
static bool starts_statement(struct cnc_scan *s, struct cnc_token t)
{
    char name[CNC_TITLE_MAX], *at = s->at;
    int line = s->line;
    const char *why;
    (void)cnc_scan_next(s, &why);
    struct cnc_token after = cnc_scan_next(s, &why);
    s->at = at;
    s->line = line;
    cnc_token_copy(t, name, sizeof name);
    return cnc_token_is_sign(after, '=') || cnc_token_is_sign(after, '+') || cnc_token_is_sign(after, '{') ||
           (cnc_token_is_text(after) && cnc_section_find(name) > 0);
}

/* Checks a list, whose brace was just read. Returns NULL, or what is wrong, and the line in *line. */
static const char *judge_list(struct cnc_scan *s, int *line)
{
    for (bool wants_comma = false;; wants_comma = !wants_comma) {
        const char *why;
        struct cnc_token t = cnc_scan_next(s, &why);
        if (cnc_token_is_sign(t, '}'))
            return NULL;
        if (t.kind == CNC_TOKEN_END)
            return "a list that starts here has no end";
        *line = t.line;
        if (wants_comma && !cnc_token_is_sign(t, ','))
            return "a comma is missing in the list";
        if (!wants_comma && !cnc_token_is_text(t))
            return "a value is missing in the list";
        if (why)
            return why;
    }
}

/* Checks what follows a value on its line. Returns NULL, or what is wrong. */
static const char *judge_rest(struct cnc_scan *s, int line)
{
    struct cnc_token after = cnc_scan_peek(s);
    if (cnc_token_is_sign(after, ',') && after.line == line)
        return "several values need braces, with commas between them";
    if (cnc_token_is_text(after) && after.line == line && !starts_statement(s, after))
        return "something follows the value; a value with spaces needs quotes";
    return NULL;
}

/* Checks the text after "NAME =": one value or a list. False: it has a mistake, which was reported. */
static bool take_value(struct cnc_scan *s, struct cnc_token name, const char *word, const struct cnc_option_row *row)
{
    const char *why;
    struct cnc_token t = cnc_scan_peek(s);
    int line = t.line;
    if (!cnc_token_is_text(t) && !cnc_token_is_sign(t, '{')) {
        scan_refuse(s, name.line, word, "no value after the =");
        return false;
    }
    (void)cnc_scan_next(s, &why);
    if (cnc_token_is_sign(t, '{')) {
        why = judge_list(s, &line);
        if (!why && row && row->type != CNC_TYPE_LIST) {
            why = "takes one value, not a list";
            line = t.line;
        }
    } else if (!why) {
        why = judge_rest(s, t.line);
    }
    if (why)
        scan_refuse(s, line, word, "%s", why);
    return !why;
}

/* ---- statements ---- */

/* The length of the name in "engine: thread"; 0: word is not such a mistake. */
static size_t before_colon(const char *word)
{
    char name[CNC_TITLE_MAX];
    size_t n = strcspn(word, ":");
    if (!word[n] || n == 0 || n >= sizeof name)
        return 0;
    memcpy(name, word, n);
    name[n] = '\0';
    return cnc_option_row(name) || !word[n + 1] ? n : 0;
}

/* Reports a name that is not followed by =. */
static void refuse_shape(struct cnc_scan *s, struct cnc_token name, char *word, struct cnc_token after)
{
    bool same_line = cnc_token_is_text(after) && after.line == name.line;
    char value[100] = "";
    size_t n = before_colon(word);
    if (n && word[n + 1])
        (void)snprintf(value, sizeof value, "%s", word + n + 1);
    else if (same_line)
        cnc_token_copy(after, value, sizeof value);
    bool has_colon = n || (same_line && value[0] == ':');
    if (same_line && value[0] == ':' && !n)
        memmove(value, value + 1, strlen(value));
    word[n ? n : strlen(word)] = '\0';
    unsigned kind = cnc_section_find(word);
    if (kind)
        scan_refuse(s, name.line, word, "a title in quotes and { must follow: %s \"...\" { ... }", word);
    else if (has_colon)
        scan_refuse(s, name.line, word, "use = after the name, not a colon: %s = %s", word, *value ? value : "...");
    else
        scan_refuse(s, name.line, word, "no = after the name: %s = %s", word, *value ? value : "...");
}

static void assign(struct cnc_scan *s, struct cnc_token name, const char *word, char sign)
{
    const struct cnc_option_row *row = cnc_option_row(word);
    if (!take_value(s, name, word, row))
        return;
    if (!row || !(row->scope & cnc_section_kinds[s->section.kind].scope)) {
        cnc_options_file_refuse_name(s->file, name.line, s->section, word);
        cnc_scan_blank(s->start, s->at);
    } else if (sign == '+' && row->type != CNC_TYPE_LIST) {
        scan_refuse(s, name.line, word, "takes one value: = and not +=");
    }
}

static bool has_title(const struct cnc_scan *s, struct cnc_token title)
{
    for (size_t i = 0; i < s->title_count; i++)
        if (s->titles[i].n == title.n && memcmp(s->titles[i].p, title.p, title.n) == 0)
            return true;
    return false;
}

static void statements(struct cnc_scan *s);

/* Scans a section, whose brace was just read. */
static void scan_enter(struct cnc_scan *s, struct cnc_token name, struct cnc_token title, unsigned kind)
{
    char *begin = s->start;
    if (has_title(s, title)) {
        cnc_scan_tell(s, name.line, "there is a section with this title already");
        skip_block(s);
        cnc_scan_blank(begin, s->at);
        return;
    }
    if (s->title_count < CNC_SCAN_TITLES)
        s->titles[s->title_count++] = title;
    cnc_token_copy(title, s->title, sizeof s->title);
    s->section = (struct cnc_section){ kind, s->title };
    statements(s);
    s->section = (struct cnc_section){ CNC_SECTION_SERVER, "" };
    if (*s->at != '}') {
        cnc_scan_tell(s, name.line, "a section that starts here has no end");
        cnc_scan_blank(begin, s->at);
        return;
    }
    s->at++;
}

/* NAME { or NAME "TITLE" {, whose brace was just read. title: NULL if there is none. */
static void take_section(struct cnc_scan *s, struct cnc_token name, const char *word, const struct cnc_token *title)
{
    unsigned kind = cnc_section_find(word);
    if (kind && s->section.kind == CNC_SECTION_SERVER && title && !cnc_section_kinds[kind].missing) {
        scan_enter(s, name, *title, kind);
        return;
    }
    if (kind && s->section.kind != CNC_SECTION_SERVER)
        cnc_options_file_tell(s->file, name.line, CONCUR_E_OPTION, s->section, word, NULL,
                              "a section cannot be in another section");
    else if (kind && !cnc_section_kinds[kind].missing)
        cnc_options_file_tell(s->file, name.line, CONCUR_E_OPTION, s->section, word, NULL,
                              "a title in quotes must come before the brace");
    else if (!kind && !cnc_option_row(word))
        cnc_options_file_tell(s->file, name.line, CONCUR_E_OPTION, s->section, word, NULL,
                              "no such section; use route \"PATTERN\" { ... }");
    else if (!kind)
        cnc_options_file_tell(s->file, name.line, CONCUR_E_OPTION, s->section, word, NULL,
                              "is an option, not a section: put = after it");
    else
        cnc_options_file_refuse_name(s->file, name.line, s->section, word);
    skip_block(s);
    cnc_scan_blank(s->start, s->at);
}

static void take_statement(struct cnc_scan *s, struct cnc_token name)
{
    char word[CNC_TITLE_MAX];
    const char *why;
    struct cnc_token after = cnc_scan_peek(s);
    cnc_token_copy(name, word, sizeof word);
    if (cnc_token_is_sign(after, '=') || cnc_token_is_sign(after, '+')) {
        (void)cnc_scan_next(s, &why);
        assign(s, name, word, after.sign);
    } else if (cnc_token_is_sign(after, '{')) {
        (void)cnc_scan_next(s, &why);
        take_section(s, name, word, NULL);
    } else if (cnc_token_is_text(after)) {
        char *at = s->at;
        int line = s->line;
        (void)cnc_scan_next(s, &why);
        struct cnc_token brace = cnc_scan_peek(s);
        if (cnc_token_is_sign(brace, '{') && !why) {
            (void)cnc_scan_next(s, &why);
            take_section(s, name, word, &after);
            return;
        }
        s->at = at;
        s->line = line;
        if (why && after.line == name.line)
            scan_refuse(s, after.line, word, "%s", why);
        else
            refuse_shape(s, name, word, after);
    } else {
        refuse_shape(s, name, word, after);
    }
}

/* Scans statements up to the end of the text, or to the brace that closes this section. */
static void statements(struct cnc_scan *s)
{
    for (;;) {
        const char *why;
        struct cnc_token t = cnc_scan_peek(s);
        bool closes = cnc_token_is_sign(t, '}');
        if (t.kind == CNC_TOKEN_END || (closes && s->section.kind != CNC_SECTION_SERVER)) {
            cnc_scan_skip_space(s);
            return;
        }
        cnc_scan_skip_space(s);
        s->start = s->at;
        t = cnc_scan_next(s, &why);
        if (closes) {
            cnc_scan_tell(s, t.line, "this closing brace closes nothing");
            cnc_scan_blank(s->start, s->at);
        } else if (!cnc_token_is_text(t) || t.n == 0) {
            scan_refuse(s, t.line, "", "a name is missing here");
        } else if (why) {
            scan_refuse(s, t.line, "", "%s", why);
        } else {
            take_statement(s, t);
        }
    }
}

void cnc_options_scan(struct cnc_options_file *file, char *text)
{
    struct cnc_scan s = { .file = file, .at = text, .start = text, .line = 1, .section = { CNC_SECTION_SERVER, "" } };
    statements(&s);
}

#endif
