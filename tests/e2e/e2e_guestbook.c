/* SPDX-License-Identifier: MIT
 *
 * The guestbook in the demo's place, on every engine: what was posted is there, once, and as text.
 */
#include <fcntl.h>
#include <linux/capability.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "e2e/client.h"
#include "e2e/harness.h"

enum { CLIENTS = 8, ROUNDS = 25, SHOWN = 20 };

static struct demo demo;
static char folder[] = "/tmp/guestbook-XXXXXX", database[64];

static void remove_files(void)
{
    static const char *const ends[] = { "", "-wal", "-shm" };
    char path[80];
    for (size_t i = 0; i < COUNT(ends); i++) {
        snprintf(path, sizeof path, "%s%s", database, ends[i]);
        unlink(path);
    }
}

static void set_up(void)
{
    ck_assert_ptr_nonnull(mkdtemp(folder));
    snprintf(database, sizeof database, "%s/book.db", folder);
}

static void tear_down(void)
{
    remove_files();
    rmdir(folder);
}

static void start(int i)
{
    demo_start(&demo, engine_name(i), "--database", database, NULL);
}

static void stop(void)
{
    demo_stop(&demo, WAIT_MS);
}

static int post_text(char *out, size_t size, const char *form)
{
    return snprintf(out, size,
                    "POST /entries HTTP/1.1\r\nHost: e2e\r\nContent-Type: application/x-www-form-urlencoded\r\n"
                    "Content-Length: %zu\r\n\r\n%s",
                    strlen(form), form);
}

/* Posts on a fresh connection; asserts the status. */
static void post(const char *form, int status)
{
    static char request[32768];
    struct reply r;
    ck_assert_int_lt(post_text(request, sizeof request, form), (int)sizeof request);
    ask(demo.port, request, status, &r);
    reply_free(&r);
}

static void get(const char *target, struct reply *r)
{
    char request[256];
    snprintf(request, sizeof request, "GET %s HTTP/1.1\r\nHost: e2e\r\nConnection: close\r\n\r\n", target);
    ask(demo.port, request, 200, r);
}

static void expect_count(int n)
{
    char text[16];
    snprintf(text, sizeof text, "%d\n", n);
    expect_get(demo.port, "/count", 200, text);
}

/* Both texts stand there, the first one first. */
static void expect_order(const char *body, const char *first, const char *second)
{
    const char *a = strstr(body, first), *b = strstr(body, second);
    ck_assert_msg(a && b && a < b, "%s and %s: %s", first, second, body);
}

static void remove_entry(const char *id, const char *authorization, int status)
{
    char request[256];
    struct reply r;
    snprintf(request, sizeof request, "DELETE /entries/%s HTTP/1.1\r\nHost: e2e\r\n%s\r\n", id, authorization);
    ask(demo.port, request, status, &r);
    ck_assert_int_eq(status == 401, reply_field_is(&r, "WWW-Authenticate", "Bearer"));
    reply_free(&r);
}

/* CLIENTS requests under way at once. A worker of prefork may close after a reply, for others who wait; it says so. */
static void post_round(struct client clients[CLIENTS], int round)
{
    char form[64], request[256];
    struct reply r;
    for (int i = 0; i < CLIENTS; i++) {
        snprintf(form, sizeof form, "name=client-%d&text=round+%d.", i, round);
        post_text(request, sizeof request, form);
        ck_assert_msg(client_text(&clients[i], request), "not taken%s", demo_end());
    }
    for (int i = 0; i < CLIENTS; i++) {
        client_read(&clients[i], &r, false, WAIT_MS);
        ck_assert_msg(r.kind == REPLY_OK && r.status == 303, "%s %d%s", reply_kind_name(&r), r.status, demo_end());
        size_t n;
        const char *place = reply_field(&r, "Location", &n);
        ck_assert(place != NULL && strncmp(place, "/#entry-", 8) == 0);
        if (r.says_close) {
            client_close(&clients[i]);
            client_open(&clients[i], demo.port);
        }
        reply_free(&r);
    }
}

/* Marks what the page has: clients 0.., rounds 0.. Returns the id for the next page; -1: it has none. */
static long note_entries(const char *json, int seen[CLIENTS][ROUNDS])
{
    int found = 0;
    for (const char *p = json; (p = strstr(p, "\"name\":")) != NULL; p++, found++) {
        int client, round;
        ck_assert_msg(sscanf(p, "\"name\":\"client-%d\",\"text\":\"round %d.\"}", &client, &round) == 2, "%.80s", p);
        ck_assert(client >= 0 && client < CLIENTS && round >= 0 && round < ROUNDS);
        seen[client][round]++;
    }
    const char *next = strstr(json, "],\"next\":");
    ck_assert_msg(next != NULL, "%s", json);
    return found ? strtol(next + 9, NULL, 10) : -1;
}

static void expect_each_once(void)
{
    static int seen[CLIENTS][ROUNDS];
    struct reply r;
    char target[64];
    for (long from = 0; from >= 0;) {
        snprintf(target, sizeof target, "/entries.json?from=%ld", from);
        get(target, &r);
        ck_assert(reply_field_is(&r, "Content-Type", "application/json"));
        from = note_entries(r.body, seen);
        reply_free(&r);
    }
    for (int i = 0; i < CLIENTS; i++)
        for (int round = 0; round < ROUNDS; round++)
            ck_assert_msg(seen[i][round] == 1, "client %d, round %d: %d times", i, round, seen[i][round]);
}

/* Ids go up by one with each entry. */
static void expect_newest(int count)
{
    char first[32], second[32];
    struct reply r;
    get("/", &r);
    ck_assert(reply_field_is(&r, "Content-Type", "text/html; charset=utf-8"));
    for (int id = count; id > count - SHOWN + 1; id--) {
        snprintf(first, sizeof first, "id=\"entry-%d\"", id);
        snprintf(second, sizeof second, "id=\"entry-%d\"", id - 1);
        expect_order(r.body, first, second);
    }
    snprintf(first, sizeof first, "id=\"entry-%d\"", count - SHOWN);
    ck_assert_ptr_null(strstr(r.body, first));
    reply_free(&r);
}

START_TEST(what_eight_clients_post_is_kept)
{
    struct client clients[CLIENTS];
    start(_i);
    expect_count(0);
    for (int i = 0; i < CLIENTS; i++)
        client_open(&clients[i], demo.port);
    for (int round = 0; round < ROUNDS; round++)
        post_round(clients, round);
    for (int i = 0; i < CLIENTS; i++)
        client_close(&clients[i]);
    expect_count(CLIENTS * ROUNDS);
    expect_each_once();
    expect_newest(CLIENTS * ROUNDS);
    stop();
    start(_i);
    expect_count(CLIENTS * ROUNDS);
    stop();
}
END_TEST

START_TEST(markup_is_text)
{
    struct reply r;
    start(_i);
    post("name=%3Cb%3E%22O%27Neil%22+%26+co&text=%3Cscript%3Ealert(1)%3C%2Fscript%3E%0D%0A%C3%A9%5C%09.", 303);
    get("/", &r);
    ck_assert_ptr_null(strstr(r.body, "<script"));
    ck_assert_ptr_null(strstr(r.body, "<b>"));
    ck_assert_ptr_nonnull(strstr(r.body, "<h2>&lt;b&gt;&quot;O&#39;Neil&quot; &amp; co</h2>"));
    ck_assert_ptr_nonnull(strstr(r.body, "<p>&lt;script&gt;alert(1)&lt;/script&gt;\r\n\xc3\xa9\\\t.</p>"));
    reply_free(&r);
    get("/entries.json?from=1", &r);
    expect_order(r.body, "\"name\":\"<b>\\\"O'Neil\\\" & co\"",
                 "\"text\":\"<script>alert(1)</script>\\u000d\\u000a\xc3\xa9\\\\\\u0009.\"}],\"next\":2}\n");
    reply_free(&r);
    stop();
}
END_TEST

START_TEST(an_entry_has_limits)
{
    static const char *const bad[] = {
        "name=a",
        "text=a",
        "name=&text=a",
        "name=a&text=+%0A",
        "name=a%0Ab&text=a",
        "name=a&text=%01",
        "name=a&text=%00",
        "name=%FF&text=a",
        "name=%C0%AF&text=a",
        "name=%ED%A0%80&text=a",
        "name=%F4%90%80%80&text=a",
        "name=%E2%82&text=a",
    };
    char form[20000];
    struct reply r;
    start(_i);
    for (size_t i = 0; i < COUNT(bad); i++)
        post(bad[i], 400);
    snprintf(form, sizeof form, "name=%060d&text=%02000d", 1, 1);
    post(form, 303);
    snprintf(form, sizeof form, "name=%061d&text=a", 1);
    post(form, 400);
    snprintf(form, sizeof form, "name=a&text=%02001d", 1);
    post(form, 400);
    snprintf(form, sizeof form, "name=a&text=%016400d", 1);
    post(form, 413);
    post("name=%F0%9F%90%98&text=%E2%82%AC", 303);
    ask(demo.port,
        "POST /entries HTTP/1.1\r\nHost: e2e\r\nContent-Type: text/plain\r\nContent-Length: 13\r\n\r\n"
        "name=a&text=a",
        400, &r);
    reply_free(&r);
    expect_get(demo.port, "/entries.json?from=-1", 400, NULL);
    expect_get(demo.port, "/entries.json?from=x", 400, NULL);
    expect_count(2);
    stop();
}
END_TEST

START_TEST(who_has_the_token_removes)
{
    static const char good[] = "Authorization: Bearer open sesame\r\n";
    setenv("GUESTBOOK_TOKEN", "open sesame", 1);
    start(_i);
    post("name=a&text=first", 303);
    post("name=a&text=second", 303);
    remove_entry("1", "", 401);
    remove_entry("1", "Authorization: Bearer open sesam\r\n", 401);
    remove_entry("1", "Authorization: Bearer open sesamf\r\n", 401);
    remove_entry("1", "Authorization: Bearer open sesame!\r\n", 401);
    remove_entry("1", "Authorization: Bearer \r\n", 401);
    expect_count(2);
    remove_entry("1", good, 204);
    remove_entry("1", good, 404);
    remove_entry("x", good, 404);
    expect_count(1);
    stop();
    unsetenv("GUESTBOOK_TOKEN");
    start(_i);
    remove_entry("2", good, 401);
    expect_count(1);
    stop();
}
END_TEST

/* All that comes until the other end is closed. */
static void read_all(int fd, char *out, size_t size)
{
    const int64_t deadline = now_ms() + slow(WAIT_MS);
    size_t n = 0;
    for (ssize_t got = 1; got > 0; n += (size_t)got) {
        struct pollfd p = { .fd = fd, .events = POLLIN };
        int64_t left = deadline - now_ms();
        ck_assert_msg(n < size - 1 && left > 0 && poll(&p, 1, (int)left) == 1, "has not ended: %.*s", (int)n, out);
        got = read(fd, out + n, size - 1 - n);
        ck_assert_int_ge(got, 0);
    }
    out[n] = 0;
}

/* Runs the guestbook, which has to end by itself; said: on stderr. Not even root may write what is read-only. */
static int run_to_end(const char *engine, const char *path, char *said, size_t size)
{
    int fds[2], status = 0;
    ck_assert_int_eq(pipe2(fds, O_CLOEXEC), 0);
    pid_t parent = getpid(), pid = fork();
    ck_assert_int_ge(pid, 0);
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        prctl(PR_CAPBSET_DROP, CAP_DAC_OVERRIDE);
        if (getppid() != parent || dup2(fds[1], STDERR_FILENO) < 0)
            _exit(126);
        execl(GUESTBOOK, GUESTBOOK, "--engine", engine, "--listen", "127.0.0.1:0", "--database", path, (char *)NULL);
        _exit(127);
    }
    close(fds[1]);
    read_all(fds[0], said, size);
    close(fds[0]);
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128;
}

static void expect_refused(const char *engine, const char *path, const char *why)
{
    char said[512], expected[160];
    int status = run_to_end(engine, path, said, sizeof said);
    snprintf(expected, sizeof expected, "guestbook: %s: %s\n", path, why);
    ck_assert_str_eq(said, expected);
    ck_assert_int_eq(status, 1);
}

static void write_file(const char *text)
{
    FILE *f = fopen(database, "we");
    ck_assert_ptr_nonnull(f);
    fputs(text, f);
    ck_assert_int_eq(fclose(f), 0);
}

START_TEST(a_book_that_cannot_be_used_is_refused)
{
    char path[96];
    snprintf(path, sizeof path, "%s/missing/book.db", folder);
    expect_refused(engine_name(_i), path, "unable to open database file");
    expect_refused(engine_name(_i), folder, "unable to open database file");
    expect_refused(engine_name(_i), ":memory:", "not a file that can have a write-ahead log");
    write_file("This is a letter and not a database, as everybody sees who reads it.\n");
    expect_refused(engine_name(_i), database, "file is not a database");
    remove_files();
    start(_i);
    post("name=a&text=a", 303);
    stop();
    ck_assert_int_eq(chmod(database, 0444), 0);
    expect_refused(engine_name(_i), database, "is not writable");
    ck_assert_int_eq(chmod(database, 0644), 0);
    ck_assert_int_eq(chmod(folder, 0555), 0);
    snprintf(path, sizeof path, "%s/other.db", folder);
    expect_refused(engine_name(_i), path, "unable to open database file");
    ck_assert_int_eq(chmod(folder, 0755), 0);
}
END_TEST

static void add(Suite *s)
{
    TCase *t = e2e_case(s, "guestbook", 60);
    tcase_add_checked_fixture(t, set_up, tear_down);
    const int n = engine_count();
    tcase_add_loop_test(t, what_eight_clients_post_is_kept, 0, n);
    tcase_add_loop_test(t, markup_is_text, 0, n);
    tcase_add_loop_test(t, an_entry_has_limits, 0, n);
    tcase_add_loop_test(t, who_has_the_token_removes, 0, n);
    tcase_add_loop_test(t, a_book_that_cannot_be_used_is_refused, 0, n);
}

int main(int argc, char **argv)
{
    setenv("CONCUR_DEMO", GUESTBOOK, 1);
    return e2e_main_apart("guestbook", add, argc, argv);
}
