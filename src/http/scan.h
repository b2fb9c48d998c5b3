/* SPDX-License-Identifier: MIT
 *
 * Finds the end of a run of bytes of one class: sixteen bytes at a time if the processor has SSE2, else by table. Private to
 * src/http.
 */
#ifndef CNC_HTTP_SCAN_H
#define CNC_HTTP_SCAN_H

#include "http/chars.h"

#if defined(__SSE2__)
#include <emmintrin.h>

static inline unsigned cnc_scan_lf_mask(const char *p)
{
    const __m128i v = _mm_loadu_si128((const __m128i *)(const void *)p);
    return (unsigned)_mm_movemask_epi8(_mm_cmpeq_epi8(v, _mm_set1_epi8('\n')));
}

/* Bits of the bytes that no field value may hold: those below SP except HTAB, and DEL. */
static inline unsigned cnc_scan_value_mask(const char *p)
{
    const __m128i v = _mm_loadu_si128((const __m128i *)(const void *)p);
    const __m128i low = _mm_cmpeq_epi8(_mm_min_epu8(v, _mm_set1_epi8(0x1f)), v);
    const __m128i bad = _mm_andnot_si128(_mm_cmpeq_epi8(v, _mm_set1_epi8('\t')), low);
    return (unsigned)_mm_movemask_epi8(_mm_or_si128(bad, _mm_cmpeq_epi8(v, _mm_set1_epi8(0x7f))));
}

/* Bits of the bytes that end a run of target characters: SP and below, DEL and above, "#", and stop. */
static inline unsigned cnc_scan_target_mask(const char *p, char stop)
{
    const __m128i v = _mm_loadu_si128((const __m128i *)(const void *)p);
    /* signed comparison: bytes from 0x80 are negative, so "not above SP" covers them */
    const __m128i visible = _mm_cmpgt_epi8(v, _mm_set1_epi8(0x20));
    __m128i end = _mm_or_si128(_mm_cmpeq_epi8(v, _mm_set1_epi8(0x7f)), _mm_cmpeq_epi8(v, _mm_set1_epi8('#')));
    end = _mm_or_si128(end, _mm_cmpeq_epi8(v, _mm_set1_epi8(stop)));
    return ((unsigned)_mm_movemask_epi8(visible) ^ 0xffffu) | (unsigned)_mm_movemask_epi8(end);
}
#else
static inline unsigned cnc_scan_lf_mask(const char *p)
{
    unsigned mask = 0;
    for (unsigned i = 0; i < 16; i++)
        mask |= (unsigned)(p[i] == '\n') << i;
    return mask;
}

static inline unsigned cnc_scan_mask(const char *p, unsigned classes)
{
    unsigned mask = 0;
    for (unsigned i = 0; i < 16; i++)
        mask |= (unsigned)!cnc_char_is(p[i], classes) << i;
    return mask;
}

static inline unsigned cnc_scan_value_mask(const char *p)
{
    return cnc_scan_mask(p, CNC_CHAR_VALUE);
}

static inline unsigned cnc_scan_target_mask(const char *p, char stop)
{
    return cnc_scan_mask(p, stop == '?' ? CNC_CHAR_PATH : CNC_CHAR_TARGET);
}
#endif

/* The first LF in [p, end), or NULL. Bytes from first on are readable, so the last block of sixteen may begin before p. Not
 * memchr(): lines are short, so the call would cost more than the search. */
static inline const char *cnc_scan_lf(const char *first, const char *p, const char *end)
{
    for (; end - p >= 16; p += 16) {
        const unsigned mask = cnc_scan_lf_mask(p);
        if (mask)
            return p + __builtin_ctz(mask);
    }
    if (p < end && end - first >= 16) {
        const unsigned mask = cnc_scan_lf_mask(end - 16) >> (16 - (end - p));
        return mask ? p + __builtin_ctz(mask) : NULL;
    }
    for (; p < end; p++)
        if (*p == '\n')
            return p;
    return NULL;
}

/* True when [p, end) holds value characters only. Bytes from line on are readable, and those of [line, p) are known to be
 * value characters, so the last block of sixteen may begin before p. Nothing beyond end is read. */
static inline bool cnc_scan_is_value(const char *line, const char *p, const char *end)
{
    for (; end - p >= 16; p += 16)
        if (cnc_scan_value_mask(p))
            return false;
    if (p < end && end - line >= 16)
        return cnc_scan_value_mask(end - 16) == 0;
    for (; p < end; p++)
        if (!cnc_char_is(*p, CNC_CHAR_VALUE))
            return false;
    return true;
}

/* The first byte from p on that ends a run of target characters; stop is "?" or "#". *end is readable and ends one. */
static inline __attribute__((always_inline)) const char *cnc_scan_target(const char *p, const char *end, char stop)
{
    const unsigned classes = stop == '?' ? CNC_CHAR_PATH : CNC_CHAR_TARGET;
    for (; end - p >= 16; p += 16) {
        unsigned mask = cnc_scan_target_mask(p, stop);
        if (mask)
            return p + __builtin_ctz(mask);
    }
    return cnc_char_skip(p, classes);
}

#endif
