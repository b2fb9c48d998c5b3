/* SPDX-License-Identifier: MIT */
#include "http/status.h"

#include "http/http.h"

/* RFC 9110 §15, and those of the registry that servers use: RFC 4918, 5842, 6585, 7725, 8297, 8470. */
#define STATUSES(X)                                                                                                    \
    X(100, "Continue")                                                                                                 \
    X(101, "Switching Protocols")                                                                                      \
    X(103, "Early Hints")                                                                                              \
    X(200, "OK")                                                                                                       \
    X(201, "Created")                                                                                                  \
    X(202, "Accepted")                                                                                                 \
    X(203, "Non-Authoritative Information")                                                                            \
    X(204, "No Content")                                                                                               \
    X(205, "Reset Content")                                                                                            \
    X(206, "Partial Content")                                                                                          \
    X(207, "Multi-Status")                                                                                             \
    X(300, "Multiple Choices")                                                                                         \
    X(301, "Moved Permanently")                                                                                        \
    X(302, "Found")                                                                                                    \
    X(303, "See Other")                                                                                                \
    X(304, "Not Modified")                                                                                             \
    X(307, "Temporary Redirect")                                                                                       \
    X(308, "Permanent Redirect")                                                                                       \
    X(400, "Bad Request")                                                                                              \
    X(401, "Unauthorized")                                                                                             \
    X(402, "Payment Required")                                                                                         \
    X(403, "Forbidden")                                                                                                \
    X(404, "Not Found")                                                                                                \
    X(405, "Method Not Allowed")                                                                                       \
    X(406, "Not Acceptable")                                                                                           \
    X(407, "Proxy Authentication Required")                                                                            \
    X(408, "Request Timeout")                                                                                          \
    X(409, "Conflict")                                                                                                 \
    X(410, "Gone")                                                                                                     \
    X(411, "Length Required")                                                                                          \
    X(412, "Precondition Failed")                                                                                      \
    X(413, "Content Too Large")                                                                                        \
    X(414, "URI Too Long")                                                                                             \
    X(415, "Unsupported Media Type")                                                                                   \
    X(416, "Range Not Satisfiable")                                                                                    \
    X(417, "Expectation Failed")                                                                                       \
    X(421, "Misdirected Request")                                                                                      \
    X(422, "Unprocessable Content")                                                                                    \
    X(423, "Locked")                                                                                                   \
    X(424, "Failed Dependency")                                                                                        \
    X(425, "Too Early")                                                                                                \
    X(426, "Upgrade Required")                                                                                         \
    X(428, "Precondition Required")                                                                                    \
    X(429, "Too Many Requests")                                                                                        \
    X(431, "Request Header Fields Too Large")                                                                          \
    X(451, "Unavailable For Legal Reasons")                                                                            \
    X(500, "Internal Server Error")                                                                                    \
    X(501, "Not Implemented")                                                                                          \
    X(502, "Bad Gateway")                                                                                              \
    X(503, "Service Unavailable")                                                                                      \
    X(504, "Gateway Timeout")                                                                                          \
    X(505, "HTTP Version Not Supported")                                                                               \
    X(507, "Insufficient Storage")                                                                                     \
    X(508, "Loop Detected")                                                                                            \
    X(511, "Network Authentication Required")

#define REASON_AT 13 /* after "HTTP/1.1 200 " */
#define LINE(code) "HTTP/1.1 " #code " "

#define AS_ROW(code, reason) ROW_##code,
enum { ROW_NONE = 0, STATUSES(AS_ROW) ROWS };

#define AS_LINE(code, reason) [ROW_##code] = { LINE(code) reason "\r\n", sizeof(LINE(code) reason "\r\n") - 1 },
#define AS_INDEX(code, reason) [(code)-100] = ROW_##code,
#define AS_REASON(code, reason) [ROW_##code] = reason,
#define AS_CHECK(code, reason)                                                                                         \
    _Static_assert(sizeof(LINE(code) reason "\r\n") <= CNC_STATUS_LINE_MAX, "a status line must fit its row");

STATUSES(AS_CHECK)

static const struct cnc_status_line lines[ROWS] = { STATUSES(AS_LINE) };
static const uint8_t rows[500] = { STATUSES(AS_INDEX) };
static const char reasons[ROWS][CNC_STATUS_LINE_MAX - REASON_AT] = { STATUSES(AS_REASON) };

static unsigned row_of(int status)
{
    return status >= 100 && status < 600 ? rows[status - 100] : ROW_NONE;
}

CNC_HOT const struct cnc_status_line *cnc_http_status_line(int status)
{
    const unsigned row = row_of(status);
    return row == ROW_NONE ? NULL : &lines[row];
}

size_t cnc_http_page(char out[CNC_HTTP_PAGE_MAX], int status)
{
    size_t n = cnc_decimal(out, (uint64_t)status), len = strlen(cnc_http_reason(status));
    out[n++] = ' ';
    memcpy(out + n, cnc_http_reason(status), len); /* fits: CNC_STATUS_LINE_MAX */
    out[n + len] = '\n';
    return n + len + 1;
}

const char *cnc_http_reason(int status)
{
    return reasons[row_of(status)];
}
