/* SPDX-License-Identifier: MIT */
#include "options/internal.h"

#define CNC_KIB INT64_C(1024)
#define CNC_MIB (1024 * CNC_KIB)
#define CNC_GIB (1024 * CNC_MIB)
#define CNC_TIB (1024 * CNC_GIB)
#define CNC_SECOND INT64_C(1000)
#define CNC_MINUTE (60 * CNC_SECOND)
#define CNC_HOUR (60 * CNC_MINUTE)
#define CNC_DAY (24 * CNC_HOUR)

#define CNC_PREFORK (1u << CONCUR_ENGINE_PREFORK)
#define CNC_THREAD (1u << CONCUR_ENGINE_THREAD)
#define CNC_EVENT (1u << CONCUR_ENGINE_EVENT)
#define CNC_PROCESS_THREAD (1u << CONCUR_ENGINE_PROCESS_THREAD)
#define CNC_PROCESS_EVENT (1u << CONCUR_ENGINE_PROCESS_EVENT)
#define CNC_EVENT_POOL (1u << CONCUR_ENGINE_EVENT_POOL)
#define CNC_THREADED (CNC_THREAD | CNC_PROCESS_THREAD)
#define CNC_LOOPED (CNC_EVENT | CNC_PROCESS_EVENT | CNC_EVENT_POOL)
#define CNC_ALL (CNC_PREFORK | CNC_THREADED | CNC_LOOPED)

#define BITS_START CNC_SCOPE_START
#define BITS_RELOAD CNC_SCOPE_RELOAD
#define BITS_ROUTE (CNC_SCOPE_RELOAD | CNC_SCOPE_ROUTE)
#define BITS_ROUTE_ONLY CNC_SCOPE_ROUTE

#define SERVER_START(name) offsetof(struct cnc_config, name)
#define SERVER_RELOAD(name) offsetof(struct cnc_config, name)
#define SERVER_ROUTE(name) offsetof(struct cnc_config, name)
#define SERVER_ROUTE_ONLY(name) CNC_NO_MEMBER
#define ROUTE_START(name) CNC_NO_MEMBER
#define ROUTE_RELOAD(name) CNC_NO_MEMBER
#define ROUTE_ROUTE(name) offsetof(struct cnc_route_config, name)
#define ROUTE_ROUTE_ONLY(name) offsetof(struct cnc_route_config, name)

const struct cnc_option_row cnc_option_rows[] = {
#define CNC_OPTION(id_, name_, type_, dflt_, min_, max_, unit_, scope_, engines_, doc_) \
    { .id = id_, \
      .name = #name_, \
      .type = CNC_TYPE_##type_, \
      .dflt = dflt_, \
      .min = min_, \
      .max = max_, \
      .unit = unit_, \
      .scope = BITS_##scope_, \
      .engines = engines_, \
      .doc = doc_, \
      .in_config = SERVER_##scope_(name_), \
      .in_route = ROUTE_##scope_(name_) },
#include "options/options.def"
};

const size_t cnc_option_count = CNC_COUNT(cnc_option_rows);

const struct cnc_option_row *cnc_option_row(const char *name)
{
    for (size_t i = 0; i < cnc_option_count; i++)
        if (strcmp(cnc_option_rows[i].name, name) == 0)
            return &cnc_option_rows[i];
    return NULL;
}

const char *cnc_option_nearest(const char *name, unsigned scope)
{
    struct cnc_nearest n;
    cnc_nearest_init(&n, name);
    for (size_t i = 0; i < cnc_option_count; i++)
        if (cnc_option_rows[i].scope & scope)
            cnc_nearest_try(&n, cnc_option_rows[i].name);
    return n.name;
}

const struct cnc_section_kind cnc_section_kinds[CNC_SECTIONS] = {
    [CNC_SECTION_SERVER] = { "", CNC_SCOPE_SERVER, NULL },
    [CNC_SECTION_ROUTE] = { "route", CNC_SCOPE_ROUTE, NULL },
    [CNC_SECTION_TLS] = { "tls", 0, "this version has no TLS: put a proxy in front that has it" },
    [CNC_SECTION_UPSTREAM] = { "upstream", 0, "this version makes no requests to other servers" },
};

/* An enumerator for each id, so that the compiler refuses an id that is used twice. */
enum {
#define CNC_OPTION(id, name, type, dflt, min, max, unit, scope, engines, doc) ID_##id,
#include "options/options.def"
    ID_COUNT
};
_Static_assert(ID_COUNT == CNC_COUNT(cnc_option_rows), "every row has an id of its own");

static const struct {
    const char *option;
    int64_t value;
    const char *name;
    bool shown;
} choices[] = {
#define CNC_CHOICE(option, value, name, shown) { #option, value, name, shown },
#include "options/options.def"
};

const char *cnc_option_choice(const char *option, int64_t value)
{
    for (size_t i = 0; i < CNC_COUNT(choices); i++)
        if (choices[i].value == value && strcmp(choices[i].option, option) == 0)
            return choices[i].name;
    return NULL;
}

bool cnc_option_choose(const char *option, const char *name, int64_t *out)
{
    for (size_t i = 0; i < CNC_COUNT(choices); i++) {
        if (strcmp(choices[i].name, name) == 0 && strcmp(choices[i].option, option) == 0) {
            *out = choices[i].value;
            return true;
        }
    }
    return false;
}

const char *cnc_option_nearest_choice(const char *option, const char *name)
{
    struct cnc_nearest n;
    cnc_nearest_init(&n, name);
    for (size_t i = 0; i < CNC_COUNT(choices); i++)
        if (choices[i].shown && strcmp(choices[i].option, option) == 0)
            cnc_nearest_try(&n, choices[i].name);
    return n.name;
}

unsigned cnc_section_find(const char *word)
{
    for (unsigned kind = 1; kind < CNC_SECTIONS; kind++)
        if (strcmp(word, cnc_section_kinds[kind].word) == 0)
            return kind;
    return 0;
}

void cnc_option_print_choices(const struct cnc_option_row *row, struct cnc_text *out)
{
    const char *comma = "";
    for (size_t i = 0; i < CNC_COUNT(choices); i++) {
        if (choices[i].shown && strcmp(choices[i].option, row->name) == 0) {
            cnc_text_add(out, "%s%s", comma, choices[i].name);
            comma = ", ";
        }
    }
}

const char *cnc_engine_name(int engine)
{
    return cnc_option_choice("engine", engine);
}

int cnc_engine_parse(const char *name)
{
    int64_t engine;
    return name && cnc_option_choose("engine", name, &engine) ? (int)engine : CONCUR_E_INVAL;
}
