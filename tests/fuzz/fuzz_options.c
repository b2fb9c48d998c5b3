/* SPDX-License-Identifier: MIT
 *
 * Options by name, in a file and in the environment: no text does harm; a value that is refused is told with the name of
 * its option; and what is in force, printed, is a file that is accepted and gives the same.
 *
 * An input is lines, up to one that is "---"; a configuration file follows. A line is "name=value", "[route X]name=value",
 * or "$NAME=value" for a variable CONCUR_NAME. Its first byte is left out where it is one of 1 to 4: the layer.
 * A name of one byte from 0x80 on stands for an option, by its place in the table.
 */
#include "fuzz.h"

#include <strings.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/error.h"
#include "options/internal.h"

#define NAMES_MAX 16

#ifdef CNC_WITH_CONFUSE
static const bool reads_files = true;
#else
static const bool reads_files = false;
#endif

static char *names[NAMES_MAX]; /* variables that are set */
static unsigned name_count;
static char path[64]; /* of a file in memory */
static int file = -1;

static void write_file(struct cnc_slice text)
{
    if (file < 0) {
        file = memfd_create("fuzz_options", MFD_CLOEXEC);
        FUZZ_ENSURE(file >= 0);
        snprintf(path, sizeof path, "/proc/self/fd/%d", file);
    }
    FUZZ_ENSURE(ftruncate(file, 0) == 0);
    FUZZ_ENSURE(pwrite(file, text.p, text.n, 0) == (ssize_t)text.n);
}

/* ---- what is told ---- */

/* Each error is a line of printable text. */
static void expect_lines(const char *text)
{
    size_t n = strlen(text);
    FUZZ_ENSURE(n == 0 || text[n - 1] == '\n');
    for (size_t i = 0; i < n; i++)
        FUZZ_ENSURE(text[i] == '\n' ? i > 0 && text[i - 1] != '\n' : (unsigned char)text[i] >= 0x20 && text[i] != 0x7f);
}

static void expect_named(const struct cnc_options *o, const char *name)
{
    char shown[101];
    snprintf(shown, sizeof shown, "%s", name);
    for (char *p = shown; *p; p++)
        *p = (unsigned char)*p < 0x20 || *p == 0x7f ? '?' : *p;
    FUZZ_ENSURE(strstr(cnc_options_errors(o), shown));
}

static void expect_rc(const struct cnc_options *o, int rc, const char *name)
{
    const char *errors = cnc_options_errors(o);
    FUZZ_ENSURE(rc == CONCUR_OK || rc == CONCUR_E_OPTION || rc == CONCUR_E_UNSUPPORTED);
    FUZZ_ENSURE(rc == CONCUR_OK || *errors);
    expect_lines(errors);
    if (rc != CONCUR_OK)
        expect_named(o, name);
}

/* ---- values ---- */

/* A number with a suffix of its type, read in another way. */
static int64_t plain_number(const struct cnc_option_row *row, const char *text)
{
    static const struct {
        enum cnc_option_type type;
        const char *suffix;
        uint64_t factor;
    } suffixes[] = { { CNC_TYPE_SIZE, "k", 1 << 10 }, { CNC_TYPE_SIZE, "m", 1 << 20 }, { CNC_TYPE_SIZE, "g", 1 << 30 },
                     { CNC_TYPE_TIME, "ms", 1 },      { CNC_TYPE_TIME, "s", 1000 },    { CNC_TYPE_TIME, "m", 60000 },
                     { CNC_TYPE_TIME, "h", 3600000 } };
    if (row->type == CNC_TYPE_AUTO && strcasecmp(text, "auto") == 0)
        return row->min - 1;
    char *end;
    uint64_t v = strtoull(text, &end, 10);
    FUZZ_ENSURE(cnc_is_digit(text[0]) && v < UINT64_C(1) << 48);
    for (size_t i = 0; i < CNC_COUNT(suffixes); i++)
        if (suffixes[i].type == row->type && strcasecmp(suffixes[i].suffix, end) == 0)
            return (int64_t)(v * suffixes[i].factor);
    FUZZ_ENSURE(*end == '\0' && (row->type != CNC_TYPE_TIME || v == 0)); /* a time has a unit */
    return (int64_t)v;
}

/* Each that was accepted is what its text says, and within its bounds. */
static void expect_values(const struct cnc_options *o)
{
    for (const struct cnc_option_value *v = o->first; v; v = v->next) {
        const struct cnc_option_row *row = v->row;
        if (row->type == CNC_TYPE_INT || row->type == CNC_TYPE_AUTO || row->type == CNC_TYPE_SIZE || row->type == CNC_TYPE_TIME) {
            FUZZ_ENSURE(v->number == plain_number(row, v->text));
            FUZZ_ENSURE(v->number <= row->max && v->number >= row->min - (row->type == CNC_TYPE_AUTO));
        } else if (row->type == CNC_TYPE_STRING) {
            FUZZ_ENSURE(strlen(v->text) <= (size_t)row->max);
        }
        FUZZ_ENSURE(row->scope & cnc_section_kinds[v->section.kind].scope);
    }
}

/* ---- setting ---- */

static void set_variable(const char *name, const char *value)
{
    char *variable = malloc(strlen(name) + sizeof "CONCUR_");
    FUZZ_ENSURE(variable);
    sprintf(variable, "CONCUR_%s", name);
    if (name_count == NAMES_MAX || setenv(variable, value, 1) < 0)
        free(variable);
    else
        names[name_count++] = variable;
}

static void unset_variables(void)
{
    while (name_count) {
        unsetenv(names[--name_count]);
        free(names[name_count]);
    }
}

static void set_line(struct cnc_options *o, struct cnc_slice line)
{
    enum cnc_layer layer = CNC_LAYER_CODE;
    if (line.n && line.p[0] >= CNC_LAYER_CODE && line.p[0] <= CNC_LAYER_OVERRIDE) {
        layer = (enum cnc_layer)line.p[0];
        line = (struct cnc_slice){ line.p + 1, line.n - 1 };
    }
    char *text = fuzz_text(line), *name = text, *section = NULL;
    char *close = text[0] == '[' ? strchr(text, ']') : NULL;
    if (close) {
        *close = '\0';
        section = text + 1;
        name = close + 1;
    }
    char *value = strchr(name, '=');
    if (value) {
        *value++ = '\0';
        if ((unsigned char)name[0] >= 0x80 && !name[1])
            name = (char *)(uintptr_t)cnc_option_rows[((unsigned char)name[0] - 0x80) % cnc_option_count].name;
        char *exact = fuzz_text((struct cnc_slice){ value, strlen(value) });
        if (name[0] == '$')
            set_variable(name + 1, exact);
        else
            expect_rc(o, cnc_options_set(o, layer, section, name, exact, NULL), name);
        free(exact);
    }
    free(text);
}

static void load_file(struct cnc_options *o, struct cnc_slice text)
{
    write_file(text);
    int rc = cnc_options_load_file(o, path);
    expect_rc(o, rc, path);
    const char *wrong = rc == CONCUR_OK ? NULL : strstr(cnc_options_errors(o), path);
    FUZZ_ENSURE(rc == CONCUR_OK || wrong); /* it says in which file */
}

/* ---- printing ---- */

static void expect_member(const struct cnc_option_row *row, const void *a, const void *b)
{
    if (row->type == CNC_TYPE_BOOL)
        FUZZ_ENSURE(*(const bool *)a == *(const bool *)b);
    else if (row->type == CNC_TYPE_ENUM)
        FUZZ_ENSURE(*(const int *)a == *(const int *)b);
    else if (row->type == CNC_TYPE_STRING)
        FUZZ_ENSURE(strcmp(*(const char *const *)a, *(const char *const *)b) == 0);
    else if (row->type != CNC_TYPE_LIST)
        FUZZ_ENSURE(*(const int64_t *)a == *(const int64_t *)b);
}

static void expect_same(const struct cnc_config *a, const struct cnc_config *b)
{
    FUZZ_ENSURE(a->listen.count == b->listen.count);
    for (size_t i = 0; i < a->listen.count; i++)
        FUZZ_ENSURE(strcmp(a->listen.items[i], b->listen.items[i]) == 0);
    for (size_t i = 0; i < cnc_option_count; i++) {
        size_t at = cnc_option_rows[i].in_config;
        if (at != CNC_NO_MEMBER)
            expect_member(&cnc_option_rows[i], (const char *)a + at, (const char *)b + at);
    }
}

static void expect_same_route(struct cnc_options *a, struct cnc_options *b, const char *pattern)
{
    struct cnc_route_config of_a, of_b;
    FUZZ_ENSURE(cnc_options_resolve_route(a, pattern, &of_a) == CONCUR_OK);
    FUZZ_ENSURE(cnc_options_resolve_route(b, pattern, &of_b) == CONCUR_OK);
    for (size_t i = 0; i < cnc_option_count; i++) {
        size_t at = cnc_option_rows[i].in_route;
        if (at != CNC_NO_MEMBER)
            expect_member(&cnc_option_rows[i], (const char *)&of_a + at, (const char *)&of_b + at);
    }
}

/* What is in force, as a file, is in force again. */
static void expect_again(struct cnc_options *o, const struct cnc_config *cfg, const char *dump)
{
    struct cnc_options *again = cnc_options_create();
    struct cnc_config other;
    FUZZ_ENSURE(again);
    write_file((struct cnc_slice){ dump, strlen(dump) });
    int rc = cnc_options_load_file(again, path);
    if (rc != CONCUR_OK)
        fprintf(stderr, "%s\nof\n%s", cnc_options_errors(again), dump);
    FUZZ_ENSURE(rc == CONCUR_OK);
    rc = cnc_options_resolve(again, &other);
    FUZZ_ENSURE(rc == CONCUR_OK);
    expect_same(cfg, &other);
    for (const struct cnc_option_value *v = o->first; v; v = v->next)
        if (v->section.kind == CNC_SECTION_ROUTE)
            expect_same_route(o, again, v->section.title);
    cnc_options_destroy(&again);
}

static void print(struct cnc_options *o)
{
    struct cnc_config cfg;
    expect_values(o);
    int rc = cnc_options_resolve(o, &cfg);
    FUZZ_ENSURE(rc == CONCUR_OK || *cnc_options_errors(o));
    FUZZ_ENSURE(rc != CONCUR_OK || !*cnc_options_errors(o));
    expect_lines(cnc_options_errors(o));
    expect_lines(cnc_options_notes(o, CNC_NOTES_ALL));
    char *dump = cnc_options_dump(o, &cfg);
    FUZZ_ENSURE(dump);
    if (rc == CONCUR_OK && reads_files)
        expect_again(o, &cfg, dump);
    free(dump);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_input in = { data, size };
    struct cnc_options *o = cnc_options_create();
    FUZZ_ENSURE(o);
    while (in.n) {
        struct cnc_slice line = fuzz_line(&in);
        if (cnc_slice_equal(line, CNC_SLICE("---"))) {
            load_file(o, fuzz_take(&in, in.n));
            break;
        }
        set_line(o, line);
    }
    int rc = cnc_options_load_env(o);
    FUZZ_ENSURE(rc == CONCUR_OK || strstr(cnc_options_errors(o), "CONCUR_")); /* it says in which variable */
    print(o);
    struct cnc_options *copy = cnc_options_copy(o, CNC_LAYERS_SAID | 1u << CNC_LAYER_ENV);
    FUZZ_ENSURE(copy);
    print(copy);
    cnc_options_destroy(&copy);
    cnc_options_destroy(&o);
    unset_variables();
    return 0;
}
