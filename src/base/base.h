/* SPDX-License-Identifier: MIT
 *
 * Used by all rooms: attributes, assertions, slices, ASCII tables.
 *
 * CNC_ASSERT checks invariants of the library, never the result of a system call or input from a peer. It is active in
 * debug and sanitizer builds. In release builds it does nothing, because the library never aborts its host.
 */
#ifndef CNC_BASE_H
#define CNC_BASE_H

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <concur/error.h>

#ifdef NDEBUG
#define CNC_ASSERT(x) ((void)0)
#else
#define CNC_ASSERT(x) assert(x)
#endif

#define CNC_LIKELY(x) __builtin_expect(!!(x), 1)
#define CNC_UNLIKELY(x) __builtin_expect(!!(x), 0)
/* For a function that a usual request calls. The linker puts these side by side, so that they take few pages: with
 * several processes on a core, each finds its pages evicted from the caches when it wakes. They have no stack canary,
 * which would cost 2 % of a request's instructions. So none of them may fill a local array with a length that comes
 * from outside. */
#ifdef __has_attribute
#if __has_attribute(no_stack_protector)
#define CNC_NO_CANARY no_stack_protector,
#endif
#endif
#ifndef CNC_NO_CANARY
#define CNC_NO_CANARY
#endif
#define CNC_HOT __attribute__((CNC_NO_CANARY hot))
#define CNC_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))
#define CNC_COUNT(a) (sizeof(a) / sizeof((a)[0]))
#define CNC_CONTAINER(p, type, member) ((type *)(void *)((char *)(p) - offsetof(type, member)))

/* Bytes that somebody else owns; not NUL-terminated unless a comment says so. */
struct cnc_slice {
    const char *p;
    size_t n;
};

#define CNC_SLICE(literal) ((struct cnc_slice){ (literal), sizeof(literal) - 1 })

static inline bool cnc_slice_equal(struct cnc_slice a, struct cnc_slice b)
{
    return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

/* ASCII only, whatever the host's locale. */
static inline char cnc_lower(char c)
{
    return (c >= 'A' && c <= 'Z') ? (char)(c | 0x20) : c;
}

static inline bool cnc_is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static inline bool cnc_is_alpha(char c)
{
    char l = cnc_lower(c);
    return l >= 'a' && l <= 'z';
}

/* 0..15, or -1 when c is not a hexadecimal digit. */
static inline int cnc_hex(char c)
{
    if (cnc_is_digit(c))
        return c - '0';
    c = cnc_lower(c);
    return (c >= 'a' && c <= 'f') ? c - 'a' + 10 : -1;
}

/* Case-insensitive comparison of ASCII; b must already be in lower case. */
static inline bool cnc_equal_lower(const char *a, size_t a_len, const char *b, size_t b_len)
{
    if (a_len != b_len)
        return false;
    for (size_t i = 0; i < a_len; i++)
        if (cnc_lower(a[i]) != b[i])
            return false;
    return true;
}

/* memset() to 0, not inlined: for a few hundred bytes the code that compilers inline for a known size is slower. */
void cnc_zero(void *p, size_t n);

/* Writes v in decimal at out (at most 20 bytes, no NUL); returns the number of bytes. */
size_t cnc_decimal(char *out, uint64_t v);

/* Parses n decimal digits; false when n is 0, a byte is no digit, or the value exceeds max. */
bool cnc_parse_decimal(const char *p, size_t n, uint64_t max, uint64_t *out);

#endif
