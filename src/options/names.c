/* SPDX-License-Identifier: MIT
 *
 * Finds the name that a mistyped one probably means.
 */
#include "options/internal.h"

#define NAME_MAX_LEN 64

/* How many insertions, deletions and replacements turn a into b. Both are shorter than NAME_MAX_LEN. */
static size_t edit_distance(const char *a, const char *b)
{
    size_t row[NAME_MAX_LEN];
    size_t n = strlen(b);
    for (size_t j = 0; j <= n; j++)
        row[j] = j;
    for (size_t i = 1; a[i - 1]; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= n; j++) {
            size_t best = diagonal + (cnc_lower(a[i - 1]) != cnc_lower(b[j - 1]));
            if (row[j] + 1 < best)
                best = row[j] + 1;
            if (row[j - 1] + 1 < best)
                best = row[j - 1] + 1;
            diagonal = row[j];
            row[j] = best;
        }
    }
    return row[n];
}

void cnc_nearest_init(struct cnc_nearest *n, const char *typed)
{
    size_t len = strnlen(typed, NAME_MAX_LEN);
    *n = (struct cnc_nearest){ .typed = typed };
    if (len < NAME_MAX_LEN)
        n->distance = len / 3 < 2 ? 3 : len / 3 + 1; /* with a larger distance it is not a typing mistake */
}

void cnc_nearest_try(struct cnc_nearest *n, const char *candidate)
{
    size_t d = n->distance && strnlen(candidate, NAME_MAX_LEN) < NAME_MAX_LEN ? edit_distance(n->typed, candidate)
                                                                              : n->distance;
    if (d < n->distance) {
        n->distance = d;
        n->name = candidate;
    }
}
