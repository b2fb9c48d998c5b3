/* SPDX-License-Identifier: MIT
 *
 * The example upload in the demo's place, on every engine: files arrive whole or not at all, watchers see how far they
 * are, whichever process receives them, and the stop ends the watchers' streams.
 */
#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "e2e/client.h"
#include "e2e/harness.h"

enum { SIZE = 300000, HALF = SIZE / 2 };

static struct demo demo;
static char folder[] = "/tmp/upload-XXXXXX";
static char bytes[SIZE];

/* How many files there are; removes them. */
static int clear_folder(void)
{
    char path[320];
    int n = 0;
    DIR *d = opendir(folder);
    ck_assert_ptr_nonnull(d);
    for (struct dirent *e; (e = readdir(d)) != NULL;) {
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
            continue;
        snprintf(path, sizeof path, "%s/%s", folder, e->d_name);
        ck_assert_int_eq(unlink(path), 0);
        n++;
    }
    closedir(d);
    return n;
}

static void set_up(void)
{
    uint64_t state = 1;
    ck_assert_ptr_nonnull(mkdtemp(folder));
    for (size_t i = 0; i < SIZE; i++)
        bytes[i] = (char)random_next(&state);
}

static void tear_down(void)
{
    clear_folder();
    rmdir(folder);
}

static void start(int i)
{
    demo_start(&demo, engine_name(i), "--folder", folder, NULL);
}

static void expect_file(const char *name)
{
    static char found[SIZE + 1];
    char path[320];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *f = fopen(path, "re");
    ck_assert_msg(f != NULL, "%s is not there", path);
    ck_assert_uint_eq(fread(found, 1, sizeof found, f), SIZE);
    fclose(f);
    ck_assert_int_eq(memcmp(found, bytes, SIZE), 0);
}

static void begin(struct client *c, const char *target, const char *framing)
{
    char head[512];
    client_open(c, demo.port);
    snprintf(head, sizeof head, "PUT %s HTTP/1.1\r\nHost: e2e\r\nConnection: close\r\n%s\r\n\r\n", target, framing);
    ck_assert(client_text(c, head));
}

static void finish(struct client *c, int status, const char *body)
{
    struct reply r;
    client_read(c, &r, false, WAIT_MS);
    ck_assert_msg(r.kind == REPLY_OK && r.status == status, "%s %d, not %d%s", reply_kind_name(&r), r.status, status,
                  demo_end());
    if (body)
        ck_assert_str_eq(r.body, body);
    reply_free(&r);
    client_close(c);
}

static void watch(struct client *c)
{
    client_open(c, demo.port);
    ck_assert(client_text(c, "GET /progress HTTP/1.1\r\nHost: e2e\r\n\r\n"));
}

/* Reads on until the text has come. told: unless NULL, what must not come before it, since it was told already. */
static void await_next(struct client *c, const char *told, const char *text)
{
    const int64_t deadline = now_ms() + slow(WAIT_MS);
    for (;;) {
        char *from = c->n ? c->in + c->at : NULL, *at = from ? memmem(from, c->n, text, strlen(text)) : NULL;
        if (at) {
            size_t taken = (size_t)(at - from) + strlen(text);
            ck_assert_msg(!told || !memmem(from, taken, told, strlen(told)), "%s again before %s", told, text);
            c->at += taken;
            c->n -= taken;
            return;
        }
        ck_assert_msg(now_ms() < deadline && client_wait_bytes(c, c->n + 1, WAIT_MS), "no %s in %.*s%s", text, (int)c->n,
                      c->in ? c->in + c->at : "", demo_end());
    }
}

static void await(struct client *c, const char *text)
{
    await_next(c, NULL, text);
}

START_TEST(watchers_see_how_far_it_is)
{
    struct client one, two, c;
    start(_i);
    watch(&one);
    await(&one, "Content-Type: text/event-stream");
    await(&one, "event: watchers\ndata: 1\n\n");
    watch(&two);
    await(&one, "event: watchers\ndata: 2\n\n");
    begin(&c, "/files/a.bin", "Content-Length: 300000");
    await(&one, "\"name\":\"a.bin\",\"state\":\"receiving\",\"received\":0,\"total\":300000}");
    ck_assert(client_send(&c, bytes, HALF));
    await_next(&one, "event: watchers", "\"name\":\"a.bin\",\"state\":\"receiving\",\"received\":150000,\"total\":300000}");
    await(&two, "\"name\":\"a.bin\",\"state\":\"receiving\",\"received\":150000,\"total\":300000}");
    ck_assert(client_send(&c, bytes + HALF, SIZE - HALF));
    finish(&c, 201, "stored\n");
    await(&one, "\"name\":\"a.bin\",\"state\":\"done\",\"received\":300000,\"total\":300000}");
    client_close(&two); /* it is missed at once, though nothing is sent to it */
    await(&one, "event: watchers\ndata: 1\n\n");
    expect_file("a.bin");
    client_close(&one);
    watch(&one); /* who comes later is told what has been */
    await(&one, "\"name\":\"a.bin\",\"state\":\"done\"");
    demo_signal(&demo, SIGTERM);
    await(&one, "event: bye\n");
    ck_assert_int_eq(demo_wait(&demo, WAIT_MS), 0);
    client_close(&one);
    ck_assert_int_eq(clear_folder(), 1);
}
END_TEST

START_TEST(a_file_is_there_whole_or_not_at_all)
{
    struct client one, c;
    char size[16], target[128];
    start(_i);
    watch(&one);
    begin(&c, "/files/cut", "Content-Length: 300000");
    ck_assert(client_send(&c, bytes, HALF));
    await(&one, "\"received\":150000");
    client_abort(&c);
    await(&one, "\"name\":\"cut\",\"state\":\"failed\",\"received\":150000");
    begin(&c, "/files/broken", "Transfer-Encoding: chunked");
    ck_assert(client_text(&c, "5\r\nhello\r\nx\r\n"));
    finish(&c, 400, NULL);
    await(&one, "\"name\":\"broken\",\"state\":\"failed\",\"received\":5,\"total\":-1}");
    ck_assert_int_eq(clear_folder(), 0);
    begin(&c, "/files/large", "Content-Length: 1073741825");
    finish(&c, 413, NULL);
    static const char *const bad[] = { "/files/.x", "/files/..%2fx", "/files/a%20b", "/files/%22" };
    for (size_t i = 0; i < COUNT(bad); i++) {
        begin(&c, bad[i], "Content-Length: 0");
        finish(&c, 400, NULL);
    }
    snprintf(target, sizeof target, "/files/%064d", 0);
    begin(&c, target, "Content-Length: 0");
    finish(&c, 400, NULL);
    ck_assert_int_eq(clear_folder(), 0);
    snprintf(size, sizeof size, "%x\r\n", SIZE);
    begin(&c, "/files/chunks", "Transfer-Encoding: chunked");
    ck_assert(client_text(&c, size) && client_send(&c, bytes, SIZE) && client_text(&c, "\r\n0\r\n\r\n"));
    finish(&c, 201, "stored\n");
    await(&one, "\"name\":\"chunks\",\"state\":\"done\",\"received\":300000,\"total\":-1}");
    expect_file("chunks");
    client_close(&one);
    demo_stop(&demo, WAIT_MS);
    ck_assert_int_eq(clear_folder(), 1);
}
END_TEST

static void add(Suite *s)
{
    TCase *t = e2e_case(s, "upload", 60);
    tcase_add_checked_fixture(t, set_up, tear_down);
    const int n = engine_count();
    tcase_add_loop_test(t, watchers_see_how_far_it_is, 0, n);
    tcase_add_loop_test(t, a_file_is_there_whole_or_not_at_all, 0, n);
}

int main(int argc, char **argv)
{
    setenv("CONCUR_DEMO", UPLOAD, 1);
    return e2e_main_apart("upload", add, argc, argv);
}
