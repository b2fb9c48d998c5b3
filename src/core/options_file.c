/* SPDX-License-Identifier: MIT
 *
 * The configuration file, through libconfuse, which does the grammar; values come back by a callback, with their lines.
 * What libconfuse 3.3 does less well is done before it sees the text:
 *   - it would end the process on a file that cannot be read, so we read;
 *   - it counts a line two or three times where a comment ends, refuses comments within lists, and takes the end of the
 *     file for the end of a comment, so comments become spaces;
 *   - it skips characters it has no use for, such as the * of an unquoted *:80, so these are refused;
 *   - it puts environment variables in for ${NAME}, whoever the process runs as, so that is refused, too.
 */
#include "core/options_internal.h"

#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/sys.h"

#ifdef CNC_WITH_CONFUSE
#include <confuse.h>

#define FILE_SIZE_MAX ((size_t)1 << 20)
#define ORIGIN_MAX 320

struct loader {
    struct cnc_options *o;
    const char *path;
    int rc; /* of the first error */
};

static int fail_at(struct loader *l, int line, const char *why)
{
    struct cnc_section server = { CNC_SECTION_SERVER, "" };
    char origin[ORIGIN_MAX];
    (void)snprintf(origin, sizeof origin, "%.300s:%d", l->path, line);
    int rc = cnc_options_fail(l->o, CONCUR_E_OPTION, server, "", NULL, origin, "%s", why);
    l->rc = l->rc == CONCUR_OK ? rc : l->rc;
    return rc;
}

static int fail_to_read(struct loader *l, const char *why)
{
    struct cnc_section server = { CNC_SECTION_SERVER, "" };
    return l->rc = cnc_options_fail(l->o, CONCUR_E_OPTION, server, "", NULL, l->path, "%s", why);
}

/* Reads all of fd into *out (malloc'd, NUL-terminated). */
static int read_fd(struct loader *l, int fd, char **out)
{
    size_t n = 0, cap = 4096;
    char *text = cnc_malloc(cap + 1);
    ssize_t got = 0;
    while (text && n <= FILE_SIZE_MAX) {
        if (n == cap) {
            char *grown = cnc_realloc(text, cap * 2 + 1);
            if (!grown)
                cnc_free(text);
            text = grown;
            cap *= 2;
            continue;
        }
        got = cnc_sys_read(fd, text + n, cap - n);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            break;
        n += (size_t)got;
    }
    if (!text)
        return l->rc = cnc_error_set(CONCUR_E_NOMEM, "%s: out of memory", l->path);
    text[n] = '\0';
    if (got < 0)
        fail_to_read(l, strerror(errno));
    else if (n > FILE_SIZE_MAX)
        fail_to_read(l, "larger than 1 MiB");
    else if (strlen(text) != n)
        fail_to_read(l, "holds a NUL byte; a text is wanted");
    if (l->rc != CONCUR_OK) {
        cnc_free(text);
        text = NULL;
    }
    *out = text;
    return l->rc;
}

static int read_file(struct loader *l, char **out)
{
    int fd = cnc_sys_open(l->path, O_RDONLY, 0);
    if (fd < 0)
        return fail_to_read(l, strerror(errno));
    int rc = read_fd(l, fd, out);
    cnc_sys_close(&fd);
    return rc;
}

/* Goes over a quoted string that starts at *p; leaves *p at its end. */
static const char *skip_string(char **p, int *line)
{
    char quote = *(*p)++;
    for (; **p && **p != quote; (*p)++) {
        if (**p == '$' && (*p)[1] == '{' && quote == '"')
            return "variables are not put in; write \\${ if ${ is meant";
        if (**p == '\\' && (*p)[1])
            (*p)++;
        *line += **p == '\n';
    }
    return **p ? NULL : "a string that starts here has no end";
}

/* Blanks a comment out that starts at *p, but for its newlines; leaves *p at its last byte. */
static const char *blank_comment(char **p, int *line)
{
    char *at = *p;
    bool long_one = at[0] == '/' && at[1] == '*';
    const char *end = long_one ? strstr(at + 2, "*/") : at + strcspn(at, "\n");
    if (!end)
        return "a comment that starts here has no end";
    end += long_one ? 2 : 0;
    for (; at < end; at++) {
        if (*at == '\n')
            ++*line;
        else
            *at = ' ';
    }
    *p = at - 1;
    return NULL;
}

/* Prepares text in place for libconfuse; see above. */
static int clean(struct loader *l, char *text)
{
    int line = 1;
    for (char *p = text; *p; p++) {
        int start = line;
        const char *why = NULL;
        if (*p == '\n')
            line++;
        else if (*p == '"' || *p == '\'')
            why = skip_string(&p, &line);
        else if (*p == '#' || (*p == '/' && (p[1] == '/' || p[1] == '*')))
            why = blank_comment(&p, &line);
        else if (*p == '$' && p[1] == '{')
            why = "variables are not put in";
        else if (*p == '*' || (*p == '+' && p[1] != '='))
            why = "a value with other characters than letters, digits and _ - . : / [ ] stands in quotes";
        if (why)
            return fail_at(l, start, why);
    }
    return CONCUR_OK;
}

/* libconfuse has no argument for its callbacks, but carries an unused number with each option. */
static struct loader *loader_of(const cfg_opt_t *opt)
{
    return (struct loader *)(intptr_t)opt->def.number;
}

static struct cnc_section section_of(const cfg_t *cfg)
{
    for (unsigned kind = 1; kind < CNC_SECTIONS; kind++)
        if (cfg->title && strcmp(cfg->name, cnc_section_kinds[kind].word) == 0)
            return (struct cnc_section){ kind, cfg->title };
    return (struct cnc_section){ CNC_SECTION_SERVER, "" };
}

/* Each value as it is read. An error is noted and reading goes on, so that one run shows them all. */
static int on_value(cfg_t *cfg, cfg_opt_t *opt, const char *value, void *result)
{
    struct loader *l = loader_of(opt);
    struct cnc_section section = section_of(cfg);
    const struct cnc_option_row *row = cnc_option_row(opt->name);
    const struct cnc_option_value *old = NULL;
    char origin[ORIGIN_MAX];
    int rc;
    (void)snprintf(origin, sizeof origin, "%.300s:%d", l->path, cfg->line);
    if (row && row->type != CNC_TYPE_LIST)
        old = cnc_options_find(l->o, section, row, CNC_LAYER_FILE);
    if (old && old->layer == CNC_LAYER_FILE)
        rc = cnc_options_fail(l->o, CONCUR_E_OPTION, section, opt->name, value, origin, "given before, in %s",
                              old->origin);
    else
        rc = cnc_options_set_in(l->o, CNC_LAYER_FILE, section, opt->name, value, origin);
    l->rc = l->rc == CONCUR_OK ? rc : l->rc;
    *(const char **)result = value;
    return 0;
}

static void on_error(cfg_t *cfg, const char *fmt, va_list ap) CNC_PRINTF(2, 0);

static void on_error(cfg_t *cfg, const char *fmt, va_list ap)
{
    static const char unknown[] = "no such option '";
    struct loader *l = loader_of(&cfg->opts[0]);
    struct cnc_section section = section_of(cfg);
    char why[ORIGIN_MAX], origin[ORIGIN_MAX];
    (void)vsnprintf(why, sizeof why, fmt, ap);
    size_t n = strlen(why);
    if (strncmp(why, unknown, sizeof unknown - 1) == 0 && why[n - 1] == '\'') {
        (void)snprintf(origin, sizeof origin, "%.300s:%d", l->path, cfg->line);
        why[n - 1] = '\0';
        int rc = cnc_options_set_in(l->o, CNC_LAYER_FILE, section, why + sizeof unknown - 1, "", origin);
        l->rc = l->rc == CONCUR_OK ? rc : l->rc;
    } else {
        (void)fail_at(l, cfg->line, why);
    }
}

/* The options that may stand in a section, and an end. The first only carries the loader: an empty name, which the
 * grammar cannot reach. */
static void list_options(struct loader *l, unsigned scope, cfg_opt_t *out)
{
    *out++ = (cfg_opt_t)CFG_STR_CB("", 0, CFGF_NODEFAULT, on_value);
    for (size_t i = 0; i < cnc_option_count; i++) {
        const struct cnc_option_row *row = &cnc_option_rows[i];
        cfg_opt_t plain = CFG_STR_CB(row->name, 0, CFGF_NODEFAULT, on_value);
        cfg_opt_t list = CFG_STR_LIST_CB(row->name, 0, CFGF_NODEFAULT, on_value);
        if (row->scope & scope)
            *out++ = row->type == CNC_TYPE_LIST ? list : plain;
    }
    *out = (cfg_opt_t)CFG_END();
    for (cfg_opt_t *opt = out - 1;; opt--) {
        opt->def.number = (long)(intptr_t)l;
        if (!*opt->name)
            break;
    }
}

/* The grammar: the server's options, then the sections. Each list is made in its part of one allocation. */
static cfg_t *make_grammar(struct loader *l)
{
    size_t room = cnc_option_count + CNC_SECTIONS + 2;
    cfg_opt_t *all = cnc_calloc(CNC_SECTIONS * room, sizeof *all), *end = all;
    if (!all)
        return NULL;
    list_options(l, cnc_section_kinds[CNC_SECTION_SERVER].scope, all);
    while (end->name)
        end++;
    for (unsigned kind = 1; kind < CNC_SECTIONS; kind++) {
        cfg_opt_t *inside = all + kind * room;
        if (cnc_section_kinds[kind].missing)
            continue; /* refused like an unknown name, with a better word */
        list_options(l, cnc_section_kinds[kind].scope, inside);
        *end++ =
            (cfg_opt_t)CFG_SEC(cnc_section_kinds[kind].word, inside, CFGF_MULTI | CFGF_TITLE | CFGF_NO_TITLE_DUPES);
    }
    *end = (cfg_opt_t)CFG_END();
    cfg_t *cfg = cfg_init(all, 0); /* copies */
    cnc_free(all);
    return cfg;
}

static int parse(struct loader *l, const char *text)
{
    cfg_t *cfg = make_grammar(l);
    if (!cfg)
        return cnc_error_set(CONCUR_E_NOMEM, "%s: out of memory", l->path);
    cfg_set_error_function(cfg, on_error);
    if (cfg_parse_buf(cfg, text) != CFG_SUCCESS && l->rc == CONCUR_OK)
        (void)fail_at(l, cfg->line, "not understood");
    cfg_free(cfg); /* takes the scanner back to its start, too, wherever an error has left it */
    return l->rc;
}

int cnc_options_load_file(struct cnc_options *o, const char *path)
{
    struct loader l = { .o = o, .path = path, .rc = CONCUR_OK };
    char *text = NULL;
    cnc_options_drop(o, CNC_LAYER_FILE);
    int rc = read_file(&l, &text);
    if (rc == CONCUR_OK)
        rc = clean(&l, text);
    if (rc == CONCUR_OK)
        rc = parse(&l, text);
    cnc_free(text);
    return rc;
}

#else

int cnc_options_load_file(struct cnc_options *o, const char *path)
{
    struct cnc_section server = { CNC_SECTION_SERVER, "" };
    cnc_options_drop(o, CNC_LAYER_FILE);
    return cnc_options_fail(o, CONCUR_E_OPTION, server, "", NULL, path,
                            "this build reads no configuration files (no libconfuse)");
}

#endif
