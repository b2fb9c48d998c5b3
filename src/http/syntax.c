/* SPDX-License-Identifier: MIT
 *
 * Method names, and the syntax of the fields that replies add.
 */
#include "http/chars.h"
#include "http/http.h"
#include "http/scan.h"

static const char method_names[][8] = { "",       "GET",     "HEAD",  "POST",  "PUT",
                                        "DELETE", "OPTIONS", "PATCH", "TRACE", "CONNECT" };

/* Case matters (RFC 9110 §9.1). */
int cnc_http_method_parse(const char *p, size_t n)
{
    if (n < 3 || n > 7)
        return CNC_HTTP_OTHER;
    for (int m = CNC_HTTP_GET; m <= CNC_HTTP_CONNECT; m++)
        if (*p == method_names[m][0] && strlen(method_names[m]) == n && memcmp(p, method_names[m], n) == 0)
            return m;
    return CNC_HTTP_OTHER;
}

bool cnc_http_is_token(const char *p, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (!cnc_char_is(p[i], CNC_CHAR_TOKEN))
            return false;
    return n > 0;
}

/* No blanks at either end, since a recipient removes them (RFC 9110 §5.5). */
bool cnc_http_is_value(const char *p, size_t n)
{
    if (n == 0)
        return true;
    return !cnc_char_is(p[0], CNC_CHAR_BLANK) && !cnc_char_is(p[n - 1], CNC_CHAR_BLANK) &&
           cnc_scan_is_value(p, p, p + n);
}

bool cnc_http_is_reserved(const char *p, size_t n)
{
    static const char names[][18] = {
        "te",         "date",           "trailer",          "upgrade",          "connection",
        "keep-alive", "content-length", "proxy-connection", "transfer-encoding"
    };
    for (size_t i = 0; i < CNC_COUNT(names); i++)
        if (cnc_equal_lower(p, n, names[i], strlen(names[i])))
            return true;
    return false;
}
