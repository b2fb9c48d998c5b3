/* SPDX-License-Identifier: MIT
 *
 * Classes of bytes, one table for all of src/http. Private to it.
 */
#ifndef CNC_HTTP_CHARS_H
#define CNC_HTTP_CHARS_H

#include "base/base.h"

enum {
    CNC_CHAR_TOKEN = 1,  /* tchar (RFC 9110 §5.6.2) */
    CNC_CHAR_VALUE = 2,  /* HTAB, SP, VCHAR, obs-text (RFC 9110 §5.5) */
    CNC_CHAR_TARGET = 4, /* visible ASCII without "#": a request target carries no fragment (RFC 9112 §3.2) */
    CNC_CHAR_PATH = 8,   /* the same without "?" */
    CNC_CHAR_HOST = 16,  /* unreserved and sub-delims (RFC 3986 §2.2, §2.3) */
    CNC_CHAR_BLANK = 32, /* SP and HTAB, as in OWS and BWS (RFC 9110 §5.6.3) */
    CNC_CHAR_DIGIT = 64
};

extern const uint8_t cnc_http_chars[256];

static inline bool cnc_char_is(char c, unsigned classes)
{
    return (cnc_http_chars[(unsigned char)c] & classes) != 0;
}

/* The first byte from p on that is in none of the classes; there must be one. */
static inline __attribute__((always_inline)) const char *cnc_char_skip(const char *p, unsigned classes)
{
    for (;; p += 4) {
        if (!cnc_char_is(p[0], classes))
            return p;
        if (!cnc_char_is(p[1], classes))
            return p + 1;
        if (!cnc_char_is(p[2], classes))
            return p + 2;
        if (!cnc_char_is(p[3], classes))
            return p + 3;
    }
}

static inline uint32_t cnc_load4(const char *p)
{
    uint32_t v;
    memcpy(&v, p, sizeof v);
    return v;
}

static inline uint64_t cnc_load8(const char *p)
{
    uint64_t v;
    memcpy(&v, p, sizeof v);
    return v;
}

/* Compares n bytes with lower-case text, n a constant up to 24. Setting bit 5 folds letters; it would also make "-" of
 * CR and "!" of SOH, so p must hold token characters only. */
static inline __attribute__((always_inline)) bool cnc_token_equal(const char *p, const char *lower, size_t n)
{
    const uint64_t fold = 0x2020202020202020u;
    uint64_t differ = 0;
    size_t i = 0;
    if (n < 4) {
        for (; i < n; i++)
            differ |= (uint64_t)((uint8_t)p[i] | 0x20u) ^ (uint8_t)lower[i];
        return differ == 0;
    }
    if (n < 8) {
        differ = (cnc_load4(p) | (uint32_t)fold) ^ cnc_load4(lower);
        return (differ | ((cnc_load4(p + n - 4) | (uint32_t)fold) ^ cnc_load4(lower + n - 4))) == 0;
    }
    for (; i + 8 <= n; i += 8)
        differ |= (cnc_load8(p + i) | fold) ^ cnc_load8(lower + i);
    if (i < n)
        differ |= (cnc_load8(p + n - 8) | fold) ^ cnc_load8(lower + n - 8);
    return differ == 0;
}

#define CNC_TOKEN_IS(p, literal) cnc_token_equal((p), (literal), sizeof(literal) - 1)

#endif
