/* SPDX-License-Identifier: MIT
 *
 * Heads of replies, byte by byte; chunk heads; dates; names of methods and statuses; field syntax.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "http/http.h"

#define DATE "Sun, 06 Nov 1994 08:49:37 GMT"
#define DATED(status) "HTTP/1.1 " status "\r\nDate: " DATE "\r\n"
#define PLAIN "Content-Type: text/plain\r\n"
#define LENGTH(n) "Content-Length: " n "\r\n"
#define CLOSE "Connection: close\r\n"
#define KEEP "Connection: keep-alive\r\n"
#define CHUNKS "Transfer-Encoding: chunked\r\n"

static const struct {
    int status;
    int64_t length;
    int method, minor;
    bool typed, keep;
    const char *fields;
    const char *head;
    int framing;
} replies[] = {
    { 200, 13, CNC_HTTP_GET, 1, true, true, "", DATED("200 OK") PLAIN LENGTH("13") "\r\n", CNC_HTTP_FRAME_LENGTH },
    { 200, 13, CNC_HTTP_GET, 1, true, false, "", DATED("200 OK") PLAIN LENGTH("13") CLOSE "\r\n",
      CNC_HTTP_FRAME_LENGTH },
    { 200, 13, CNC_HTTP_GET, 0, true, true, "", DATED("200 OK") PLAIN LENGTH("13") KEEP "\r\n", CNC_HTTP_FRAME_LENGTH },
    { 200, 13, CNC_HTTP_GET, 0, true, false, "", DATED("200 OK") PLAIN LENGTH("13") CLOSE "\r\n",
      CNC_HTTP_FRAME_LENGTH },
    { 200, 0, CNC_HTTP_GET, 1, false, true, "", DATED("200 OK") LENGTH("0") "\r\n", CNC_HTTP_FRAME_LENGTH },
    { 200, INT64_MAX, CNC_HTTP_GET, 1, false, true, "", DATED("200 OK") LENGTH("9223372036854775807") "\r\n",
      CNC_HTTP_FRAME_LENGTH },
    { 200, -1, CNC_HTTP_GET, 1, true, true, "", DATED("200 OK") PLAIN CHUNKS "\r\n", CNC_HTTP_FRAME_CHUNKED },
    { 200, -1, CNC_HTTP_GET, 1, true, false, "", DATED("200 OK") PLAIN CHUNKS CLOSE "\r\n", CNC_HTTP_FRAME_CHUNKED },
    { 200, -1, CNC_HTTP_GET, 0, true, true, "", DATED("200 OK") PLAIN CLOSE "\r\n", CNC_HTTP_FRAME_CLOSE },
    { 200, 13, CNC_HTTP_HEAD, 1, true, true, "", DATED("200 OK") PLAIN LENGTH("13") "\r\n", CNC_HTTP_FRAME_NONE },
    { 200, -1, CNC_HTTP_HEAD, 1, true, true, "", DATED("200 OK") PLAIN "\r\n", CNC_HTTP_FRAME_NONE },
    { 200, -1, CNC_HTTP_HEAD, 0, true, true, "", DATED("200 OK") PLAIN KEEP "\r\n", CNC_HTTP_FRAME_NONE },
    { 204, -1, CNC_HTTP_GET, 1, false, true, "", DATED("204 No Content") "\r\n", CNC_HTTP_FRAME_NONE },
    { 204, 0, CNC_HTTP_GET, 1, false, true, "", DATED("204 No Content") "\r\n", CNC_HTTP_FRAME_NONE },
    { 204, 5, CNC_HTTP_HEAD, 1, false, true, "", DATED("204 No Content") "\r\n", CNC_HTTP_FRAME_NONE },
    { 304, 13, CNC_HTTP_GET, 1, false, true, "ETag: \"a\"\r\n",
      DATED("304 Not Modified") "ETag: \"a\"\r\n\r\n", CNC_HTTP_FRAME_NONE },
    { 304, -1, CNC_HTTP_GET, 1, false, true, "", DATED("304 Not Modified") "\r\n", CNC_HTTP_FRAME_NONE },
    { 304, 0, CNC_HTTP_HEAD, 1, true, true, "", DATED("304 Not Modified") PLAIN "\r\n", CNC_HTTP_FRAME_NONE },
    { 304, 13, CNC_HTTP_GET, 0, false, true, "", DATED("304 Not Modified") KEEP "\r\n", CNC_HTTP_FRAME_NONE },
    { 205, 13, CNC_HTTP_GET, 1, false, true, "", DATED("205 Reset Content") LENGTH("0") "\r\n",
      CNC_HTTP_FRAME_NONE },
    { 205, -1, CNC_HTTP_POST, 1, false, true, "", DATED("205 Reset Content") LENGTH("0") "\r\n",
      CNC_HTTP_FRAME_NONE },
    { 205, -1, CNC_HTTP_GET, 0, false, true, "", DATED("205 Reset Content") LENGTH("0") KEEP "\r\n",
      CNC_HTTP_FRAME_NONE },
    { 205, 0, CNC_HTTP_HEAD, 1, false, false, "", DATED("205 Reset Content") LENGTH("0") CLOSE "\r\n",
      CNC_HTTP_FRAME_NONE },
    { 204, -1, CNC_HTTP_GET, 0, false, true, "", DATED("204 No Content") KEEP "\r\n", CNC_HTTP_FRAME_NONE },
    { 206, -1, CNC_HTTP_GET, 1, false, true, "", DATED("206 Partial Content") CHUNKS "\r\n",
      CNC_HTTP_FRAME_CHUNKED },
    { 101, 0, CNC_HTTP_GET, 1, false, true, "", DATED("101 Switching Protocols") "\r\n", CNC_HTTP_FRAME_NONE },
    { 404, 9, CNC_HTTP_POST, 1, true, true, "A: b\r\nC: d\r\n",
      DATED("404 Not Found") PLAIN LENGTH("9") "A: b\r\nC: d\r\n\r\n", CNC_HTTP_FRAME_LENGTH },
    { 431, 0, CNC_HTTP_OTHER, 1, false, false, "",
      DATED("431 Request Header Fields Too Large") LENGTH("0") CLOSE "\r\n", CNC_HTTP_FRAME_LENGTH },
    { 299, 0, CNC_HTTP_GET, 1, false, true, "", DATED("299 ") LENGTH("0") "\r\n", CNC_HTTP_FRAME_LENGTH },
    { 599, 0, CNC_HTTP_GET, 1, false, true, "", DATED("599 ") LENGTH("0") "\r\n", CNC_HTTP_FRAME_LENGTH },
};

/* Makes fields of lines "name: value\r\n"; n: at most so many. */
static struct cnc_http_pairs pairs_of(const char *lines, struct cnc_http_pair *out, size_t n)
{
    struct cnc_http_pairs pairs = { .p = out, .size = (uint32_t)strlen(lines) };
    for (const char *p = lines, *end; *p; p = end + 2) {
        const char *colon = strstr(p, ": ");
        end = strstr(p, "\r\n");
        ck_assert(colon && end && pairs.n < n);
        out[pairs.n++] = (struct cnc_http_pair){ { p, (size_t)(colon - p) }, { colon + 2, (size_t)(end - colon - 2) } };
    }
    return pairs;
}

START_TEST(heads)
{
    struct cnc_http_pair fields[2];
    struct cnc_http_reply r = { .status = replies[_i].status,
                                .length = replies[_i].length,
                                .fields = pairs_of(replies[_i].fields, fields, CNC_COUNT(fields)),
                                .date = CNC_SLICE(DATE),
                                .method = (uint8_t)replies[_i].method,
                                .minor = (uint8_t)replies[_i].minor,
                                .keep_alive = replies[_i].keep };
    if (replies[_i].typed)
        r.type = CNC_SLICE("text/plain");
    cnc_http_reply_frame(&r);
    ck_assert_int_eq(r.framing, replies[_i].framing);
    ck_assert_int_eq(r.keep_alive, replies[_i].keep && replies[_i].framing != CNC_HTTP_FRAME_CLOSE);
    const size_t size = cnc_http_reply_size(&r);
    char *out = malloc(size + 1);
    ck_assert(out);
    out[size] = 0x5a;
    const size_t n = cnc_http_reply_head(out, &r);
    ck_assert_uint_le(n, size);
    ck_assert_int_eq(out[size], 0x5a);
    ck_assert_msg(n == strlen(replies[_i].head) && memcmp(out, replies[_i].head, n) == 0, "<%.*s>", (int)n, out);
    free(out);
}
END_TEST

START_TEST(interim_heads)
{
    static const struct {
        int status;
        const char *fields, *head;
    } rows[] = {
        { 102, "", "HTTP/1.1 102 \r\n\r\n" },
        { 103, "Link: </a>\r\nLink: </b>\r\n", "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\nLink: </b>\r\n\r\n" },
        { 199, "A: \r\n", "HTTP/1.1 199 \r\nA: \r\n\r\n" },
    };
    for (size_t i = 0; i < CNC_COUNT(rows); i++) {
        struct cnc_http_pair fields[2];
        const struct cnc_http_reply r = { .status = rows[i].status, .fields = pairs_of(rows[i].fields, fields, 2) };
        char out[512];
        ck_assert_uint_le(cnc_http_reply_size(&r), sizeof out);
        const size_t n = cnc_http_interim_head(out, &r);
        ck_assert_uint_le(n, cnc_http_reply_size(&r));
        ck_assert_msg(n == strlen(rows[i].head) && memcmp(out, rows[i].head, n) == 0, "<%.*s>", (int)n, out);
    }
}
END_TEST

/* No status, with or without a line of its own, makes more than the size foretold, or a malformed line. */
START_TEST(every_status)
{
    for (int status = 100; status < 600; status++) {
        struct cnc_http_reply r = { .status = status, .length = -1, .date = CNC_SLICE(DATE), .minor = 1 };
        char out[512], line[96];
        cnc_http_reply_frame(&r);
        ck_assert_uint_le(cnc_http_reply_size(&r), sizeof out);
        const size_t n = cnc_http_reply_head(out, &r);
        ck_assert_uint_le(n, cnc_http_reply_size(&r));
        const int len = snprintf(line, sizeof line, "HTTP/1.1 %d %s\r\nDate: ", status, cnc_http_reason(status));
        ck_assert_mem_eq(out, line, (size_t)len);
        ck_assert(cnc_http_is_value(cnc_http_reason(status), strlen(cnc_http_reason(status))));
    }
    ck_assert_str_eq(cnc_http_reason(200), "OK");
    ck_assert_str_eq(cnc_http_reason(100), "Continue");
    ck_assert_str_eq(cnc_http_reason(511), "Network Authentication Required");
    ck_assert_str_eq(cnc_http_reason(299), "");
    ck_assert_str_eq(cnc_http_reason(99), "");
    ck_assert_str_eq(cnc_http_reason(600), "");
    ck_assert_str_eq(cnc_http_reason(-1), "");
}
END_TEST

static size_t count_line_ends(const char *p, size_t n)
{
    size_t count = 0;
    for (size_t i = 0; i < n; i++)
        count += p[i] == '\r' || p[i] == '\n' || p[i] == '\0';
    return count;
}

/* Names and values that the syntax lets through can never add a line to a head; what they let through is right. */
START_TEST(no_field_adds_a_line)
{
    static const char bytes[] = "aZ09-_.:;,= \t\r\n\0\x7f\x80\xff\x01\x1f!\"(/[{~";
    int named = 0, valued = 0;
    srand(3);
    for (int round = 0; round < 200000; round++) {
        char name[24], value[40], out[512];
        const size_t name_n = (size_t)rand() % 4, value_n = (size_t)rand() % (round & 1 ? 4 : sizeof value);
        const bool wild = rand() % 8 == 0;
        for (size_t i = 0; i < name_n; i++)
            name[i] = bytes[(size_t)rand() % (sizeof bytes - 1)];
        for (size_t i = 0; i < value_n; i++)
            value[i] = (char)(wild || value_n < 4 ? bytes[(size_t)rand() % (sizeof bytes - 1)] : 'a' + rand() % 26);
        const bool good_name = cnc_http_is_token(name, name_n), good_value = cnc_http_is_value(value, value_n);
        named += good_name;
        valued += good_value;
        if ((good_value && count_line_ends(value, value_n)) ||
            (good_name && (count_line_ends(name, name_n) || memchr(name, ':', name_n))))
            ck_abort_msg("round %d: <%.*s>: <%.*s>", round, (int)name_n, name, (int)value_n, value);
        if (!good_name || !good_value)
            continue;
        struct cnc_http_pair field = { { name, name_n }, { value, value_n } };
        struct cnc_http_reply r = { .status = 200,
                                    .length = 1,
                                    .date = CNC_SLICE(DATE),
                                    .minor = 1,
                                    .keep_alive = true,
                                    .fields = { &field, 1, (uint32_t)cnc_http_pair_size(&field) } };
        cnc_http_reply_frame(&r);
        const size_t head = cnc_http_reply_head(out, &r);
        if (count_line_ends(out, head) != 2 * 5) /* status, Date, length, the field, the empty line */
            ck_abort_msg("round %d: %.*s", round, (int)head, out);
    }
    ck_assert_int_gt(named, 1000);
    ck_assert_int_gt(valued, 1000);
}
END_TEST

START_TEST(field_syntax)
{
    static const char marks[] = "!#$%&'*+-.^_`|~";
    ck_assert(!cnc_http_is_token("", 0));
    ck_assert(cnc_http_is_value("", 0));
    for (int byte = 0; byte < 256; byte++) {
        const char c = (char)byte;
        const bool letter = (byte | 32) >= 'a' && (byte | 32) <= 'z' && byte < 128, digit = byte >= '0' && byte <= '9';
        ck_assert_int_eq(cnc_http_is_token(&c, 1), letter || digit || (byte && strchr(marks, byte)));
        ck_assert_int_eq(cnc_http_is_value(&c, 1), byte > 32 && byte != 127);
        for (size_t n = 3; n < 60; n++) { /* at each place of blocks and rests */
            char text[60];
            memset(text, 'x', sizeof text);
            text[n / 2] = c;
            ck_assert_int_eq(cnc_http_is_value(text, n), byte == '\t' || (byte >= 32 && byte != 127));
            text[n / 2] = 'x';
            text[n - 2] = c;
            ck_assert_int_eq(cnc_http_is_value(text, n), byte == '\t' || (byte >= 32 && byte != 127));
        }
    }
    ck_assert(!cnc_http_is_value(" a", 2));
    ck_assert(!cnc_http_is_value("a\t", 2));
    static const char *const ours[] = { "Connection", "CONTENT-LENGTH",   "transfer-encoding", "Trailer", "te",
                                        "Keep-Alive", "Proxy-Connection", "Upgrade",           "Date" };
    for (size_t i = 0; i < CNC_COUNT(ours); i++) {
        ck_assert(cnc_http_is_reserved(ours[i], strlen(ours[i])));
        ck_assert(!cnc_http_is_reserved(ours[i], strlen(ours[i]) - 1));
    }
    ck_assert(!cnc_http_is_reserved("Content-Type", 12));
    ck_assert(!cnc_http_is_reserved("", 0));
}
END_TEST

START_TEST(methods)
{
    static const struct {
        int method;
        const char *name;
    } rows[] = {
        { CNC_HTTP_GET, "GET" },     { CNC_HTTP_HEAD, "HEAD" },     { CNC_HTTP_POST, "POST" },
        { CNC_HTTP_PUT, "PUT" },     { CNC_HTTP_DELETE, "DELETE" }, { CNC_HTTP_OPTIONS, "OPTIONS" },
        { CNC_HTTP_PATCH, "PATCH" }, { CNC_HTTP_TRACE, "TRACE" },   { CNC_HTTP_CONNECT, "CONNECT" },
    };
    for (size_t i = 0; i < CNC_COUNT(rows); i++) {
        ck_assert_int_eq(cnc_http_method_parse(rows[i].name, strlen(rows[i].name)), rows[i].method);
        ck_assert_int_eq(cnc_http_method_parse(rows[i].name, strlen(rows[i].name) - 1), CNC_HTTP_OTHER);
    }
    ck_assert_int_eq(cnc_http_method_parse("get", 3), CNC_HTTP_OTHER);
    ck_assert_int_eq(cnc_http_method_parse("", 0), CNC_HTTP_OTHER);
    ck_assert_int_eq(cnc_http_method_parse("OPTIONSX", 8), CNC_HTTP_OTHER);
}
END_TEST

START_TEST(chunk_heads)
{
    static const uint64_t sizes[] = { 0,       1,         9,          10,         15,        16,         255,       256,
                                      0xfffff, INT32_MAX, UINT32_MAX, 1ull << 32, INT64_MAX, 1ull << 63, UINT64_MAX };
    for (size_t i = 0; i < CNC_COUNT(sizes); i++) {
        char out[CNC_HTTP_CHUNK_HEAD_MAX], expect[32];
        const int n = snprintf(expect, sizeof expect, "%llx\r\n", (unsigned long long)sizes[i]);
        ck_assert_uint_eq(cnc_http_chunk_head(out, sizes[i]), (size_t)n);
        ck_assert_mem_eq(out, expect, (size_t)n);
    }
}
END_TEST

static const struct {
    int64_t s;
    const char *text;
} dates[] = {
    { 0, "Thu, 01 Jan 1970 00:00:00 GMT" },
    { 784111777, DATE }, /* RFC 9110 §5.6.7 */
    { -1, "Wed, 31 Dec 1969 23:59:59 GMT" },
    { 68169599, "Mon, 28 Feb 1972 23:59:59 GMT" },
    { 68169600, "Tue, 29 Feb 1972 00:00:00 GMT" },
    { 951782400, "Tue, 29 Feb 2000 00:00:00 GMT" },
    { 951868800, "Wed, 01 Mar 2000 00:00:00 GMT" },
    { 978307199, "Sun, 31 Dec 2000 23:59:59 GMT" },
    { INT32_MAX, "Tue, 19 Jan 2038 03:14:07 GMT" },
    { INT64_C(4107542399), "Sun, 28 Feb 2100 23:59:59 GMT" },
    { INT64_C(4107542400), "Mon, 01 Mar 2100 00:00:00 GMT" },
    { INT64_C(253402300799), "Fri, 31 Dec 9999 23:59:59 GMT" },
    { INT64_MAX, "Fri, 31 Dec 9999 23:59:59 GMT" },
    { INT64_MIN, "Sat, 01 Jan 0000 00:00:00 GMT" },
};

START_TEST(known_dates)
{
    for (size_t i = 0; i < CNC_COUNT(dates); i++) {
        char out[CNC_HTTP_DATE_LEN + 1];
        out[CNC_HTTP_DATE_LEN] = 0x5a;
        cnc_http_date(out, dates[i].s);
        ck_assert_msg(memcmp(out, dates[i].text, CNC_HTTP_DATE_LEN) == 0, "%s: %.29s", dates[i].text, out);
        ck_assert_int_eq(out[CNC_HTTP_DATE_LEN], 0x5a);
    }
}
END_TEST

/* The C library's calendar, in the C locale that a test runs in, agrees on every day of 800 years. */
START_TEST(every_day_agrees_with_the_c_library)
{
    for (int64_t day = -146097; day <= 146097; day++) {
        const time_t s = day * 86400 + (day * 7919 % 86400 + 86400) % 86400;
        char out[CNC_HTTP_DATE_LEN], expect[64];
        struct tm tm;
        if (!gmtime_r(&s, &tm) || strftime(expect, sizeof expect, "%a, %d %b %Y %H:%M:%S GMT", &tm) != CNC_HTTP_DATE_LEN)
            ck_abort_msg("day %lld", (long long)day);
        cnc_http_date(out, s);
        if (memcmp(out, expect, CNC_HTTP_DATE_LEN) != 0)
            ck_abort_msg("%s: %.29s", expect, out);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("http_reply");
    TCase *c = tcase_create("reply");
    tcase_set_timeout(c, 60);
    tcase_add_loop_test(c, heads, 0, (int)CNC_COUNT(replies));
    tcase_add_test(c, interim_heads);
    tcase_add_test(c, every_status);
    tcase_add_test(c, no_field_adds_a_line);
    tcase_add_test(c, field_syntax);
    tcase_add_test(c, methods);
    tcase_add_test(c, chunk_heads);
    tcase_add_test(c, known_dates);
    tcase_add_test(c, every_day_agrees_with_the_c_library);
    suite_add_tcase(suite, c);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
