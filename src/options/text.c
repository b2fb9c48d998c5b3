/* SPDX-License-Identifier: MIT
 *
 * Texts made from the table: help, dump, the reference page.
 */
#include "options/internal.h"

static void add_default(const struct cnc_option_row *row, struct cnc_text *t)
{
    cnc_text_add(t, "%s", *row->dflt ? row->dflt : row->type == CNC_TYPE_LIST ? "none" : "empty");
}

static void add_allowed(const struct cnc_option_row *row, struct cnc_text *t)
{
    switch (row->type) {
    case CNC_TYPE_BOOL:
        cnc_text_add(t, "on, off");
        return;
    case CNC_TYPE_ENUM:
        cnc_option_print_choices(row, t);
        return;
    case CNC_TYPE_STRING:
        cnc_text_add(t, "text, at most %lld bytes", (long long)row->max);
        return;
    case CNC_TYPE_LIST:
        cnc_text_add(t, "at most %lld", (long long)row->max);
        return;
    case CNC_TYPE_INT:
    case CNC_TYPE_AUTO:
    case CNC_TYPE_SIZE:
    case CNC_TYPE_TIME:
        cnc_text_add(t, row->type == CNC_TYPE_AUTO ? "auto, " : "");
        cnc_option_print(row, row->min, t);
        cnc_text_add(t, " to ");
        cnc_option_print(row, row->max, t);
        return;
    }
}

char *cnc_options_help(void)
{
    struct cnc_text t = { 0 };
    for (size_t i = 0; i < cnc_option_count; i++) {
        const struct cnc_option_row *row = &cnc_option_rows[i];
        cnc_text_add(&t, "  %s = ", row->name);
        add_default(row, &t);
        cnc_text_add(&t, "  (");
        add_allowed(row, &t);
        cnc_text_add(&t, "%s%s%s)\n      %s.\n", *row->unit ? "; " : "", row->unit,
                     row->scope == CNC_SCOPE_ROUTE  ? "; in a route section"
                     : row->scope & CNC_SCOPE_ROUTE ? "; also in a route section"
                                                    : "",
                     row->doc);
    }
    return cnc_text_take(&t);
}

/* Adds s in double quotes. What libconfuse would interpret there gets a backslash. */
static void add_quoted(const char *s, struct cnc_text *t)
{
    cnc_text_add(t, "\"");
    for (; *s; s++)
        cnc_text_add(t, *s == '"' || *s == '\\' || *s == '$' ? "\\%c" : "%c", *s);
    cnc_text_add(t, "\"");
}

static void add_setting(const struct cnc_option_row *row, const struct cnc_option_value *v, const char *indent,
                        struct cnc_text *t)
{
    cnc_text_add(t, "%s%s = ", indent, row->name);
    if (row->type == CNC_TYPE_STRING || row->type == CNC_TYPE_LIST)
        add_quoted(v ? v->text : row->dflt, t);
    else if (v)
        cnc_option_print(row, v->number, t);
    else
        cnc_text_add(t, "%s", row->dflt);
    cnc_text_add(t, " # %s\n", v ? v->origin : "default");
}

static void add_section(const struct cnc_options *o, struct cnc_section section, struct cnc_text *t)
{
    bool server = section.kind == CNC_SECTION_SERVER;
    for (size_t i = 0; i < cnc_option_count; i++) {
        const struct cnc_option_row *row = &cnc_option_rows[i];
        const struct cnc_option_value *v = cnc_options_find(o, section, row, CNC_LAYER_OVERRIDE);
        if (!v && (!server || row->type == CNC_TYPE_LIST || row->in_config == CNC_NO_MEMBER))
            continue;
        add_setting(row, v, server ? "" : "    ", t);
        while (row->type == CNC_TYPE_LIST && (v = cnc_options_next(v)))
            add_setting(row, v, "", t);
    }
}

/* Adds a line about how many threads, in all processes, may have their own value of each concur_server_local(). */
static void add_locals(const struct cnc_config *cfg, struct cnc_text *t)
{
    bool threaded = cfg->engine == CONCUR_ENGINE_THREAD || cfg->engine == CONCUR_ENGINE_PROCESS_THREAD;
    bool workers = cfg->engine == CONCUR_ENGINE_PROCESS_THREAD || cfg->engine == CONCUR_ENGINE_PROCESS_EVENT;
    int64_t processes = cfg->engine == CONCUR_ENGINE_PREFORK ? cfg->workers_max : workers ? cfg->workers : 1;
    int64_t each = (threaded ? cfg->threads_max : 1) + cfg->pool_threads;
    bool replaced = workers || cfg->engine == CONCUR_ENGINE_PREFORK || cfg->master; /* a reload has two generations */
    cnc_text_add(t, "# concur_server_local: at most %lld of each%s\n", (long long)(processes * each),
                 replaced ? "; twice that while workers are replaced" : "");
}

char *cnc_options_dump(const struct cnc_options *o, const struct cnc_config *cfg)
{
    struct cnc_section server = { CNC_SECTION_SERVER, "" };
    struct cnc_text t = { 0 };
    add_section(o, server, &t);
    for (const struct cnc_option_value *v = o->first; v; v = v->next) {
        if (!cnc_option_is_first_of_section(o, v))
            continue;
        cnc_text_add(&t, "%s ", cnc_section_kinds[v->section.kind].word);
        add_quoted(v->section.title, &t);
        cnc_text_add(&t, " {\n");
        add_section(o, v->section, &t);
        cnc_text_add(&t, "}\n");
    }
    add_locals(cfg, &t);
    return cnc_text_take(&t);
}

static void add_engines(unsigned engines, struct cnc_text *t)
{
    const char *comma = "";
    unsigned all = 0;
    for (int e = CONCUR_ENGINE_PREFORK; cnc_engine_name(e); e++)
        all |= 1u << e;
    if (engines == all) {
        cnc_text_add(t, "all");
        return;
    }
    for (int e = CONCUR_ENGINE_PREFORK; cnc_engine_name(e); e++) {
        if (engines >> e & 1) {
            cnc_text_add(t, "%s%s", comma, cnc_engine_name(e));
            comma = ", ";
        }
    }
}

static const char reference_head[] =
    "<!-- Made from src/options/options.def; do not edit. After a build: build/dev/tests/unit/options_options --reference "
    "> docs/options.md -->\n"
    "# Options\n\n"
    "An option has the same name everywhere. A later layer wins over an earlier one:\n\n"
    "| layer | how |\n|---|---|\n"
    "| default | the tables below |\n"
    "| code | `concur_server_set(server, NULL, \"threads_max\", \"32\")` |\n"
    "| file | `threads_max = 32` in the file given to `concur_server_new()` |\n"
    "| environment | `CONCUR_THREADS_MAX=32`; a list is separated by commas; not read under setuid or setgid |\n"
    "| override | `concur_server_override()`, for command-line flags |\n\n"
    "A value in the section of a route wins over every value for the server, in whatever layer:\n\n"
    "```\n# server.conf\nengine = thread\nlisten = \"127.0.0.1:8080\"\nlisten = \"unix:/run/shop.sock mode=0660\"\n\n"
    "route \"POST /upload\" {\n    body_max = 100m\n}\n```\n\n"
    "A value with other characters than letters, digits and `_ - . : / [ ]` needs quotes. In double quotes a backslash\n"
    "takes away the special meaning of the next character. Comments begin with `#` or `//`, or stand in `/* */`.\n\n"
    "Sizes are in bytes, or in `k`, `m`, `g` (1024 each). Times need a unit, `ms`, `s`, `m` or `h`, except 0: other\n"
    "servers read `keepalive_timeout = 15` as seconds. Switches are `on`, `yes`, `true`, `1` or `off`, `no`, `false`, "
    "`0`.\n"
    "An option that the engine does not use is accepted, and `run` says so. An error names the value, where it comes\n"
    "from, and what is allowed: `workers=9999 (server.conf:12): at most 1024`.\n\n"
    "The file is read with libconfuse, whose scanner is one for the whole process. So threads must not create servers\n"
    "with configuration files at the same time, nor use libconfuse themselves meanwhile.\n";

static void add_row(const struct cnc_option_row *row, struct cnc_text *t)
{
    cnc_text_add(t, "| `%s` | ", row->name);
    add_default(row, t);
    cnc_text_add(t, " | ");
    add_allowed(row, t);
    cnc_text_add(t, " | %s | %s | ", row->unit,
                 row->scope & CNC_SCOPE_START    ? "start"
                 : row->scope == CNC_SCOPE_ROUTE ? "route"
                 : row->scope & CNC_SCOPE_ROUTE  ? "reload, route"
                                                 : "reload");
    add_engines(row->engines, t);
    cnc_text_add(t, " | %s |\n", row->doc);
}

char *cnc_options_reference(void)
{
    struct cnc_text t = { 0 };
    cnc_text_add(&t, "%s", reference_head);
    cnc_text_add(
        &t, "\nScope: `start`: fixed when the server starts. `reload`: may change by a reload. `route`: may stand in the "
            "section\nof a route.\n\n| option | default | allowed | unit | scope | engines | |\n"
            "|---|---|---|---|---|---|---|\n");
    for (size_t i = 0; i < cnc_option_count; i++)
        add_row(&cnc_option_rows[i], &t);
    return cnc_text_take(&t);
}
