/* SPDX-License-Identifier: MIT
 *
 * Functions that run before and after handlers: each reply gets a request id, /api can be read by pages of other sites
 * (CORS), and /private asks for a name and a password (basic authentication). The handlers know nothing of it.
 *
 *     ./middleware --engine thread --listen 127.0.0.1:8080
 *     curl -i -u visitor:sesame http://127.0.0.1:8080/private/hello
 *
 * Every flag is an option of the library, --NAME VALUE; a last flag --check only checks them.
 */
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <concur/concur.h>

/* ---- request id: that of the client if it has only harmless characters, else one of the library ---- */

static int add_id(concur_request *r, int status, void *arg)
{
    static const char harmless[] = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-_";
    const char *id = concur_request_get(r, CONCUR_IN_HEADER, "X-Request-Id");
    (void)status, (void)arg;
    bool usable = id && *id && strlen(id) <= 64 && strspn(id, harmless) == strlen(id);
    return concur_reply_set_header(r, "X-Request-Id", usable ? id : concur_request_id(r));
}

/* ---- CORS (https://fetch.spec.whatwg.org): which site's pages may read the replies ---- */

static const char allowed_origin[] = "https://app.example";

static bool is_allowed(concur_request *r)
{
    const char *origin = concur_request_get(r, CONCUR_IN_HEADER, "Origin");
    return origin && strcmp(origin, allowed_origin) == 0;
}

/* Before requests that a form could not send, a browser asks whether they are allowed. */
static int answer_preflight(concur_request *r, void *arg)
{
    (void)arg;
    bool is_preflight = strcmp(concur_request_method(r), "OPTIONS") == 0 &&
                        concur_request_get(r, CONCUR_IN_HEADER, "Access-Control-Request-Method");
    if (!is_preflight)
        return CONCUR_OK; /* the request goes on */
    if (is_allowed(r)) {
        concur_reply_set_header(r, "Access-Control-Allow-Methods", "GET, PUT, DELETE");
        concur_reply_set_header(r, "Access-Control-Allow-Headers", "Content-Type");
        concur_reply_set_header(r, "Access-Control-Max-Age", "600");
    }
    return concur_reply_text(r, 204, NULL);
}

/* Also for error pages, so that the page of the other site can read them. */
static int add_cors(concur_request *r, int status, void *arg)
{
    (void)status, (void)arg;
    int rc = concur_reply_header(r, "Vary", "Origin"); /* a cache must not use the reply for another origin */
    if (rc == CONCUR_OK && is_allowed(r))
        rc = concur_reply_set_header(r, "Access-Control-Allow-Origin", allowed_origin);
    return rc;
}

/* ---- basic authentication (RFC 7617); a real program would have many names, and store hashes of passwords ---- */

static const char credentials[] = "dmlzaXRvcjpzZXNhbWU="; /* base64 of "visitor:sesame" */

/* Compares texts of the same length in a time that does not depend on where they differ. */
static bool is_same(const char *a, const char *b)
{
    size_t n = strlen(b);
    unsigned char difference = 0;
    if (strlen(a) != n)
        return false;
    for (size_t i = 0; i < n; i++)
        difference |= (unsigned char)(a[i] ^ b[i]);
    return difference == 0;
}

static int authenticate(concur_request *r, void *arg)
{
    const char *given = concur_request_get(r, CONCUR_IN_HEADER, "Authorization");
    (void)arg;
    if (given && strncmp(given, "Basic ", 6) == 0 && is_same(given + 6, credentials))
        return concur_request_set_data(r, credentials, (void *)"visitor", NULL);
    concur_reply_header(r, "WWW-Authenticate", "Basic realm=\"private\", charset=\"UTF-8\"");
    return concur_reply_text(r, 401, "Who are you?\n");
}

/* ---- the program itself ---- */

static int hello(concur_request *r, void *arg)
{
    const char *name = concur_request_data(r, credentials);
    (void)arg;
    return concur_reply_printf(r, 200, NULL, "Hello, %s!\n", name ? name : "stranger");
}

static int data(concur_request *r, void *arg)
{
    (void)arg;
    return concur_reply_printf(r, 200, "application/json", "{\"method\":\"%s\"}", concur_request_method(r));
}

static int on_event(concur_server *server, int what, const char *detail, void *arg)
{
    char address[128] = "";
    (void)what, (void)arg;
    if (strcmp(detail, "ready") != 0)
        return CONCUR_OK;
    concur_server_address(server, 0, address, sizeof address);
    printf("listening on %s engine=%s pid=%ld\n", address, concur_engine_name(concur_server_engine(server)), (long)getpid());
    fflush(stdout);
    return CONCUR_OK;
}

int main(int argc, char **argv)
{
    concur_server *server = concur_server_new(CONCUR_ENGINE_EVENT_POOL, NULL);
    concur_server_listen(server, "127.0.0.1:8080");
    for (int i = 1; i + 1 < argc; i += 2)
        concur_server_override(server, NULL, strncmp(argv[i], "--", 2) == 0 ? argv[i] + 2 : argv[i], argv[i + 1]);
    concur_server_after(server, "/", 0, add_id, NULL);
    concur_server_before(server, "/api", 0, answer_preflight, NULL);
    concur_server_after(server, "/api", 0, add_cors, NULL);
    concur_server_before(server, "/private", 0, authenticate, NULL);
    concur_server_route(server, "GET /", 0, hello, NULL);
    concur_server_route(server, "GET /private/hello", CONCUR_ROUTE_BLOCKING, hello, NULL);
    concur_server_route(server, "PUT /private/file", 0, hello, NULL);
    concur_server_route(server, "GET,PUT /api/data", 0, data, NULL);
    concur_server_hook(server, CONCUR_HOOK_EVENT, on_event, NULL);
    bool checks = argc > 1 && strcmp(argv[argc - 1], "--check") == 0;
    int rc = checks ? concur_server_check(server) : concur_server_run(server);
    if (rc < 0)
        fprintf(stderr, "middleware: %s\n%s", concur_strerror(rc), concur_server_error(server));
    concur_server_free(server);
    return rc < 0;
}
