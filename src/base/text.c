/* SPDX-License-Identifier: MIT */
#include "base/base.h"

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
