/* SPDX-License-Identifier: MIT */
#include "net/address.h"

#include <arpa/inet.h>
#include <check.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/un.h>

static struct cnc_address parsed(const char *text)
{
    struct cnc_address a;
    char err[CNC_ADDRESS_ERROR_MAX] = "";
    int rc = cnc_address_parse(&a, text, err, sizeof err);
    ck_assert_msg(rc == CONCUR_OK, "%s: %s", text, err);
    return a;
}

static const char *text_of(const struct cnc_address *a)
{
    static char out[CNC_ADDRESS_TEXT_MAX];
    size_t n = cnc_address_text((const struct sockaddr *)&a->addr, a->addr_len, out, sizeof out);
    ck_assert_uint_eq(n, strlen(out));
    return out;
}

START_TEST(addresses_are_read_and_written_back)
{
    static const struct {
        const char *text, *back;
        enum cnc_address_kind kind;
        bool any;
    } rows[] = {
        { "127.0.0.1:80", "127.0.0.1:80", CNC_ADDRESS_IPV4, false },
        { "0.0.0.0:0", "0.0.0.0:0", CNC_ADDRESS_IPV4, false },
        { "255.255.255.255:65535", "255.255.255.255:65535", CNC_ADDRESS_IPV4, false },
        { "localhost:8080", "127.0.0.1:8080", CNC_ADDRESS_IPV4, false },
        { " \t127.0.0.1:80 ", "127.0.0.1:80", CNC_ADDRESS_IPV4, false },
        { "[::1]:80", "[::1]:80", CNC_ADDRESS_IPV6, false },
        { "[::]:443", "[::]:443", CNC_ADDRESS_IPV6, false },
        { "[2001:db8:0:0:0:0:0:1]:1", "[2001:db8::1]:1", CNC_ADDRESS_IPV6, false },
        { "*:8080", "[::]:8080", CNC_ADDRESS_IPV6, true },
        { "unix:/run/x.sock", "unix:/run/x.sock", CNC_ADDRESS_UNIX, false },
    };
    for (size_t i = 0; i < CNC_COUNT(rows); i++) {
        struct cnc_address a = parsed(rows[i].text);
        ck_assert_str_eq(text_of(&a), rows[i].back);
        ck_assert_int_eq(a.kind, rows[i].kind);
        ck_assert_int_eq(a.any, rows[i].any);
        ck_assert_int_eq(a.fd, -1);
        ck_assert_int_eq(a.unix_mode, -1);
    }
}
END_TEST

START_TEST(words_after_the_address)
{
    struct cnc_address a = parsed("unix:/p  mode=0600");
    ck_assert_int_eq(a.unix_mode, 0600);
    ck_assert_str_eq(((struct sockaddr_un *)&a.addr)->sun_path, "/p");
    a = parsed("unix:/p mode=0");
    ck_assert_int_eq(a.unix_mode, 0);
    a = parsed("fd:3 ");
    ck_assert_int_eq(a.kind, CNC_ADDRESS_FD);
    ck_assert_int_eq(a.fd, 3);
    ck_assert_uint_eq(a.addr_len, 0);
}
END_TEST

/* Whoever asks for TLS is not served in clear text. */
START_TEST(tls_is_not_supported)
{
    static const char *const texts[] = { "[::]:443 tls=site", "127.0.0.1:80 tls=",       "unix:/p tls=x",
                                         "fd:3 tls=x",        "unix:/p mode=0600 tls=x", "*:443\ttls=a/b=c" };
    for (size_t i = 0; i < CNC_COUNT(texts); i++) {
        struct cnc_address a;
        char err[CNC_ADDRESS_ERROR_MAX] = "", quoted[80];
        ck_assert_int_eq(cnc_address_parse(&a, texts[i], err, sizeof err), CONCUR_E_UNSUPPORTED);
        snprintf(quoted, sizeof quoted, "\"%s\": this version has no TLS", texts[i]);
        ck_assert_msg(strncmp(err, quoted, strlen(quoted)) == 0, "%s", err);
    }
}
END_TEST

START_TEST(the_system_gets_what_was_written)
{
    struct cnc_address a = parsed("192.0.2.7:8081");
    struct sockaddr_in *in = (struct sockaddr_in *)&a.addr;
    ck_assert_int_eq(in->sin_family, AF_INET);
    ck_assert_uint_eq(ntohl(in->sin_addr.s_addr), 0xc0000207);
    ck_assert_uint_eq(ntohs(in->sin_port), 8081);
    ck_assert_uint_eq(a.addr_len, sizeof *in);
    a = parsed("[::1]:9");
    struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)&a.addr;
    ck_assert(IN6_IS_ADDR_LOOPBACK(&in6->sin6_addr));
    ck_assert_uint_eq(ntohs(in6->sin6_port), 9);
    ck_assert_uint_eq(a.addr_len, sizeof *in6);
}
END_TEST

START_TEST(what_is_wrong_is_said)
{
    static const struct {
        const char *text, *says;
    } rows[] = {
        { "", "no port" },
        { "127.0.0.1", "no port" },
        { "8080", "no port" },
        { "[::1]", "no port" },
        { "127.0.0.1:", "0 to 65535" },
        { "127.0.0.1:65536", "0 to 65535" },
        { "127.0.0.1:-1", "0 to 65535" },
        { "127.0.0.1:000080", "0 to 65535" },
        { "127.0.0.1:80x", "0 to 65535" },
        { ":80", "*:PORT" },
        { "example.com:80", "host names are not looked up" },
        { "127.1:80", "host names are not looked up" },
        { "1.2.3.256:80", "host names are not looked up" },
        { "::1:80", "needs brackets" },
        { "[::g]:80", "no IPv6 address" },
        { "[]:80", "no IPv6 address" },
        { "[127.0.0.1]:80", "no IPv6 address" },
        { "unix:", "begin with /" },
        { "unix:p", "begin with /" },
        { "unix:/a\nb", "control character" },
        { "unix:/a\x7f", "control character" },
        { "unix:/p mode=888", "octal" },
        { "unix:/p mode=1777", "octal" },
        { "unix:/p mode=", "octal" },
        { "127.0.0.1:80 mode=0600", "unix: only" },
        { "[::ffff:127.0.0.1]:80", "an IPv4 address; write 127.0.0.1:80" },
        { "[::FFFF:7f00:1]:8080", "an IPv4 address; write 127.0.0.1:8080" },
        { "[::ffff:0.0.0.0]:0", "an IPv4 address; write 0.0.0.0:0" },
        { "[fe80::1]:80", "a link-local address needs a zone, and zones are not supported" },
        { "[fe80::1%eth0]:80", "zones such as %eth0 are not supported" },
        { "[::1%lo]:80", "zones such as %lo are not supported" },
        { "127.0.0.1:80 backlog=3", "only mode=OCTAL may follow" },
        { "fd:", "number of an open descriptor" },
        { "fd:x", "number of an open descriptor" },
        { "fd:99999999999", "number of an open descriptor" },
    };
    for (size_t i = 0; i < CNC_COUNT(rows); i++) {
        struct cnc_address a;
        char err[CNC_ADDRESS_ERROR_MAX] = "", quoted[80];
        ck_assert_msg(cnc_address_parse(&a, rows[i].text, err, sizeof err) == CONCUR_E_INVAL, "'%s' was accepted",
                      rows[i].text);
        ck_assert_msg(strstr(err, rows[i].says) != NULL, "'%s': %s", rows[i].text, err);
        snprintf(quoted, sizeof quoted, "\"%s\"", rows[i].text);
        ck_assert_msg(strstr(err, quoted) != NULL, "'%s': %s", rows[i].text, err);
    }
}
END_TEST

START_TEST(lengths_have_bounds)
{
    struct cnc_address a;
    struct sockaddr_un un;
    char text[1000], err[CNC_ADDRESS_ERROR_MAX];
    size_t most = sizeof un.sun_path - 1;
    memset(text, 'a', sizeof text);
    memcpy(text, "unix:/", 6);
    text[5 + most] = '\0';
    a = parsed(text);
    ck_assert_str_eq(text_of(&a), text);
    text[5 + most] = 'a';
    text[6 + most] = '\0';
    ck_assert_int_eq(cnc_address_parse(&a, text, err, sizeof err), CONCUR_E_INVAL);
    ck_assert_ptr_nonnull(strstr(err, "107 bytes"));
    text[6 + most] = 'a';
    text[999] = '\0';
    ck_assert_int_eq(cnc_address_parse(&a, text, err, sizeof err), CONCUR_E_INVAL);
    ck_assert_ptr_nonnull(strstr(err, "107 bytes"));
    char small[8];
    ck_assert_int_eq(cnc_address_parse(&a, "x", small, sizeof small), CONCUR_E_INVAL);
    ck_assert_uint_eq(strlen(small), 7);
}
END_TEST

START_TEST(peers_are_shown)
{
    struct sockaddr_in6 mapped = { .sin6_family = AF_INET6, .sin6_port = htons(5000) };
    struct sockaddr_un un = { .sun_family = AF_UNIX };
    char out[CNC_ADDRESS_TEXT_MAX];
    inet_pton(AF_INET6, "::ffff:192.0.2.1", &mapped.sin6_addr);
    ck_assert_uint_eq(cnc_address_text((struct sockaddr *)&mapped, sizeof mapped, out, sizeof out), 14);
    ck_assert_str_eq(out, "192.0.2.1:5000");
    ck_assert_uint_eq(cnc_address_text((struct sockaddr *)&un, sizeof un.sun_family, out, sizeof out), 5);
    ck_assert_str_eq(out, "unix:");
    un.sun_path[1] = 'a'; /* an abstract name has no text */
    cnc_address_text((struct sockaddr *)&un, sizeof un, out, sizeof out);
    ck_assert_str_eq(out, "unix:");
}
END_TEST

START_TEST(room_and_families_are_checked)
{
    struct cnc_address a = parsed("127.0.0.1:80");
    struct sockaddr *sa = (struct sockaddr *)&a.addr;
    char out[16];
    memset(out, 'x', sizeof out);
    ck_assert_uint_eq(cnc_address_text(sa, a.addr_len, out, 13), 12);
    ck_assert_uint_eq(cnc_address_text(sa, a.addr_len, out, 12), 0);
    ck_assert_str_eq(out, "");
    ck_assert_int_eq(out[13], 'x');
    ck_assert_uint_eq(cnc_address_text(sa, a.addr_len, out, 0), 0);
    ck_assert_uint_eq(cnc_address_text(sa, 0, out, sizeof out), 0);
    ck_assert_uint_eq(cnc_address_text(sa, 4, out, sizeof out), 0);
    sa->sa_family = AF_NETLINK;
    ck_assert_uint_eq(cnc_address_text(sa, a.addr_len, out, sizeof out), 0);
    ck_assert_str_eq(out, "");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("net_address");
    TCase *tests = tcase_create("all");
    tcase_add_test(tests, addresses_are_read_and_written_back);
    tcase_add_test(tests, words_after_the_address);
    tcase_add_test(tests, tls_is_not_supported);
    tcase_add_test(tests, the_system_gets_what_was_written);
    tcase_add_test(tests, what_is_wrong_is_said);
    tcase_add_test(tests, lengths_have_bounds);
    tcase_add_test(tests, peers_are_shown);
    tcase_add_test(tests, room_and_families_are_checked);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
