/* SPDX-License-Identifier: MIT */
#include "base/text.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/sys.h"

CNC_HOT size_t cnc_decimal(char *out, uint64_t v)
{
    char digits[20];
    size_t n = 0;
    if (v < 10) {
        out[0] = (char)('0' + v);
        return 1;
    }
    if (v < 100) {
        out[0] = (char)('0' + v / 10);
        out[1] = (char)('0' + v % 10);
        return 2;
    }
    do {
        digits[n++] = (char)('0' + v % 10);
        v /= 10;
    } while (v);
    for (size_t i = 0; i < n; i++)
        out[i] = digits[n - 1 - i];
    return n;
}

bool cnc_parse_decimal(const char *p, size_t n, uint64_t max, uint64_t *out)
{
    uint64_t v = 0;
    if (n == 0)
        return false;
    for (size_t i = 0; i < n; i++) {
        if (!cnc_is_digit(p[i]))
            return false;
        uint64_t d = (uint64_t)(p[i] - '0');
        if (v > (max - d) / 10)
            return false;
        v = v * 10 + d;
    }
    *out = v;
    return true;
}

CNC_HOT void cnc_zero(void *p, size_t n)
{
    memset(p, 0, n);
}

/* ---- a text that grows ---- */

void cnc_text_add(struct cnc_text *t, const char *fmt, ...)
{
    va_list ap, again;
    va_start(ap, fmt);
    va_copy(again, ap);
    int n = t->failed ? -1 : vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    if (n >= 0 && t->n + (size_t)n >= t->cap) {
        size_t cap = (t->n + (size_t)n + 1) * 2;
        char *grown = cnc_realloc(t->p, cap);
        t->failed = !grown;
        t->p = grown ? grown : t->p;
        t->cap = grown ? cap : t->cap;
    }
    if (n >= 0 && !t->failed)
        t->n += (size_t)vsnprintf(t->p + t->n, t->cap - t->n, fmt, again);
    va_end(again);
}

void cnc_text_reset(struct cnc_text *t)
{
    cnc_free(t->p);
    memset(t, 0, sizeof *t);
}

void cnc_text_cut(struct cnc_text *t, size_t n)
{
    t->n = n;
    t->p[n] = '\0';
}

void cnc_text_make_printable(struct cnc_text *t, size_t start)
{
    for (size_t i = start; i < t->n; i++)
        if ((unsigned char)t->p[i] < 0x20 || t->p[i] == 0x7f)
            t->p[i] = '?';
}

void cnc_text_end_line(struct cnc_text *t, size_t start)
{
    cnc_text_make_printable(t, start);
    cnc_text_add(t, "\n");
}

char *cnc_text_take(struct cnc_text *t)
{
    char *p = t->p;
    if (t->failed) {
        cnc_text_reset(t);
        return NULL;
    }
    memset(t, 0, sizeof *t);
    return p;
}
