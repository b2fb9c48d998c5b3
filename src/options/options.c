/* SPDX-License-Identifier: MIT
 *
 * Stores and merges values. There are few, and they are read only at the start, so they are kept in one list, in the
 * order in which they were set.
 */
#include "options/internal.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/error.h"
#include "base/sys.h"

#define WHY_MAX 400

static const char *const layer_names[] = { [CNC_LAYER_DEFAULT] = "default",
                                           [CNC_LAYER_CODE] = "code",
                                           [CNC_LAYER_FILE] = "file",
                                           [CNC_LAYER_ENV] = "environment",
                                           [CNC_LAYER_OVERRIDE] = "override" };

struct cnc_options *cnc_options_create(void)
{
    struct cnc_options *o = cnc_calloc(1, sizeof *o);
    if (!o)
        return NULL;
    o->tail = &o->first;
    o->notes = cnc_calloc(1, sizeof *o->notes);
    if (!o->notes)
        cnc_options_destroy(&o);
    return o;
}

static void forget_patterns(struct cnc_options *o)
{
    for (size_t i = 0; i < o->pattern_count; i++)
        cnc_free(o->patterns[i]);
    cnc_free(o->patterns);
    o->patterns = NULL;
    o->pattern_count = 0;
}

void cnc_options_destroy(struct cnc_options **o)
{
    if (!*o)
        return;
    for (struct cnc_option_value *v = (*o)->first, *next; v; v = next) {
        next = v->next;
        cnc_free(v);
    }
    forget_patterns(*o);
    cnc_text_reset(&(*o)->errors);
    cnc_text_reset(&(*o)->pairs);
    if ((*o)->notes)
        cnc_text_reset((*o)->notes);
    cnc_free((*o)->notes);
    cnc_text_reset(&(*o)->variables);
    cnc_text_reset(&(*o)->near_variables);
    cnc_free((*o)->listen);
    cnc_free(*o);
    *o = NULL;
}

static bool same_section(struct cnc_section a, struct cnc_section b)
{
    return a.kind == b.kind && strcmp(a.title, b.title) == 0;
}

/* Removes values of a layer: all of them, or those of one option in one section. */
static void remove_values(struct cnc_options *o, enum cnc_layer layer, const struct cnc_section *section,
                          const struct cnc_option_row *row)
{
    struct cnc_option_value **at = &o->first;
    while (*at) {
        struct cnc_option_value *v = *at;
        if (v->layer == layer && (!row || (v->row == row && same_section(v->section, *section)))) {
            *at = v->next;
            cnc_free(v);
        } else {
            at = &v->next;
        }
    }
    o->tail = at;
}

void cnc_options_drop(struct cnc_options *o, enum cnc_layer layer)
{
    remove_values(o, layer, NULL, NULL);
}

static int options_store(struct cnc_options *o, enum cnc_layer layer, struct cnc_section section,
                 const struct cnc_option_row *row, const char *text, int64_t number, const char *origin)
{
    size_t title_size = strlen(section.title) + 1, text_size = strlen(text) + 1, origin_size = strlen(origin) + 1;
    struct cnc_option_value *v = cnc_malloc(sizeof *v + title_size + text_size + origin_size);
    if (!v)
        return cnc_error_set(CONCUR_E_NOMEM, "%s: out of memory", row->name);
    char *p = (char *)(v + 1);
    memset(v, 0, sizeof *v);
    v->row = row;
    v->layer = layer;
    v->number = number;
    v->section.kind = section.kind;
    v->section.title = memcpy(p, section.title, title_size);
    v->text = memcpy(p + title_size, text, text_size);
    v->origin = memcpy(p + title_size + text_size, origin, origin_size);
    *o->tail = v;
    o->tail = &v->next;
    return CONCUR_OK;
}

struct cnc_options *cnc_options_copy(const struct cnc_options *o, unsigned layers)
{
    struct cnc_options *copy = cnc_options_create();
    int rc = copy ? CONCUR_OK : CONCUR_E_NOMEM;
    for (const struct cnc_option_value *v = o->first; v && rc == CONCUR_OK; v = v->next)
        if (layers >> v->layer & 1)
            rc = options_store(copy, v->layer, v->section, v->row, v->text, v->number, v->origin);
    if (rc == CONCUR_OK && o->errors.n && (layers & CNC_LAYERS_SAID) == CNC_LAYERS_SAID) {
        cnc_text_add(&copy->errors, "%s", o->errors.p);
        copy->first_error = o->first_error;
    }
    if (rc < 0 && copy)
        cnc_options_destroy(&copy);
    return copy;
}

/* Is the line that begins at start in the text already? The environment is read more than once. */
static bool is_told(const struct cnc_text *t, size_t start)
{
    for (const char *line = t->p; line < t->p + start; line = strchr(line, '\n') + 1)
        if (strncmp(line, t->p + start, t->n - start) == 0)
            return true;
    return false;
}

static int add_error(struct cnc_text *to, int code, struct cnc_section section, const char *name, const char *value,
                     const char *origin, const char *why)
{
    size_t start = to->n;
    if (section.kind != CNC_SECTION_SERVER)
        cnc_text_add(to, "%s \"%.200s\": ", cnc_section_kinds[section.kind].word, section.title);
    if (*name)
        cnc_text_add(to, "%.100s%s%.200s (%s): %s", name, value ? "=" : "", value ? value : "", origin, why);
    else
        cnc_text_add(to, "%s: %s", origin, why);
    if (to->failed)
        return CONCUR_E_NOMEM;
    cnc_text_make_printable(to, start);
    (void)cnc_error_set(code, "%s", to->p + start);
    cnc_text_add(to, "\n");
    if (!to->failed && is_told(to, start))
        cnc_text_cut(to, start);
    return code;
}

int cnc_options_fail(struct cnc_options *o, int code, struct cnc_section section, const char *name, const char *value,
                     const char *origin, const char *fmt, ...)
{
    char why[WHY_MAX];
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(why, sizeof why, fmt, ap);
    va_end(ap);
    int rc = add_error(&o->errors, code, section, name, value, origin, why);
    o->first_error = o->first_error ? o->first_error : rc;
    return rc;
}

/* What this version lacks for the section, or for the section whose word is this name. NULL: nothing, or it is no such
 * word. */
static const char *what_is_missing(struct cnc_section section, const char *name)
{
    unsigned kind = section.kind == CNC_SECTION_SERVER ? cnc_section_find(name) : section.kind;
    return cnc_section_kinds[kind].missing;
}

static int refuse_name(struct cnc_options *o, struct cnc_section section, const char *name, const char *origin)
{
    unsigned scope = cnc_section_kinds[section.kind].scope;
    const struct cnc_option_row *row = cnc_option_row(name);
    const char *nearest = cnc_option_nearest(name, scope), *missing = what_is_missing(section, name);
    struct cnc_text why = { 0 };
    if (missing)
        cnc_text_add(&why, "%s", missing);
    else if (cnc_section_find(name))
        cnc_text_add(&why, "is a section: %s \"PATTERN\" { ... }", name);
    else if (row && section.kind == CNC_SECTION_SERVER)
        cnc_text_add(&why, "belongs in a section: route \"PATTERN\" { ... }");
    else if (row)
        cnc_text_add(&why, "is an option of the whole server, not of a %s", cnc_section_kinds[section.kind].word);
    else if (nearest)
        cnc_text_add(&why, "no such option; did you mean %s?", nearest);
    else
        cnc_text_add(&why, "no such option");
    int rc = cnc_options_fail(o, missing ? CONCUR_E_UNSUPPORTED : CONCUR_E_OPTION, section, name, NULL, origin, "%s",
                              why.p ? why.p : "out of memory");
    cnc_text_reset(&why);
    return rc;
}

static int64_t count_values(const struct cnc_options *o, enum cnc_layer layer, const struct cnc_option_row *row)
{
    int64_t n = 0;
    for (const struct cnc_option_value *v = o->first; v; v = v->next)
        n += v->layer == layer && v->row == row;
    return n;
}

int cnc_options_set_in(struct cnc_options *o, enum cnc_layer layer, struct cnc_section section, const char *name,
                       const char *value, const char *origin)
{
    const struct cnc_option_row *row = cnc_option_row(name);
    struct cnc_text why = { 0 };
    int64_t number = 0;
    if (!origin)
        origin = layer_names[layer];
    if (!row || !(row->scope & cnc_section_kinds[section.kind].scope))
        return refuse_name(o, section, name, origin);
    int rc = cnc_option_parse(row, value, &number, &why);
    if (rc == CONCUR_OK && row->type == CNC_TYPE_LIST && count_values(o, layer, row) >= row->max)
        cnc_text_add(&why, "at most %lld of them", (long long)row->max);
    if (rc != CONCUR_OK || why.n)
        rc = cnc_options_fail(o, rc == CONCUR_OK ? CONCUR_E_OPTION : rc, section, name, value, origin, "%s",
                              why.p ? why.p : "out of memory");
    cnc_text_reset(&why);
    if (rc != CONCUR_OK)
        return rc;
    if (row->type != CNC_TYPE_LIST)
        remove_values(o, layer, &section, row);
    if (row->in_config == offsetof(struct cnc_config, engine) && number == CONCUR_ENGINE_DEFAULT)
        return CONCUR_OK; /* this layer leaves the choice to the others */
    return options_store(o, layer, section, row, value, number, origin);
}

/* Splits "route GET /x" into the kind of section and its title. */
static bool split_section(const char *text, struct cnc_section *out)
{
    for (unsigned kind = 1; kind < CNC_SECTIONS; kind++) {
        size_t n = strlen(cnc_section_kinds[kind].word);
        if (strncmp(text, cnc_section_kinds[kind].word, n) == 0 && text[n] == ' ' && text[n + 1]) {
            *out = (struct cnc_section){ kind, text + n + 1 };
            return true;
        }
    }
    return false;
}

int cnc_options_set(struct cnc_options *o, enum cnc_layer layer, const char *section, const char *name,
                    const char *value, const char *origin)
{
    struct cnc_section where = { CNC_SECTION_SERVER, "" };
    if (section && *section && !split_section(section, &where))
        return cnc_options_fail(o, CONCUR_E_OPTION, where, name, value, origin ? origin : layer_names[layer],
                                "section \"%.100s\" must be route PATTERN", section);
    return cnc_options_set_in(o, layer, where, name, value, origin);
}

const struct cnc_option_value *cnc_options_find(const struct cnc_options *o, struct cnc_section section,
                                                const struct cnc_option_row *row, enum cnc_layer top)
{
    const struct cnc_option_value *found = NULL;
    for (const struct cnc_option_value *v = o->first; v; v = v->next)
        if (v->row == row && v->layer <= top && same_section(v->section, section) &&
            (!found || v->layer > found->layer))
            found = v;
    return found;
}

const struct cnc_option_value *cnc_options_next(const struct cnc_option_value *v)
{
    const struct cnc_option_value *n = v->next;
    while (n && (n->row != v->row || n->layer != v->layer || !same_section(n->section, v->section)))
        n = n->next;
    return n;
}

bool cnc_option_is_first_of_section(const struct cnc_options *o, const struct cnc_option_value *v)
{
    for (const struct cnc_option_value *w = o->first; w != v; w = w->next)
        if (w->section.kind == v->section.kind && strcmp(w->section.title, v->section.title) == 0)
            return false;
    return v->section.kind != CNC_SECTION_SERVER;
}

static void write_member(const struct cnc_option_row *row, const char *text, int64_t number, void *member)
{
    if (row->type == CNC_TYPE_BOOL)
        *(bool *)member = number != 0;
    else if (row->type == CNC_TYPE_ENUM)
        *(int *)member = (int)number;
    else if (row->type == CNC_TYPE_STRING)
        *(const char **)member = text;
    else
        *(int64_t *)member = number;
}

/* Writes v into the config, or the row's default if v is NULL. A test checks that all defaults can be parsed. */
static void write_value(const struct cnc_option_row *row, const struct cnc_option_value *v, void *member)
{
    int64_t number = v ? v->number : 0;
    struct cnc_text why = { 0 };
    if (!v)
        (void)cnc_option_parse(row, row->dflt, &number, &why);
    cnc_text_reset(&why);
    write_member(row, v ? v->text : row->dflt, number, member);
}

static int write_list(struct cnc_options *o, const struct cnc_option_value *v, struct cnc_config_list *out)
{
    size_t n = 0;
    const char **items = cnc_calloc(v ? (size_t)v->row->max : 1, sizeof *items);
    if (!items)
        return cnc_error_set(CONCUR_E_NOMEM, "options: out of memory");
    for (; v; v = cnc_options_next(v))
        items[n++] = v->text;
    cnc_free(o->listen);
    o->listen = items;
    *out = (struct cnc_config_list){ items, n };
    return CONCUR_OK;
}

/* Pairs of options of which one is a bound of the other. */
static const struct {
    const char *name, *bound;
} at_most[] = { { "output_low", "output_high" }, { "line_max", "head_max" }, { "workers_start", "workers_max" } };

static void check_pairs(struct cnc_options *o, const struct cnc_config *config)
{
    struct cnc_section server = { CNC_SECTION_SERVER, "" };
    for (size_t i = 0; i < CNC_COUNT(at_most); i++) {
        const struct cnc_option_row *row = cnc_option_row(at_most[i].name), *bound = cnc_option_row(at_most[i].bound);
        int64_t have, most;
        memcpy(&have, (const char *)config + row->in_config, sizeof have);
        memcpy(&most, (const char *)config + bound->in_config, sizeof most);
        if (have <= most)
            continue;
        const struct cnc_option_value *v = cnc_options_find(o, server, row, CNC_LAYER_OVERRIDE);
        struct cnc_text value = { 0 }, why = { 0 };
        cnc_option_print(row, have, &value);
        cnc_text_add(&why, "at most %s, which is ", bound->name);
        cnc_option_print(bound, most, &why);
        (void)add_error(&o->pairs, CONCUR_E_OPTION, server, row->name, value.p, v ? v->origin : "default",
                        why.p ? why.p : "too much");
        cnc_text_reset(&value);
        cnc_text_reset(&why);
    }
}

/* Replaces "auto" by numbers. On prefork a given number of workers fixes the size of the pool. */
static void settle_autos(struct cnc_config *out)
{
    bool given = out->workers > 0;
    if (out->pool_threads < 0)
        out->pool_threads = out->engine == CONCUR_ENGINE_EVENT_POOL ? 4 : 0;
    if (out->threads_max <= 0)
        out->threads_max = out->engine == CONCUR_ENGINE_PROCESS_THREAD ? 10 : 64;
    if (!given)
        out->workers = (int64_t)cnc_sys_cores();
    if (given && out->engine == CONCUR_ENGINE_PREFORK) {
        out->workers_start = out->workers_max = out->workers;
        out->spare_min = out->spare_max = 0;
    }
}

static int what_resolve_says(const struct cnc_options *o)
{
    if (o->errors.failed || o->pairs.failed)
        return CONCUR_E_NOMEM;
    return o->errors.n ? o->first_error : o->pairs.n ? CONCUR_E_OPTION : CONCUR_OK;
}

int cnc_options_resolve(struct cnc_options *o, struct cnc_config *out)
{
    struct cnc_section server = { CNC_SECTION_SERVER, "" };
    int rc = CONCUR_OK;
    memset(out, 0, sizeof *out);
    forget_patterns(o);
    cnc_text_reset(&o->pairs);
    for (size_t i = 0; i < cnc_option_count; i++) {
        const struct cnc_option_row *row = &cnc_option_rows[i];
        const struct cnc_option_value *v = cnc_options_find(o, server, row, CNC_LAYER_OVERRIDE);
        if (row->in_config == CNC_NO_MEMBER)
            continue;
        if (row->type == CNC_TYPE_LIST)
            rc = write_list(o, v, (void *)((char *)out + row->in_config));
        else
            write_value(row, v, (char *)out + row->in_config);
        if (rc != CONCUR_OK)
            return rc;
    }
    settle_autos(out);
    if (!o->errors.n)
        check_pairs(o, out);
    return what_resolve_says(o);
}

static int remember_pattern(struct cnc_options *o, const char *pattern)
{
    char **grown = cnc_realloc(o->patterns, (o->pattern_count + 1) * sizeof *grown);
    if (!grown)
        return cnc_error_set(CONCUR_E_NOMEM, "options: out of memory");
    o->patterns = grown;
    grown[o->pattern_count] = cnc_strdup(pattern);
    if (!grown[o->pattern_count])
        return cnc_error_set(CONCUR_E_NOMEM, "options: out of memory");
    o->pattern_count++;
    return CONCUR_OK;
}

int cnc_options_resolve_route(struct cnc_options *o, const char *pattern, struct cnc_route_config *out)
{
    struct cnc_section server = { CNC_SECTION_SERVER, "" }, route = { CNC_SECTION_ROUTE, pattern };
    memset(out, 0, sizeof *out);
    for (size_t i = 0; i < cnc_option_count; i++) {
        const struct cnc_option_row *row = &cnc_option_rows[i];
        if (row->in_route == CNC_NO_MEMBER)
            continue;
        const struct cnc_option_value *v = cnc_options_find(o, route, row, CNC_LAYER_OVERRIDE);
        if (!v)
            v = cnc_options_find(o, server, row, CNC_LAYER_OVERRIDE);
        write_value(row, v, (char *)out + row->in_route);
    }
    int rc = remember_pattern(o, pattern);
    return rc != CONCUR_OK ? rc : what_resolve_says(o);
}

const char *cnc_options_errors(const struct cnc_options *o)
{
    if (o->errors.failed || o->pairs.failed)
        return "out of memory\n";
    return o->errors.n ? o->errors.p : o->pairs.n ? o->pairs.p : "";
}
