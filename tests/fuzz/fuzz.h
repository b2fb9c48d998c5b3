/* SPDX-License-Identifier: MIT
 *
 * For fuzz targets: a broken promise ends the process at once, an input is taken apart from its beginning, and open
 * descriptors are counted.
 */
#ifndef CNC_FUZZ_H
#define CNC_FUZZ_H

#include <fcntl.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/base.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define FUZZ_ENSURE(what)                                                                                              \
    do {                                                                                                               \
        if (!(what)) {                                                                                                 \
            fprintf(stderr, "%s:%d: broken: %s\n", __FILE__, __LINE__, #what);                                         \
            __builtin_trap();                                                                                          \
        }                                                                                                              \
    } while (0)

/* What is left of an input. At its end every number is 0. */
struct fuzz_input {
    const uint8_t *p;
    size_t n;
};

static inline unsigned fuzz_byte(struct fuzz_input *in)
{
    if (in->n == 0)
        return 0;
    in->n--;
    return *in->p++;
}

/* In the order of a little-endian machine, of so many bytes. */
static inline uint64_t fuzz_number(struct fuzz_input *in, unsigned bytes)
{
    uint64_t v = 0;
    for (unsigned i = 0; i < bytes; i++)
        v |= (uint64_t)fuzz_byte(in) << 8 * i;
    return v;
}

static inline unsigned fuzz_below(struct fuzz_input *in, unsigned n)
{
    return (unsigned)fuzz_number(in, n > 256 ? 2 : 1) % n;
}

/* The next n bytes, or as many as there are. */
static inline struct cnc_slice fuzz_take(struct fuzz_input *in, size_t n)
{
    struct cnc_slice s = { (const char *)in->p, n < in->n ? n : in->n };
    in->p += s.n;
    in->n -= s.n;
    return s;
}

/* Up to the next end of line, which is taken as well. */
static inline struct cnc_slice fuzz_line(struct fuzz_input *in)
{
    const uint8_t *end = in->n ? memchr(in->p, '\n', in->n) : NULL;
    struct cnc_slice line = fuzz_take(in, end ? (size_t)(end - in->p) : in->n);
    if (end)
        (void)fuzz_byte(in);
    return line;
}

/* A copy of exactly that size, so that the address sanitizer sees the first byte read beyond it. */
static inline void *fuzz_copy(const void *p, size_t n)
{
    char *copy = malloc(n ? n : 1);
    FUZZ_ENSURE(copy);
    if (n)
        memcpy(copy, p, n);
    return copy;
}

/* The same as a string, which ends at the first NUL. */
static inline char *fuzz_text(struct cnc_slice s)
{
    size_t n = s.n ? strnlen(s.p, s.n) : 0;
    char *text = malloc(n + 1);
    FUZZ_ENSURE(text);
    if (n)
        memcpy(text, s.p, n);
    text[n] = '\0';
    return text;
}

/* Descriptors of this process, as far as a target has any. */
static inline unsigned fuzz_descriptors(void)
{
    struct pollfd all[96];
    unsigned n = 0;
    for (int fd = 0; fd < (int)CNC_COUNT(all); fd++)
        all[fd] = (struct pollfd){ .fd = fd };
    FUZZ_ENSURE(poll(all, CNC_COUNT(all), 0) >= 0);
    for (size_t i = 0; i < CNC_COUNT(all); i++)
        n += !(all[i].revents & POLLNVAL);
    return n;
}

#endif
