/* SPDX-License-Identifier: MIT
 *
 * Decoding of paths and of form components (RFC 3986 §2.1, §5.2.4).
 */
#include <check.h>
#include <stdlib.h>

#include "http/http.h"

#define S(text) text, sizeof(text) - 1

static const struct {
    const char *raw;
    size_t n;
    const char *decoded; /* NULL: refused */
    size_t decoded_n;
} paths[] = {
    { S(""), S("") },
    { S("*"), S("*") },
    { S("/"), S("/") },
    { S("/a"), S("/a") },
    { S("/a/"), S("/a/") },
    { S("/a/b"), S("/a/b") },
    { S("//"), S("//") },
    { S("//a"), S("//a") },
    { S("/a//b"), S("/a//b") },
    { S("/a///"), S("/a///") },
    { S("/%61%62"), S("/ab") },
    { S("/%C3%a4"), S("/\303\244") },
    { S("/%20"), S("/ ") },
    { S("/a+b"), S("/a+b") },
    { S("/%252e"), S("/%2e") }, /* once, not twice */
    { S("/%5c"), S("/\\") },
    { S("/%3F%23"), S("/?#") },
    { S("/%0d%0a"), S("/\r\n") },
    /* dot segments */
    { S("/."), S("/") },
    { S("/./"), S("/") },
    { S("/./a"), S("/a") },
    { S("/a/."), S("/a/") },
    { S("/a/./b"), S("/a/b") },
    { S("/a/././b"), S("/a/b") },
    { S("/a/.."), S("/") },
    { S("/a/../"), S("/") },
    { S("/a/../b"), S("/b") },
    { S("/a/b/.."), S("/a/") },
    { S("/a/b/../"), S("/a/") },
    { S("/a/b/../c"), S("/a/c") },
    { S("/a/b/c/./../../g"), S("/a/g") }, /* RFC 3986 §5.2.4 */
    { S("/a/b/../../c"), S("/c") },
    { S("/a//../b"), S("/a/b") },
    { S("//.."), S("/") },
    { S("//../a"), S("/a") },
    { S("/%2e"), S("/") },
    { S("/a/%2e%2E/b"), S("/b") },
    { S("/a/.%2e/b"), S("/b") },
    { S("/a/%2e./b"), S("/b") },
    { S("/..."), S("/...") },
    { S("/.../a"), S("/.../a") },
    { S("/.a"), S("/.a") },
    { S("/..a"), S("/..a") },
    { S("/a."), S("/a.") },
    { S("/a.."), S("/a..") },
    { S("/a../b"), S("/a../b") },
    { S("/.%20"), S("/. ") },
    /* refused */
    { S("/.."), NULL, 0 },
    { S("/../"), NULL, 0 },
    { S("/../a"), NULL, 0 },
    { S("/a/../.."), NULL, 0 },
    { S("/a/../../b"), NULL, 0 },
    { S("/./.."), NULL, 0 },
    { S("/%2e%2e/etc/passwd"), NULL, 0 },
    { S("/a/%2e%2e/%2e%2e"), NULL, 0 },
    { S("/%"), NULL, 0 },
    { S("/%2"), NULL, 0 },
    { S("/%2g"), NULL, 0 },
    { S("/%g2"), NULL, 0 },
    { S("/%%"), NULL, 0 },
    { S("/%+1"), NULL, 0 },
    { S("/%00"), NULL, 0 },
    { S("/a%00b"), NULL, 0 },
    { S("/a\0b"), NULL, 0 },
    { S("/%2f"), NULL, 0 },
    { S("/a%2Fb"), NULL, 0 },
    { S("/..%2fa"), NULL, 0 },
    { S("a"), NULL, 0 },
    { S(".."), NULL, 0 },
    { S("*a"), NULL, 0 },
};

START_TEST(paths_are_decoded_once)
{
    for (int in_place = 0; in_place < 2; in_place++) {
        char *raw = malloc(paths[_i].n + 1);
        char *out = in_place ? raw : malloc(paths[_i].n + 1);
        ck_assert(raw && out);
        memcpy(raw, paths[_i].raw, paths[_i].n);
        const long n = cnc_http_path_decode(out, raw, paths[_i].n);
        if (!paths[_i].decoded) {
            ck_assert_msg(n == -1, "%s: taken", paths[_i].raw);
        } else {
            ck_assert_msg(n == (long)paths[_i].decoded_n &&
                              memcmp(out, paths[_i].decoded, paths[_i].decoded_n + 1) == 0,
                          "%s: %ld %.*s", paths[_i].raw, n, n > 0 ? (int)n : 0, out);
        }
        if (!in_place)
            free(out);
        free(raw);
    }
}
END_TEST

/* Whatever is decoded starts at the root, holds no NUL and no dot segment, and is no longer than it was. */
START_TEST(no_path_leaves_the_root)
{
    static const char *const pieces[] = { "/", ".", "..", "%2e", "a", "%41", "%", "//", "%2f", "+" };
    srand(2);
    for (int round = 0; round < 50000; round++) {
        char raw[64] = "/", out[64];
        size_t n = 1;
        for (int i = rand() % 12; i > 0; i--) {
            const char *piece = pieces[(size_t)rand() % CNC_COUNT(pieces)];
            memcpy(raw + n, piece, strlen(piece));
            n += strlen(piece);
        }
        raw[n] = '\0';
        const long m = cnc_http_path_decode(out, raw, n);
        if (m < 0)
            continue;
        ck_assert_msg(m >= 1 && m <= (long)n && strlen(out) == (size_t)m && out[0] == '/', "%s", raw);
        ck_assert_msg(!strstr(out, "/../") && !strstr(out, "/./"), "%s: %s", raw, out);
        ck_assert_msg(m < 3 || strcmp(out + m - 3, "/..") != 0, "%s: %s", raw, out);
        ck_assert_msg(m < 2 || strcmp(out + m - 2, "/.") != 0, "%s: %s", raw, out);
    }
}
END_TEST

static const struct {
    const char *raw;
    size_t n;
    const char *decoded;
    size_t decoded_n;
} forms[] = {
    { S(""), S("") },        { S("a+b"), S("a b") }, { S("a%2Bb"), S("a+b") }, { S("%2f..%2F"), S("/../") },
    { S("%ff"), S("\377") }, { S("%"), NULL, 0 },    { S("%1"), NULL, 0 },     { S("%zz"), NULL, 0 },
    { S("a%00"), NULL, 0 },  { S("a\0"), NULL, 0 },
};

START_TEST(form_components)
{
    for (size_t i = 0; i < CNC_COUNT(forms); i++) {
        char text[32];
        memcpy(text, forms[i].raw, forms[i].n + 1);
        const long n = cnc_http_form_decode(text, text, forms[i].n);
        ck_assert_int_eq(n, forms[i].decoded ? (long)forms[i].decoded_n : -1);
        if (forms[i].decoded)
            ck_assert_mem_eq(text, forms[i].decoded, forms[i].decoded_n + 1);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("http_path");
    TCase *c = tcase_create("path");
    tcase_add_loop_test(c, paths_are_decoded_once, 0, (int)CNC_COUNT(paths));
    tcase_add_test(c, no_path_leaves_the_root);
    tcase_add_test(c, form_components);
    suite_add_tcase(suite, c);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
