/* SPDX-License-Identifier: MIT
 *
 * Shared by the files of this folder only.
 */
#ifndef CNC_OPTIONS_INTERNAL_H
#define CNC_OPTIONS_INTERNAL_H

#include <concur/types.h>

#include "base/text.h"
#include "options/config.h"
#include "options/options.h"

enum cnc_option_type {
    CNC_TYPE_BOOL = 1,
    CNC_TYPE_INT = 2,
    CNC_TYPE_AUTO = 3,
    CNC_TYPE_SIZE = 4,
    CNC_TYPE_TIME = 5,
    CNC_TYPE_STRING = 6,
    CNC_TYPE_ENUM = 7,
    CNC_TYPE_LIST = 8
};

/* Bits: where an option may be set (options.def). */
enum cnc_option_scope { CNC_SCOPE_START = 1, CNC_SCOPE_RELOAD = 2, CNC_SCOPE_ROUTE = 4 };

#define CNC_SCOPE_SERVER (CNC_SCOPE_START | CNC_SCOPE_RELOAD)

#define CNC_NO_MEMBER SIZE_MAX

struct cnc_option_row {
    unsigned id;
    const char *name;
    enum cnc_option_type type;
    const char *dflt;
    int64_t min, max;
    const char *unit;
    unsigned scope;   /* bits of enum cnc_option_scope */
    unsigned engines; /* bit 1 << CONCUR_ENGINE_x for each engine that uses it */
    const char *doc;
    size_t in_config, in_route; /* offset of its member, or CNC_NO_MEMBER */
};

extern const struct cnc_option_row cnc_option_rows[];
extern const size_t cnc_option_count;

/* A section: the server itself, or a kind with a title. */
struct cnc_section_kind {
    const char *word;    /* "" for the server */
    unsigned scope;      /* which options may be set there */
    const char *missing; /* what this version lacks for it, so that it is refused; NULL: nothing */
};

enum { CNC_SECTION_SERVER = 0, CNC_SECTION_ROUTE = 1, CNC_SECTION_TLS = 2, CNC_SECTION_UPSTREAM = 3, CNC_SECTIONS = 4 };

extern const struct cnc_section_kind cnc_section_kinds[CNC_SECTIONS];

struct cnc_section {
    unsigned kind;
    const char *title; /* "" for the server */
};

/* One value of one layer. */
struct cnc_option_value {
    struct cnc_option_value *next;
    const struct cnc_option_row *row;
    enum cnc_layer layer;
    struct cnc_section section; /* its title, text and origin are in the same allocation */
    const char *text, *origin;
    int64_t number; /* BOOL, numbers, ENUM */
};

struct cnc_options {
    struct cnc_option_value *first, **tail; /* owned; in the order they were set */
    const char **listen;                    /* owned; items of the last resolved config */
    struct cnc_text errors;             /* a line about each refused value; none is ever removed */
    int first_error;                    /* code of the first of them; CONCUR_OK: none */
    struct cnc_text pairs;              /* lines of the last resolve about values that do not fit together */
    struct cnc_text *notes;             /* owned */
    struct cnc_text near_variables, variables; /* about variables that name no option: mistyped; others */
    char **patterns;                    /* owned; routes resolved since the last cnc_options_resolve() */
    size_t pattern_count;
};

/* options.c */
/* The value in force for a row in a section, from the layers up to top; NULL: the default. For a LIST, its first
 * value. */
const struct cnc_option_value *cnc_options_find(const struct cnc_options *o, struct cnc_section section,
                                                const struct cnc_option_row *row, enum cnc_layer top);
/* The next value of the list that v belongs to, or NULL. */
const struct cnc_option_value *cnc_options_next(const struct cnc_option_value *v);
/* Is v the first value of its section, which is not the server? */
bool cnc_option_is_first_of_section(const struct cnc_options *o, const struct cnc_option_value *v);
int cnc_options_set_in(struct cnc_options *o, enum cnc_layer layer, struct cnc_section section, const char *name,
                       const char *value, const char *origin);
/* Adds a line "NAME=VALUE (ORIGIN): why" to the errors, or "NAME (ORIGIN): why" when value is NULL, or "ORIGIN: why"
 * when name is "" too. Returns code, or CONCUR_E_NOMEM. */
int cnc_options_fail(struct cnc_options *o, int code, struct cnc_section section, const char *name, const char *value,
                     const char *origin, const char *fmt, ...) CNC_PRINTF(7, 8);
/* Removes all values of a layer. */
void cnc_options_drop(struct cnc_options *o, enum cnc_layer layer);

/* mistakes.c: the mistakes of one file. */
#define CNC_MISTAKES_MAX 100 /* mistakes of a file that are reported */
#define CNC_TITLE_MAX 256    /* room for a name or a title in a message */
#define CNC_ORIGIN_MAX 320   /* room for path and line */

struct cnc_options_mistake {
    int line;
    size_t at, n; /* its line among the errors */
    int code;
};

struct cnc_options_file {
    struct cnc_options *o;
    const char *path;
    int rc; /* of the first mistake */
    struct cnc_options_mistake mistakes[CNC_MISTAKES_MAX + 1];
    unsigned mistake_count;
};

/* Were CNC_MISTAKES_MAX mistakes reported already? The first call that returns true adds a line that says so. */
bool cnc_options_file_is_enough(struct cnc_options_file *f);
/* Adds an error as cnc_options_fail() does, with file and line as its origin. */
void cnc_options_file_tell(struct cnc_options_file *f, int line, int code, struct cnc_section section, const char *name,
                           const char *value, const char *why);
/* The same for a name that cannot be set in this section. */
void cnc_options_file_refuse_name(struct cnc_options_file *f, int line, struct cnc_section section, const char *name);
/* Notes a mistake that was added to the errors, where its line begins at `at`. */
void cnc_options_file_remember(struct cnc_options_file *f, int line, size_t at, int code);
/* The syntax and the values are checked in two passes. Sorts the errors of both, which begin at start, by line.
 * is_first: there was no error before. */
void cnc_options_file_sort(struct cnc_options_file *f, size_t start, bool is_first);
/* "PATH:LINE" */
const char *cnc_options_file_origin(const struct cnc_options_file *f, int line, char out[CNC_ORIGIN_MAX]);

/* scan.c: reports all mistakes in a file's text except in values, and overwrites what libconfuse would not understand
 * by spaces. */
void cnc_options_scan(struct cnc_options_file *f, char *text);

/* names.c: finds the candidate that is nearest to what was typed. name is NULL if none is near. */
struct cnc_nearest {
    const char *typed, *name;
    size_t distance;
};
void cnc_nearest_init(struct cnc_nearest *n, const char *typed);
void cnc_nearest_try(struct cnc_nearest *n, const char *candidate);

/* parse.c */
/* Parses a value. CONCUR_OK; CONCUR_E_OPTION, and err says what is allowed; or CONCUR_E_UNSUPPORTED, and err says what
 * is missing. */
int cnc_option_parse(const struct cnc_option_row *row, const char *text, int64_t *out, struct cnc_text *err);
/* Prints a number as cnc_option_parse() reads it, in the largest unit that is exact. */
void cnc_option_print(const struct cnc_option_row *row, int64_t number, struct cnc_text *out);

/* table.c */
const struct cnc_option_row *cnc_option_row(const char *name);
/* The name of this scope that is nearest to a mistyped one; NULL: none is near. */
const char *cnc_option_nearest(const char *name, unsigned scope);
/* The name of an ENUM's value, and the value of a name. NULL or false: there is none. */
const char *cnc_option_choice(const char *option, int64_t value);
bool cnc_option_choose(const char *option, const char *name, int64_t *out);
/* The kind of section that begins with this word; 0: none. */
unsigned cnc_section_find(const char *word);
/* The name of an ENUM's value that is nearest to a mistyped one; NULL: none is near. */
const char *cnc_option_nearest_choice(const char *option, const char *name);
/* "a, b, c" */
void cnc_option_print_choices(const struct cnc_option_row *row, struct cnc_text *out);

#endif
