/* SPDX-License-Identifier: MIT
 *
 * Lines about options that are valid but probably mistakes, such as one that the engine does not use.
 */
#include "options/internal.h"

#define SEVERAL_PROCESSES                                                                                              \
    (1u << CONCUR_ENGINE_PREFORK | 1u << CONCUR_ENGINE_PROCESS_THREAD | 1u << CONCUR_ENGINE_PROCESS_EVENT)

/* The program's code may set options for all engines that it may use. Those of file, environment and command line are
 * meant for this run. */
static bool is_for_this_run(const struct cnc_option_value *v)
{
    return v->layer >= CNC_LAYER_FILE;
}

static const struct cnc_option_value *in_force(const struct cnc_options *o, const char *name)
{
    struct cnc_section server = { CNC_SECTION_SERVER, "" };
    return cnc_options_find(o, server, cnc_option_row(name), CNC_LAYER_OVERRIDE);
}

/* What is missing for the option to have an effect; NULL: nothing. */
static const char *lacks(const struct cnc_options *o, const struct cnc_option_row *row, unsigned engine)
{
    static const char *const of_master[] = { "requests_per_worker", "start_timeout", "stuck_timeout",
                                             "fork_with_threads" };
    const struct cnc_option_value *master = in_force(o, "master"), *threads = in_force(o, "pool_threads");
    bool has_pool = threads && threads->number >= 0 ? threads->number > 0 : engine == CONCUR_ENGINE_EVENT_POOL;
    for (size_t i = 0; i < CNC_COUNT(of_master); i++)
        if (strcmp(row->name, of_master[i]) == 0 && !(SEVERAL_PROCESSES >> engine & 1) && !(master && master->number))
            return "a master (option master)";
    return strcmp(row->name, "pool_queue_max") == 0 && !has_pool ? "a pool (option pool_threads)" : NULL;
}

static void note_value(const struct cnc_options *o, const struct cnc_option_value *v, int64_t engine, bool warn,
                       struct cnc_text *t)
{
    const struct cnc_option_row *row = v->row;
    const char *missing = lacks(o, row, (unsigned)engine);
    size_t start = t->n;
    if (v->layer == CNC_LAYER_ENV && !warn) {
        cnc_text_add(t, "%s=%s: set by %s in the environment", row->name, v->text, v->origin);
        cnc_text_end_line(t, start);
    }
    if (is_for_this_run(v) != warn)
        return;
    start = t->n;
    if (!(row->engines >> engine & 1))
        cnc_text_add(t, "%s=%s (%s): has no effect on the engine %s", row->name, v->text, v->origin,
                     cnc_engine_name((int)engine));
    else if (missing)
        cnc_text_add(t, "%s=%s (%s): has no effect without %s", row->name, v->text, v->origin, missing);
    if (t->n > start)
        cnc_text_end_line(t, start);
}

static void note_section(const struct cnc_options *o, const struct cnc_option_value *v, struct cnc_text *t)
{
    struct cnc_nearest nearest;
    size_t start = t->n;
    cnc_nearest_init(&nearest, v->section.title);
    for (size_t i = 0; i < o->pattern_count; i++) {
        if (strcmp(o->patterns[i], v->section.title) == 0)
            return;
        cnc_nearest_try(&nearest, o->patterns[i]);
    }
    cnc_text_add(t, "route \"%s\" (%s): the program has no such route", v->section.title, v->origin);
    if (nearest.name)
        cnc_text_add(t, "; did you mean \"%s\"?", nearest.name);
    cnc_text_end_line(t, start);
}

/* Adds the warnings, or the other notes. */
static void options_notes_collect(const struct cnc_options *o, bool warn, struct cnc_text *t)
{
    struct cnc_section server = { CNC_SECTION_SERVER, "" };
    const struct cnc_option_value *v = in_force(o, "engine");
    int64_t engine = v ? v->number : CONCUR_ENGINE_EVENT_POOL;
    for (size_t i = 0; i < cnc_option_count; i++)
        for (v = cnc_options_find(o, server, &cnc_option_rows[i], CNC_LAYER_OVERRIDE); v; v = cnc_options_next(v))
            note_value(o, v, engine, warn, t);
    for (v = warn && o->pattern_count ? o->first : NULL; v; v = v->next)
        if (v->section.kind == CNC_SECTION_ROUTE && cnc_option_is_first_of_section(o, v))
            note_section(o, v, t);
    const struct cnc_text *variables = warn ? &o->near_variables : &o->variables;
    t->failed |= variables->failed;
    if (variables->n && !variables->failed)
        cnc_text_add(t, "%s", variables->p);
}

const char *cnc_options_notes(const struct cnc_options *o, enum cnc_notes which)
{
    struct cnc_text *t = o->notes;
    cnc_text_reset(t);
    if (which != CNC_NOTES_REST)
        options_notes_collect(o, true, t);
    if (which != CNC_NOTES_WARNINGS)
        options_notes_collect(o, false, t);
    return t->failed ? "out of memory\n" : t->p ? t->p : "";
}
