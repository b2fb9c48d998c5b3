/* SPDX-License-Identifier: MIT
 *
 * The example notes in the demo's place, on every engine: good and bad input, and what several clients do at once.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "e2e/client.h"
#include "e2e/harness.h"

enum { CLIENTS = 6 };

static struct demo demo;
static char folder[] = "/tmp/notes-XXXXXX", database[64];

static void set_up(void)
{
    ck_assert_ptr_nonnull(mkdtemp(folder));
    snprintf(database, sizeof database, "%s/notes.db", folder);
}

static void tear_down(void)
{
    static const char *const ends[] = { "", "-wal", "-shm" };
    char path[80];
    for (size_t i = 0; i < COUNT(ends); i++) {
        snprintf(path, sizeof path, "%s%s", database, ends[i]);
        unlink(path);
    }
    rmdir(folder);
}

static void start(int i)
{
    demo_start(&demo, engine_name(i), "--database", database, NULL);
}

/* Asks with n bytes of body; asserts the status and, unless NULL, the body of the reply. */
static void call_n(const char *line, const char *type, const char *body, size_t n, int status, const char *expected)
{
    static char request[32768];
    struct client c;
    struct reply r;
    int head = snprintf(request, sizeof request,
                        "%s HTTP/1.1\r\nHost: e2e\r\nConnection: close\r\n%s%s%sContent-Length: %zu\r\n\r\n", line,
                        type ? "Content-Type: " : "", type ? type : "", type ? "\r\n" : "", n);
    ck_assert_uint_lt((size_t)head + n, sizeof request);
    memcpy(request + head, body, n);
    client_open(&c, demo.port);
    ck_assert(client_send(&c, request, (size_t)head + n));
    client_read(&c, &r, false, WAIT_MS);
    ck_assert_msg(r.kind == REPLY_OK && r.status == status, "%s %s: %s %d, not %d%s", line, body, reply_kind_name(&r),
                  r.status, status, demo_end());
    if (expected)
        ck_assert_str_eq(r.body, expected);
    if (status == 201)
        ck_assert_ptr_nonnull(reply_field(&r, "Location", &n));
    reply_free(&r);
    client_close(&c);
}

static void call(const char *line, const char *body, int status, const char *expected)
{
    call_n(line, body ? "application/json" : NULL, body ? body : "", body ? strlen(body) : 0, status, expected);
}

/* What the client wrote comes back, also what other programs find hard to write. */
#define HARD "\"title\":\"a \\\"q\\\" \\u0001 \\u0000 \\ud800\",\"text\":\"b\\n\\t\\\\ \xc3\xa9 </script>\""

START_TEST(notes_are_kept)
{
    start(_i);
    call("GET /notes", NULL, 200, "[]\n");
    call("POST /notes", "{" HARD "}", 201, "{" HARD ",\"id\":1}\n");
    call("POST /notes", " { \"title\" : \"two\",\"text\":\"\",\"id\":7}", 201, "{\"title\":\"two\",\"text\":\"\",\"id\":2}\n");
    call_n("POST /notes", "Application/JSON; charset=utf-8", "{\"title\":\"3\",\"text\":\"\"}", 23, 201, NULL);
    call("GET /notes/1", NULL, 200, "{" HARD ",\"id\":1}\n");
    call("GET /notes?from=2", NULL, 200,
         "[{\"title\":\"two\",\"text\":\"\",\"id\":2},{\"title\":\"3\",\"text\":\"\",\"id\":3}]\n");
    call("PUT /notes/2", "{\"title\":\"2\",\"text\":\"new\"}", 200, "{\"title\":\"2\",\"text\":\"new\",\"id\":2}\n");
    call("DELETE /notes/1", NULL, 204, "");
    call("GET /notes/1", NULL, 404, NULL);
    demo_stop(&demo, WAIT_MS);
    start(_i);
    call("GET /notes?from=0", NULL, 200,
         "[{\"title\":\"2\",\"text\":\"new\",\"id\":2},{\"title\":\"3\",\"text\":\"\",\"id\":3}]\n");
    call("POST /notes", "{\"title\":\"4\",\"text\":\"\"}", 201, "{\"title\":\"4\",\"text\":\"\",\"id\":4}\n");
    demo_stop(&demo, WAIT_MS);
}
END_TEST

START_TEST(what_is_no_note_is_refused)
{
    static const char *const bad[] = { "", "{", "[1]", "3", "null", "{}", "{\"title\":\"x\"}", "{\"text\":\"x\"}",
                                       "{\"title\":3,\"text\":\"\"}", "{\"title\":\"x\",\"text\":null}",
                                       "{\"title\":\"x\",\"text\":\"a", "{\"title\":\"x\",\"text\":\"a\"}}",
                                       "{\"title\":\"x\",\"text\":\"\x01\"}", "{\"title\":\"x\",\"text\":\"\xff\"}",
                                       "{\"title\":\"x\",\"text\":\"\xc0\xaf\"}", "{\"title\":\"x\",\"text\":\"\xed\xa0\x80\"}",
                                       "{\"title\":\"x\",\"text\":\"\xe2\x82" };
    static const char good[] = "{\"title\":\"one\",\"text\":\"\"}";
    static char large[20001];
    start(_i);
    call("POST /notes", good, 201, NULL);
    for (size_t i = 0; i < COUNT(bad); i++) {
        call("POST /notes", bad[i], 400, "{\"error\":\"not an object with the texts title and text, in UTF-8\"}\n");
        call("PUT /notes/1", bad[i], 400, NULL);
    }
    call_n("POST /notes", "application/json", good, sizeof good, 400, NULL); /* with its NUL */
    call_n("POST /notes", NULL, good, sizeof good - 1, 415, NULL);
    call_n("POST /notes", "text/json", good, sizeof good - 1, 415, NULL);
    call_n("POST /notes", "application/jsonx", good, sizeof good - 1, 415, NULL);
    memset(large, ' ', sizeof large - 1);
    call("POST /notes", large, 413, "{\"error\":\"a note has at most 16 KiB\"}\n");
    call("POST /notes", good, 409, "{\"error\":\"the title is taken\"}\n");
    call("POST /notes", "{\"title\":\"two\",\"text\":\"\"}", 201, NULL);
    call("PUT /notes/2", good, 409, NULL);
    call("PUT /notes/1", good, 200, NULL);
    call("PUT /notes/99", "{\"title\":\"x\",\"text\":\"\"}", 404, NULL);
    static const char *const none[] = { "/notes/99", "/notes/01", "/notes/%201", "/notes/x", "/notes/1'", "/notes/-1" };
    for (size_t i = 0; i < COUNT(none); i++) {
        char line[64];
        snprintf(line, sizeof line, "GET %s", none[i]);
        call(line, NULL, 404, NULL);
        snprintf(line, sizeof line, "DELETE %s", none[i]);
        call(line, NULL, 404, NULL);
    }
    call("DELETE /notes", NULL, 405, "{\"error\":\"no such note or call\"}\n");
    call("GET /", NULL, 404, "{\"error\":\"no such note or call\"}\n");
    call("GET /notes?from=2", NULL, 200, "[{\"title\":\"two\",\"text\":\"\",\"id\":2}]\n");
    demo_stop(&demo, WAIT_MS);
}
END_TEST

/* All ask for the same title at once: one gets it. */
START_TEST(a_title_is_given_once)
{
    static const char request[] = "POST /notes HTTP/1.1\r\nHost: e2e\r\nConnection: close\r\nContent-Type: application/json\r\n"
                                  "Content-Length: 23\r\n\r\n{\"title\":\"t\",\"text\":\"\"}";
    struct client clients[CLIENTS];
    int made = 0, refused = 0;
    start(_i);
    for (int i = 0; i < CLIENTS; i++)
        client_open(&clients[i], demo.port);
    for (int i = 0; i < CLIENTS; i++)
        ck_assert(client_text(&clients[i], request));
    for (int i = 0; i < CLIENTS; i++) {
        struct reply r;
        client_read(&clients[i], &r, false, WAIT_MS);
        ck_assert_int_eq(r.kind, REPLY_OK);
        made += r.status == 201;
        refused += r.status == 409;
        reply_free(&r);
        client_close(&clients[i]);
    }
    ck_assert_int_eq(made, 1);
    ck_assert_int_eq(refused, CLIENTS - 1);
    call("GET /notes", NULL, 200, "[{\"title\":\"t\",\"text\":\"\",\"id\":1}]\n");
    demo_stop(&demo, WAIT_MS);
}
END_TEST

static void add(Suite *s)
{
    TCase *t = e2e_case(s, "notes", 60);
    tcase_add_checked_fixture(t, set_up, tear_down);
    const int n = engine_count();
    tcase_add_loop_test(t, notes_are_kept, 0, n);
    tcase_add_loop_test(t, what_is_no_note_is_refused, 0, n);
    tcase_add_loop_test(t, a_title_is_given_once, 0, n);
}

int main(int argc, char **argv)
{
    setenv("CONCUR_DEMO", NOTES, 1);
    return e2e_main_apart("notes", add, argc, argv);
}
