/* SPDX-License-Identifier: MIT
 *
 * The mistakes of a configuration file: each is reported once, with its line, up to a number.
 */
#include "options/internal.h"

#include <limits.h>
#include <stdio.h>

#include "base/sys.h"

#ifdef CNC_WITH_CONFUSE

void cnc_options_file_remember(struct cnc_options_file *f, int line, size_t at, int code)
{
    size_t n = f->o->errors.n - at;
    if (n)
        f->mistakes[f->mistake_count++] = (struct cnc_options_mistake){ line, at, n, code };
    f->rc = f->rc ? f->rc : code;
}

bool cnc_options_file_is_enough(struct cnc_options_file *f)
{
    if (f->mistake_count < CNC_MISTAKES_MAX)
        return false;
    if (f->mistake_count == CNC_MISTAKES_MAX) {
        struct cnc_section server = { CNC_SECTION_SERVER, "" };
        size_t at = f->o->errors.n;
        int rc = cnc_options_fail(f->o, CONCUR_E_OPTION, server, "", NULL, f->path,
                                  "more than %d mistakes: the others are not shown", CNC_MISTAKES_MAX);
        cnc_options_file_remember(f, INT_MAX, at, rc);
    }
    return true;
}

const char *cnc_options_file_origin(const struct cnc_options_file *f, int line, char out[CNC_ORIGIN_MAX])
{
    (void)snprintf(out, CNC_ORIGIN_MAX, "%.300s:%d", f->path, line);
    return out;
}

void cnc_options_file_tell(struct cnc_options_file *f, int line, int code, struct cnc_section section, const char *name,
                           const char *value, const char *why)
{
    char origin[CNC_ORIGIN_MAX];
    if (cnc_options_file_is_enough(f))
        return;
    size_t at = f->o->errors.n;
    (void)cnc_options_file_origin(f, line, origin);
    cnc_options_file_remember(f, line, at, cnc_options_fail(f->o, code, section, name, value, origin, "%s", why));
}

void cnc_options_file_refuse_name(struct cnc_options_file *f, int line, struct cnc_section section, const char *name)
{
    char origin[CNC_ORIGIN_MAX];
    if (cnc_options_file_is_enough(f))
        return;
    size_t at = f->o->errors.n;
    (void)cnc_options_file_origin(f, line, origin);
    cnc_options_file_remember(f, line, at, cnc_options_set_in(f->o, CNC_LAYER_FILE, section, name, "", origin));
}

void cnc_options_file_sort(struct cnc_options_file *f, size_t start, bool is_first)
{
    struct cnc_options_mistake *m = f->mistakes;
    struct cnc_text *errors = &f->o->errors;
    for (unsigned i = 1; i < f->mistake_count; i++)
        for (unsigned k = i; k > 0 && m[k - 1].line > m[k].line; k--) {
            struct cnc_options_mistake later = m[k - 1];
            m[k - 1] = m[k];
            m[k] = later;
        }
    char *sorted = f->mistake_count > 1 && !errors->failed ? cnc_malloc(errors->n - start) : NULL;
    if (!sorted)
        return; /* unsorted */
    size_t n = 0;
    for (unsigned i = 0; i < f->mistake_count; n += m[i++].n)
        memcpy(sorted + n, errors->p + m[i].at, m[i].n);
    memcpy(errors->p + start, sorted, n);
    cnc_free(sorted);
    f->rc = m[0].code;
    if (is_first)
        f->o->first_error = m[0].code;
}

#endif
