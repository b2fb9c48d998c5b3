/* SPDX-License-Identifier: MIT
 *
 * What the log says of requests that fail: of each 500 that the library makes the route, the code and the reason, on every
 * engine; and no more lines than a disk can take, however often a client causes them.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "e2e/client.h"
#include "e2e/harness.h"

enum { LINES_A_SECOND = 10 }; /* as the library has it */

static struct demo demo;
static FILE *said; /* what the demo writes to its standard error */

/* From now on; the test is a process of its own. */
static void listen_in(void)
{
    fflush(NULL);
    said = tmpfile();
    ck_assert_ptr_nonnull(said);
    ck_assert_int_ge(dup2(fileno(said), STDERR_FILENO), 0);
}

/* All that was said so far. */
static const char *text_said(void)
{
    static char text[1 << 20];
    ssize_t n = pread(fileno(said), text, sizeof text - 1, 0);
    ck_assert_int_ge(n, 0);
    text[n] = '\0';
    return text;
}

/* The line that has all of these, within a while: a worker's comes by way of its master. */
static void expect_line(const char *a, const char *b, const char *c)
{
    for (int64_t deadline = now_ms() + slow(WAIT_MS);; nap_ms(5)) {
        const char *line = text_said();
        for (size_t n; *line; line += n + (line[n] == '\n')) {
            char copy[2048];
            n = strcspn(line, "\n");
            snprintf(copy, sizeof copy, "%.*s", (int)n, line);
            if (strstr(copy, a) && strstr(copy, b) && strstr(copy, c))
                return;
        }
        ck_assert_msg(now_ms() < deadline, "%s: no line with %s, %s, %s in\n%.1500s", demo.engine, a, b, c, text_said());
    }
}

static void post(const char *target, int status)
{
    char request[256];
    struct reply r;
    snprintf(request, sizeof request, "POST %s HTTP/1.1\r\nHost: e2e\r\nContent-Length: 3\r\n\r\nabc", target);
    ask(demo.port, request, status, &r);
    reply_free(&r);
}

#define ROUTE "route \"/test/error/{way}\""

START_TEST(every_500_has_its_line)
{
    static const struct {
        const char *target, *code, *reason;
    } ways[] = {
        { "/test/error/-1", "returned -1", "invalid argument" },
        { "/test/error/-2", "returned -2", "out of memory" },
        { "/test/error/-3", "returned -3", "the system refused" },
        { "/test/error/-4", "returned -4", "500" },
        { "/test/error/-1000", "returned -1000", "unknown code" },
        { "/test/error/500", "returned 500", "500" },
        { "/test/error/99", "returned 99", "means nothing here" },
        { "/test/error/150", "returned 150", "means nothing here" },
        { "/test/error/600", "returned 600", "means nothing here" },
        { "/test/error/2", "returned 2", "means nothing here" },
        { "/test/error/late", "returned -3", "the system refused" },
        { "/test/error/data", "returned 99", "means nothing here" },
        { "/test/error/nothing", "500", "no reply and nothing pending" },
        { "/test/error/reserved", "500", "a field that only the library may send" },
        { "/test/error/name", "500", "a field's name is not a token" },
        { "/test/error/value", "500", "a field's value has bytes that may not be sent" },
        { "/test/error/status", "500", "a reply's status must be 200 to 599" },
        { "/test/error/type", "500", "a Content-Type has bytes that may not be sent" },
        { "/test/error/length", "500", "a piece of an impossible length" },
        { "/test/error/write", "500", "concur_reply_begin() was not called" },
        { "/test/error/end", "500", "concur_reply_begin() was not called" },
        { "/test/error/pull", "500", "concur_reply_pull()" },
    };
    listen_in();
    demo_start(&demo, variant_engine(_i), "--pool", variant_pool(_i), NULL);
    for (size_t i = 0; i < COUNT(ways); i++) {
        ck_assert_int_eq(ftruncate(fileno(said), 0), 0);
        ck_assert_int_eq((int)lseek(fileno(said), 0, SEEK_SET), 0);
        if (i % LINES_A_SECOND == LINES_A_SECOND - 1)
            nap_ms(1100); /* here every line is to be seen */
        post(ways[i].target, 500);
        expect_line(ROUTE, ways[i].code, ways[i].reason);
    }
    demo_stop(&demo, WAIT_MS);
}
END_TEST

/* Lines, and lines that were left out, as the last one of each burst says. */
static void count(unsigned *lines, unsigned *left_out)
{
    *lines = *left_out = 0;
    const char *line = text_said();
    for (size_t n; *line; line += n + (line[n] == '\n')) {
        char copy[2048];
        unsigned more = 0;
        n = strcspn(line, "\n");
        snprintf(copy, sizeof copy, "%.*s", (int)n, line);
        *lines += strstr(copy, ROUTE) != NULL;
        const char *also = strstr(copy, "; left out before it: ");
        if (also)
            more = (unsigned)strtoul(also + strlen("; left out before it: "), NULL, 10);
        *left_out += more;
    }
}

START_TEST(a_client_does_not_fill_the_disk)
{
    enum { REQUESTS = 300 };
    unsigned sent = 0, lines, left_out;
    struct client c;
    struct reply r;
    listen_in();
    demo_start(&demo, variant_engine(_i), "--pool", variant_pool(_i), "--workers", "1", NULL);
    client_open(&c, demo.port);
    const int64_t begun = now_ms();
    for (; sent < REQUESTS; sent++) {
        ck_assert(client_text(&c, "GET /test/error/nothing HTTP/1.1\r\nHost: e2e\r\n\r\n"));
        client_read(&c, &r, false, WAIT_MS);
        ck_assert_msg(r.kind == REPLY_OK && r.status == 500, "%s %d", reply_kind_name(&r), r.status);
        reply_free(&r);
    }
    const int64_t seconds = (now_ms() - begun) / 1000 + 2; /* those that it touched */
    client_close(&c);
    do { /* once there is room for lines again, every one is accounted for */
        nap_ms(100);
        post("/test/error/nothing", 500);
        sent++;
        count(&lines, &left_out);
        ck_assert_msg(now_ms() - begun < slow(30000), "%s: %u of %u, %u left out", demo.engine, lines, sent, left_out);
    } while (lines + left_out < sent);
    ck_assert_uint_eq(lines + left_out, sent);
    ck_assert_msg(lines <= (seconds + (sent - REQUESTS)) * LINES_A_SECOND, "%s: %u lines in %d s", demo.engine, lines,
                  (int)seconds);
    ck_assert_uint_gt(left_out, 0);
    demo_stop(&demo, WAIT_MS);
}
END_TEST

/* A folder for bodies that goes away: 503 to whoever sends one, and few lines. */
START_TEST(bodies_that_cannot_be_kept)
{
    enum { UPLOADS = 60 };
    char head[256], folder[] = "/tmp/concur-e2e-XXXXXX", option[64];
    static char body[8192];
    listen_in();
    ck_assert_ptr_nonnull(mkdtemp(folder));
    snprintf(option, sizeof option, "body_dir=%s", folder);
    demo_start(&demo, variant_engine(_i), "--pool", variant_pool(_i), "--workers", "1", "--set", "body_memory=1k", "--set",
               option, NULL);
    ck_assert_int_eq(rmdir(folder), 0);
    memset(body, 'x', sizeof body);
    const int64_t begun = now_ms();
    for (int i = 0; i < UPLOADS; i++) {
        struct client c;
        struct reply r;
        snprintf(head, sizeof head, "POST /test/body HTTP/1.1\r\nHost: e2e\r\nContent-Length: %zu\r\n\r\n", sizeof body);
        client_open(&c, demo.port);
        ck_assert(client_text(&c, head));
        ck_assert(client_send(&c, body, sizeof body));
        client_read(&c, &r, false, WAIT_MS);
        ck_assert_msg(r.kind == REPLY_OK && r.status == 503, "%s %d", reply_kind_name(&r), r.status);
        reply_free(&r);
        client_close(&c);
    }
    const unsigned seconds = (unsigned)((now_ms() - begun) / 1000 + 2);
    expect_line("route \"POST,PUT /test/body\"", folder, "No such file or directory");
    unsigned lines = 0;
    for (const char *p = text_said(); (p = strstr(p, folder)) != NULL; p++)
        lines++;
    ck_assert_msg(lines <= seconds * LINES_A_SECOND, "%s: %u lines in %u s", demo.engine, lines, seconds);
    demo_stop(&demo, WAIT_MS);
}
END_TEST

static void add(Suite *s)
{
    TCase *t = e2e_case(s, "said", 60);
    const int n = variant_count();
    tcase_add_loop_test(t, every_500_has_its_line, 0, n);
    tcase_add_loop_test(t, a_client_does_not_fill_the_disk, 0, n);
    tcase_add_loop_test(t, bodies_that_cannot_be_kept, 0, n);
}

int main(int argc, char **argv)
{
    return e2e_main_apart("said", add, argc, argv);
}
