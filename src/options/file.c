/* SPDX-License-Identifier: MIT
 *
 * The configuration file. libconfuse parses it, and calls on_file_value() for each value. libconfuse 3.3 has these flaws, so the
 * text is checked and changed before it parses it, for the first one here, for the others in scan.c:
 *   - it would end the process on a file that cannot be read;
 *   - it stops at the first name that it does not know, and its other messages hardly say more than "unexpected";
 *   - it counts a line two or three times where a comment ends, refuses comments within lists, and takes the end of the
 *     file for the end of a comment;
 *   - it skips characters it has no use for, such as the * of an unquoted *:80;
 *   - it replaces ${NAME} by environment variables, even under setuid.
 */
#include "options/internal.h"

#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/sys.h"

#ifdef CNC_WITH_CONFUSE
#include <confuse.h>

#define FILE_SIZE_MAX ((size_t)1 << 20)

static int fail_to_read(struct cnc_options_file *f, const char *why)
{
    struct cnc_section server = { CNC_SECTION_SERVER, "" };
    return f->rc = cnc_options_fail(f->o, CONCUR_E_OPTION, server, "", NULL, f->path, "%s", why);
}

/* ---- the text ---- */

/* Reads all of fd into *out (malloc'd, NUL-terminated). */
static int read_fd(struct cnc_options_file *f, int fd, char **out)
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
        return f->rc = cnc_error_set(CONCUR_E_NOMEM, "%s: out of memory", f->path);
    text[n] = '\0';
    if (got < 0)
        fail_to_read(f, strerror(errno));
    else if (n > FILE_SIZE_MAX)
        fail_to_read(f, "larger than 1 MiB");
    else if (strlen(text) != n)
        fail_to_read(f, "it has a NUL byte, so it is not a text");
    if (f->rc != CONCUR_OK) {
        cnc_free(text);
        text = NULL;
    }
    *out = text;
    return f->rc;
}

static int file_read_file(struct cnc_options_file *f, char **out)
{
    char why[128];
    int fd = cnc_sys_open(f->path, O_RDONLY, 0);
    if (fd < 0)
        return fail_to_read(f, cnc_files_why(why, sizeof why, errno, CNC_FILES_PROCESS));
    int rc = read_fd(f, fd, out);
    cnc_sys_close(&fd);
    return rc;
}

/* libconfuse passes no argument to its callbacks, but each option has an unused number, which is the pointer here. */
static struct cnc_options_file *file_of(const cfg_opt_t *opt)
{
    return (struct cnc_options_file *)(intptr_t)opt->def.number;
}

static struct cnc_section section_of(const cfg_t *cfg)
{
    for (unsigned kind = 1; kind < CNC_SECTIONS; kind++)
        if (cfg->title && strcmp(cfg->name, cnc_section_kinds[kind].word) == 0)
            return (struct cnc_section){ kind, cfg->title };
    return (struct cnc_section){ CNC_SECTION_SERVER, "" };
}

/* Called for each value. A mistake is recorded, and parsing goes on, so that all mistakes are reported. */
static int on_file_value(cfg_t *cfg, cfg_opt_t *opt, const char *value, void *result)
{
    struct cnc_options_file *f = file_of(opt);
    struct cnc_section section = section_of(cfg);
    const struct cnc_option_row *row = cnc_option_row(opt->name);
    const struct cnc_option_value *old = NULL;
    char origin[CNC_ORIGIN_MAX], why[CNC_ORIGIN_MAX];
    *(const char **)result = value;
    if (row && row->type != CNC_TYPE_LIST)
        old = cnc_options_find(f->o, section, row, CNC_LAYER_FILE);
    if (cnc_options_file_is_enough(f))
        return 0;
    if (old && old->layer == CNC_LAYER_FILE) {
        (void)snprintf(why, sizeof why, "given before, in %s", old->origin);
        cnc_options_file_tell(f, cfg->line, CONCUR_E_OPTION, section, opt->name, value, why);
        return 0;
    }
    size_t at = f->o->errors.n;
    int rc = cnc_options_set_in(f->o, CNC_LAYER_FILE, section, opt->name, value, cnc_options_file_origin(f, cfg->line, origin));
    if (rc < 0)
        cnc_options_file_remember(f, cfg->line, at, rc);
    return 0;
}

static void on_file_error(cfg_t *cfg, const char *fmt, va_list ap) CNC_PRINTF(2, 0);

/* An error that libconfuse has found itself. Most were found before, by cnc_options_scan(). */
static void on_file_error(cfg_t *cfg, const char *fmt, va_list ap)
{
    char why[CNC_ORIGIN_MAX];
    (void)vsnprintf(why, sizeof why, fmt, ap);
    cnc_options_file_tell(file_of(&cfg->opts[0]), cfg->line, CONCUR_E_OPTION, section_of(cfg), "", NULL, why);
}

/* Lists the options that may be set in a section, and an end mark. The first option is for file_of() only: no file can
 * set it, since its name is empty. */
static void list_options(struct cnc_options_file *f, unsigned scope, cfg_opt_t *out)
{
    *out++ = (cfg_opt_t)CFG_STR_CB("", 0, CFGF_NODEFAULT, on_file_value);
    for (size_t i = 0; i < cnc_option_count; i++) {
        const struct cnc_option_row *row = &cnc_option_rows[i];
        cfg_opt_t plain = CFG_STR_CB(row->name, 0, CFGF_NODEFAULT, on_file_value);
        cfg_opt_t list = CFG_STR_LIST_CB(row->name, 0, CFGF_NODEFAULT, on_file_value);
        if (row->scope & scope)
            *out++ = row->type == CNC_TYPE_LIST ? list : plain;
    }
    *out = (cfg_opt_t)CFG_END();
    for (cfg_opt_t *opt = out - 1;; opt--) {
        opt->def.number = (long)(intptr_t)f;
        if (!*opt->name)
            break;
    }
}

/* The grammar: the server's options, then the sections. Each list is made in its part of one allocation. */
static cfg_t *make_grammar(struct cnc_options_file *f)
{
    size_t room = cnc_option_count + CNC_SECTIONS + 2;
    cfg_opt_t *all = cnc_calloc(CNC_SECTIONS * room, sizeof *all), *end = all;
    if (!all)
        return NULL;
    list_options(f, cnc_section_kinds[CNC_SECTION_SERVER].scope, all);
    while (end->name)
        end++;
    for (unsigned kind = 1; kind < CNC_SECTIONS; kind++) {
        cfg_opt_t *inside = all + kind * room;
        if (cnc_section_kinds[kind].missing)
            continue; /* refused by cnc_options_scan(), which says what is missing */
        list_options(f, cnc_section_kinds[kind].scope, inside);
        *end++ =
            (cfg_opt_t)CFG_SEC(cnc_section_kinds[kind].word, inside, CFGF_MULTI | CFGF_TITLE | CFGF_NO_TITLE_DUPES);
    }
    *end = (cfg_opt_t)CFG_END();
    cfg_t *cfg = cfg_init(all, 0); /* copies the options */
    cnc_free(all);
    return cfg;
}

static int file_parse(struct cnc_options_file *f, const char *text)
{
    cfg_t *cfg = make_grammar(f);
    if (!cfg)
        return cnc_error_set(CONCUR_E_NOMEM, "%s: out of memory", f->path);
    cfg_set_error_function(cfg, on_file_error);
    if (cfg_parse_buf(cfg, text) != CFG_SUCCESS && f->rc == CONCUR_OK)
        cnc_options_file_tell(f, cfg->line, CONCUR_E_OPTION, section_of(cfg), "", NULL, "not understood");
    cfg_free(cfg); /* also resets the scanner after an error */
    return CONCUR_OK;
}

int cnc_options_load_file(struct cnc_options *o, const char *path)
{
    struct cnc_options_file f = { .o = o, .path = path };
    bool is_first = o->first_error == CONCUR_OK;
    size_t start = o->errors.n;
    char *text = NULL;
    cnc_options_drop(o, CNC_LAYER_FILE);
    int rc = file_read_file(&f, &text);
    if (rc == CONCUR_OK) {
        cnc_options_scan(&f, text);
        rc = file_parse(&f, text);
        cnc_options_file_sort(&f, start, is_first);
    }
    cnc_free(text);
    return rc == CONCUR_OK ? f.rc : rc;
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
