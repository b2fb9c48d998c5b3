/* SPDX-License-Identifier: MIT
 *
 * CONCUR_* variables.
 */
#include "options/internal.h"

#include <stdlib.h>
#include <sys/auxv.h>
#include <unistd.h>

#include "base/error.h"
#include "base/sys.h"

#define VARIABLE_MAX 64

/* "threads_max" -> "CONCUR_THREADS_MAX" */
static void variable_name(const char *option, char out[VARIABLE_MAX])
{
    size_t n = sizeof "CONCUR_" - 1;
    memcpy(out, "CONCUR_", n);
    for (; *option && n < VARIABLE_MAX - 1; option++)
        out[n++] = (char)(*option >= 'a' && *option <= 'z' ? *option - 0x20 : *option);
    out[n] = '\0';
}

/* The value from the other layers. The override is one of them, although it comes later, since it wins. */
static const struct cnc_option_value *others_say(const struct cnc_options *o, const char *option)
{
    struct cnc_section server = { CNC_SECTION_SERVER, "" };
    return cnc_options_find(o, server, cnc_option_row(option), CNC_LAYER_OVERRIDE);
}

static bool is_meant(const struct cnc_options *o)
{
    const struct cnc_option_value *environment = others_say(o, "environment"), *name = others_say(o, "name");
    const char *wanted = secure_getenv("CONCUR_SERVER");
    if (environment && !environment->number)
        return false;
    return !wanted || !*wanted || strcmp(wanted, name ? name->text : "") == 0;
}

/* Sets "a, b" as two values, without the spaces around them. */
static int set_items(struct cnc_options *o, const char *option, const char *items, const char *variable)
{
    struct cnc_section server = { CNC_SECTION_SERVER, "" };
    int rc = CONCUR_OK;
    while (*items) {
        size_t n = strcspn(items, ",");
        size_t first = strspn(items, " \t"), last = n;
        while (last > first && (items[last - 1] == ' ' || items[last - 1] == '\t'))
            last--;
        char *item = first < n ? cnc_strndup(items + first, last - first) : cnc_strdup("");
        if (!item)
            return cnc_error_set(CONCUR_E_NOMEM, "%s: out of memory", variable);
        int one = cnc_options_set_in(o, CNC_LAYER_ENV, server, option, item, variable);
        cnc_free(item);
        rc = rc == CONCUR_OK ? one : rc;
        items += n + (items[n] == ',');
    }
    return rc;
}

/* Is there a variable for this option? */
static bool is_read(const char *option)
{
    const struct cnc_option_row *row = cnc_option_row(option);
    if (row)
        return row->in_config != CNC_NO_MEMBER && row->in_config != offsetof(struct cnc_config, environment);
    return strcmp(option, "server") == 0;
}

/* variable: "CONCUR_TREADS_MAX=3", of which option is "treads_max". */
static void note_unknown(struct cnc_options *o, const char *variable, size_t n, const char *option)
{
    const char *nearest = cnc_option_nearest(option, CNC_SCOPE_SERVER);
    char meant[VARIABLE_MAX];
    struct cnc_text *to = cnc_option_row(option) || nearest ? &o->near_variables : &o->variables;
    size_t start = to->n;
    if (cnc_option_row(option)) {
        cnc_text_add(to, "%.*s: has no effect; set it in the program or its file", (int)n, variable);
    } else if (nearest) {
        variable_name(nearest, meant);
        cnc_text_add(to, "%.*s: no such option; did you mean %s?", (int)n, variable, meant);
    } else {
        cnc_text_add(to, "%.*s: names no option", (int)n, variable);
    }
    cnc_text_end_line(to, start);
}

static void look_for_unknown(struct cnc_options *o)
{
    static const char prefix[] = "CONCUR_";
    for (char **v = environ; v && *v; v++) {
        size_t n = strcspn(*v, "=");
        char option[VARIABLE_MAX];
        if (strncmp(*v, prefix, sizeof prefix - 1) != 0 || n >= VARIABLE_MAX || !(*v)[n] || !(*v)[n + 1])
            continue;
        size_t len = n - (sizeof prefix - 1);
        for (size_t i = 0; i < len; i++)
            option[i] = cnc_lower((*v)[sizeof prefix - 1 + i]);
        option[len] = '\0';
        if (!is_read(option))
            note_unknown(o, *v, n, option);
    }
}

int cnc_options_load_env(struct cnc_options *o)
{
    struct cnc_section server = { CNC_SECTION_SERVER, "" };
    int rc = CONCUR_OK;
    cnc_options_drop(o, CNC_LAYER_ENV);
    cnc_text_reset(&o->near_variables);
    cnc_text_reset(&o->variables);
    if (!is_meant(o))
        return CONCUR_OK;
    if (!getauxval(AT_SECURE))
        look_for_unknown(o);
    for (size_t i = 0; i < cnc_option_count; i++) {
        const struct cnc_option_row *row = &cnc_option_rows[i];
        char variable[VARIABLE_MAX];
        int one = CONCUR_OK;
        variable_name(row->name, variable);
        const char *value = secure_getenv(variable);
        if (!value || !*value || row->in_config == CNC_NO_MEMBER ||
            row->in_config == offsetof(struct cnc_config, environment))
            continue;
        if (row->type == CNC_TYPE_LIST)
            one = set_items(o, row->name, value, variable);
        else
            one = cnc_options_set_in(o, CNC_LAYER_ENV, server, row->name, value, variable);
        rc = rc == CONCUR_OK ? one : rc;
    }
    return rc;
}
