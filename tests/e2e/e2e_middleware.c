/* SPDX-License-Identifier: MIT
 *
 * The example middleware in the demo's place, on every engine.
 */
#include <stdlib.h>
#include <string.h>

#include "e2e/client.h"
#include "e2e/harness.h"

static struct demo demo;

#define HOST "Host: e2e\r\n"
#define ORIGIN "Origin: https://app.example\r\n"
#define KEY "Authorization: Basic dmlzaXRvcjpzZXNhbWU=\r\n"

static const struct {
    const char *request;
    int status;
    const char *body; /* NULL: any */
    const char *has, *lacks; /* within the head; NULL: not looked for */
} rows[] = {
    /* request id */
    { "GET / HTTP/1.1\r\n" HOST "\r\n", 200, "Hello, stranger!\n", "X-Request-Id: ", "Access-Control" },
    { "GET / HTTP/1.1\r\n" HOST "X-Request-Id: my-1\r\n\r\n", 200, NULL, "X-Request-Id: my-1\r\n", NULL },
    { "GET / HTTP/1.1\r\n" HOST "X-Request-Id: a b\r\n\r\n", 200, NULL, "X-Request-Id: ", "a b" },
    { "GET /none HTTP/1.1\r\n" HOST "X-Request-Id: my-2\r\n\r\n", 404, NULL, "X-Request-Id: my-2\r\n", NULL },
    { "POST / HTTP/1.1\r\n" HOST "X-Request-Id: my-3\r\n\r\n", 405, NULL, "X-Request-Id: my-3\r\n", NULL },
    /* CORS */
    { "GET /api/data HTTP/1.1\r\n" HOST ORIGIN "\r\n", 200, "{\"method\":\"GET\"}",
      "Vary: Origin\r\nAccess-Control-Allow-Origin: https://app.example\r\n", NULL },
    { "GET /api/data HTTP/1.1\r\n" HOST "\r\n", 200, NULL, "Vary: Origin\r\n", "Access-Control" },
    { "GET /api/data HTTP/1.1\r\n" HOST "Origin: https://evil.example\r\n\r\n", 200, NULL, "Vary: Origin\r\n", "Access-Control" },
    { "GET /api/none HTTP/1.1\r\n" HOST ORIGIN "\r\n", 404, NULL, "Access-Control-Allow-Origin: https://app.example\r\n", NULL },
    { "OPTIONS /api/data HTTP/1.1\r\n" HOST ORIGIN "Access-Control-Request-Method: PUT\r\n\r\n", 204, NULL,
      "Access-Control-Allow-Methods: GET, PUT, DELETE\r\n", "\r\nAllow:" },
    { "OPTIONS /api/data HTTP/1.1\r\n" HOST "Origin: https://evil.example\r\nAccess-Control-Request-Method: PUT\r\n\r\n", 204,
      NULL, "Vary: Origin\r\n", "Access-Control" },
    { "OPTIONS /api/data HTTP/1.1\r\n" HOST ORIGIN "\r\n", 204, NULL, "Allow: GET, HEAD, PUT, OPTIONS\r\n", "Allow-Methods" },
    /* basic authentication */
    { "GET /private/hello HTTP/1.1\r\n" HOST "\r\n", 401, "Who are you?\n", "WWW-Authenticate: Basic realm=\"private\"", NULL },
    { "GET /private/hello HTTP/1.1\r\n" HOST KEY "\r\n", 200, "Hello, visitor!\n", "X-Request-Id: ", "WWW-Authenticate" },
    { "GET /private/hello HTTP/1.1\r\n" HOST "Authorization: Basic dmlzaXRvcjpzZXNhbWY=\r\n\r\n", 401, NULL, NULL, NULL },
    { "GET /private/hello HTTP/1.1\r\n" HOST "Authorization: Basic \r\n\r\n", 401, NULL, NULL, NULL },
    { "GET /private HTTP/1.1\r\n" HOST "\r\n", 401, NULL, NULL, NULL },
    { "GET /x/../private/none HTTP/1.1\r\n" HOST "\r\n", 401, NULL, NULL, NULL },
    { "GET /%70rivate/none HTTP/1.1\r\n" HOST "\r\n", 401, NULL, NULL, NULL },
    { "GET /private/none HTTP/1.1\r\n" HOST KEY "\r\n", 404, NULL, NULL, NULL },
    { "GET /privately HTTP/1.1\r\n" HOST "\r\n", 404, NULL, NULL, NULL },
    /* refused before the body is sent */
    { "PUT /private/file HTTP/1.1\r\n" HOST "Expect: 100-continue\r\nContent-Length: 5\r\n\r\n", 401, NULL, NULL, NULL },
};

START_TEST(what_it_does)
{
    struct reply r;
    demo_start(&demo, engine_name(_i), NULL);
    for (size_t i = 0; i < COUNT(rows); i++) {
        ask(demo.port, rows[i].request, rows[i].status, &r);
        bool ok = (!rows[i].body || strcmp(r.body, rows[i].body) == 0) && (!rows[i].has || strstr(r.head, rows[i].has)) &&
                  (!rows[i].lacks || !strstr(r.head, rows[i].lacks)) && r.continues == 0;
        ck_assert_msg(ok, "%s: %s: %s\n%s", demo.engine, rows[i].request, r.head, r.body);
        reply_free(&r);
    }
    demo_stop(&demo, WAIT_MS);
}
END_TEST

static void add(Suite *s)
{
    TCase *t = e2e_case(s, "middleware", 60);
    tcase_add_loop_test(t, what_it_does, 0, engine_count());
}

int main(int argc, char **argv)
{
    setenv("CONCUR_DEMO", MIDDLEWARE, 1);
    return e2e_main_apart("middleware", add, argc, argv);
}
