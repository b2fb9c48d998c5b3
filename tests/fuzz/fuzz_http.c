/* SPDX-License-Identifier: MIT
 *
 * The HTTP machine over arbitrary bytes: what it says must not depend on how they were cut, it must always go on, and
 * its slices must lie in its input. Also what a handler does next with a head: paths and form components are decoded.
 *
 * The first byte of an input chooses the limits, the second seeds the cutting; the rest is the connection.
 */
#include "../unit/http_trace.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct cnc_http_limits limits_of[] = {
    { .line_max = 8192, .head_max = 65536, .fields_max = 64, .chunk_ext_max = 4096, .trailer_max = 8192 },
    { .line_max = 200, .head_max = 600, .fields_max = 8, .chunk_ext_max = 32, .trailer_max = 64 },
    { .line_max = 40, .head_max = 90, .fields_max = 3, .chunk_ext_max = 4, .trailer_max = 8 },
    { .line_max = 100, .head_max = 60, .fields_max = 1, .chunk_ext_max = 0, .trailer_max = 0 },
};

/* A copy of exactly that size, so that the address sanitizer sees the first byte read beyond it. */
static char *copy_of(const char *p, size_t n)
{
    char *copy = malloc(n ? n : 1);
    TRACE_ENSURE(copy);
    if (n)
        memcpy(copy, p, n);
    return copy;
}

static void feed(struct trace *t, const char *bytes, size_t have)
{
    char *copy = copy_of(bytes + t->start, have - t->start);
    trace_feed(t, copy, have - t->start);
    free(copy);
}

/* Cuts bytes into pieces of 1..most; most 0: whole. */
static void run(struct trace *t, const struct cnc_http_limits *limits, const char *bytes, size_t n, unsigned most,
                uint32_t seed)
{
    trace_init(t, limits);
    size_t have = 0;
    do {
        seed = seed * 1664525 + 1013904223;
        const size_t piece = most ? 1 + (seed >> 16) % most : n;
        have = n - have > piece ? have + piece : n;
        feed(t, bytes, have);
    } while (have < n && !t->over);
    trace_finish(t, false);
}

static void compare(const struct trace *a, const struct trace *b)
{
    TRACE_ENSURE(a->start == b->start && a->over == b->over);
    TRACE_ENSURE(a->detail.n == b->detail.n && memcmp(a->detail.p, b->detail.p, a->detail.n) == 0);
}

static void decode(const char *bytes, size_t n)
{
    char *raw = copy_of(bytes, n);
    char *out = malloc(n + 1);
    TRACE_ENSURE(out);
    long len = cnc_http_path_decode(out, raw, n);
    TRACE_ENSURE(len >= -1 && len <= (long)n);
    if (len >= 0) {
        TRACE_ENSURE(strlen(out) == (size_t)len);
        TRACE_ENSURE(len == 0 || out[0] == '/' || strcmp(out, "*") == 0);
        TRACE_ENSURE(!strstr(out, "/../") && !strstr(out, "/./"));
    }
    len = cnc_http_form_decode(out, raw, n);
    TRACE_ENSURE(len >= -1 && len <= (long)n);
    TRACE_ENSURE(len < 0 || strlen(out) == (size_t)len);
    free(out);
    free(raw);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2)
        return 0;
    const struct cnc_http_limits *limits = &limits_of[data[0] % CNC_COUNT(limits_of)];
    const char *bytes = (const char *)data + 2;
    const size_t n = size - 2;
    struct trace whole, pieces;
    run(&whole, limits, bytes, n, 0, 0);
    static const unsigned mosts[] = { 1, 5, 64 };
    for (size_t i = 0; i < CNC_COUNT(mosts); i++) {
        if (mosts[i] == 1 && n > 1024) /* copies make this quadratic */
            continue;
        run(&pieces, limits, bytes, n, mosts[i], data[1]);
        compare(&whole, &pieces);
        trace_deinit(&pieces);
    }
    trace_deinit(&whole);
    decode(bytes, n);
    return 0;
}
