/* SPDX-License-Identifier: MIT
 *
 * Routes under /test/ for functions that run before and after handlers, and for error pages.
 *
 * Under /test/around two functions run before the handlers and two after them. ?before=X says what the first one does:
 *
 *   nothing, or none   the request goes on
 *   answer             replies 403                          later         a timer lets it pass
 *   status, error      returns 418, CONCUR_E_FULL           later-answer  a timer replies 401
 *   decline            404                                  offload       offloaded work, then it lets it pass
 *   pull               replies with 1,000 bytes, pulled     pending       leaves a timer and lets it pass: 500
 *   never              waits, though nothing is pending     500
 *
 * The second one counts its calls. Each reply has X-After: STATUS, and X-Order with the order of all four; ?after=fail makes
 * a function after the handler fail. The field X-Handler is replaced, X-Secret removed.
 *
 *   any /test/around            "METHOD, N before\n"
 *   GET /test/around/away       the same in a blocking route
 *   POST /test/around/body      "N bytes\n" of a whole body
 *   POST /test/around/stream    "N bytes\n" of a body in pieces
 *   GET /test/around/begin      pushed in two pieces
 *   GET /test/around/x/first    declines; a blocking route answers as the first one does
 *
 * Under /test/page the demo makes the error pages: JSON for every status, a text for 404, and for 5xx what ?page=X says:
 * push, unfinished, none, error, other.
 *
 *   GET /test/page/status/{code}  returns the code
 *   GET /test/page/deadline       504 by its deadline
 *   GET /test/page/away/{code}    the code, from a blocking route
 *   POST /test/page/post          takes a small body
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "demo.h"

/* Before. */

static const char order_key;

/* Notes a letter for each function that has run. */
static int note_order(concur_request *r, const char *letter)
{
    const char *before = concur_request_data(r, &order_key);
    char *order = concur_request_alloc(r, 16);
    if (!order)
        return CONCUR_E_NOMEM;
    snprintf(order, 16, "%s%s", before ? before : "", letter);
    return concur_request_set_data(r, &order_key, order, NULL);
}

static int pass_timer(concur_request *r, void *arg)
{
    (void)arg;
    DEMO_COUNT(timers_run);
    int rc = concur_request_pass(r);
    if (concur_request_pass(r) == CONCUR_OK)
        DEMO_COUNT(misuse);
    return rc;
}

static int answer_timer(concur_request *r, void *arg)
{
    (void)arg;
    DEMO_COUNT(timers_run);
    return concur_reply_text(r, 401, "later\n");
}

static int count_timer(concur_request *r, void *arg)
{
    (void)r, (void)arg;
    DEMO_COUNT(timers_run);
    return CONCUR_OK;
}

static int look_up(void *arg)
{
    (void)arg;
    return 7;
}

static int looked_up(concur_request *r, int rc, void *arg)
{
    (void)arg;
    DEMO_COUNT(offloads_run);
    return rc == 7 ? concur_request_pass(r) : CONCUR_E_UPSTREAM;
}

static int again(int rc)
{
    return rc < 0 ? rc : CONCUR_AGAIN;
}

static int pull_answer(concur_request *r)
{
    struct demo_pattern *p = concur_request_alloc(r, sizeof *p);
    if (!p)
        return CONCUR_E_NOMEM;
    *p = (struct demo_pattern){ .end = 1000, .hesitate = true };
    return concur_reply_pull(r, 200, "text/plain", 1000, demo_pattern_pull, p);
}

static int first_before(concur_request *r, void *arg)
{
    const char *what = concur_request_get(r, CONCUR_IN_QUERY, "before");
    (void)arg;
    int rc = note_order(r, "a");
    if (rc < 0 || !what)
        return rc;
    if (strcmp(what, "answer") == 0)
        return concur_reply_text(r, 403, "answered\n");
    if (strcmp(what, "status") == 0)
        return 418;
    if (strcmp(what, "error") == 0)
        return CONCUR_E_FULL;
    if (strcmp(what, "decline") == 0)
        return CONCUR_DECLINE;
    if (strcmp(what, "pull") == 0)
        return pull_answer(r);
    if (strcmp(what, "later") == 0)
        return again(demo_after(r, 1, pass_timer, NULL));
    if (strcmp(what, "later-answer") == 0)
        return again(demo_after(r, 1, answer_timer, NULL));
    if (strcmp(what, "offload") == 0)
        return again(demo_offload(r, look_up, looked_up, NULL));
    if (strcmp(what, "pending") == 0)
        return demo_after(r, 1, count_timer, NULL);
    return strcmp(what, "never") == 0 ? CONCUR_AGAIN : CONCUR_OK;
}

static int second_before(concur_request *r, void *arg)
{
    (void)arg;
    return note_order(r, "b");
}

/* After. */

static int first_after(concur_request *r, int status, void *arg)
{
    char text[16];
    (void)arg;
    snprintf(text, sizeof text, "%d", status);
    if (concur_reply_text(r, 200, "not here") != CONCUR_E_STATE || concur_reply_status(r) != 0)
        DEMO_COUNT(misuse);
    int rc = note_order(r, "c");
    return rc < 0 ? rc : concur_reply_header(r, "X-After", text);
}

static int second_after(concur_request *r, int status, void *arg)
{
    const char *what = concur_request_get(r, CONCUR_IN_QUERY, "after");
    (void)status, (void)arg;
    if (what && strcmp(what, "fail") == 0)
        return CONCUR_E_UPSTREAM;
    int rc = note_order(r, "d");
    if (concur_reply_get_header(r, "X-Handler"))
        concur_reply_set_header(r, "X-Handler", "replaced");
    concur_reply_remove_header(r, "X-Secret");
    return rc < 0 ? rc : concur_reply_header(r, "X-Order", concur_request_data(r, &order_key));
}

/* Handlers. */

static int around(concur_request *r, void *arg)
{
    const char *order = concur_request_data(r, &order_key);
    (void)arg;
    concur_reply_header(r, "X-Handler", "own");
    concur_reply_header(r, "X-Secret", "1");
    return concur_reply_printf(r, 200, NULL, "%s, %zu before\n", concur_request_method(r), order ? strlen(order) : 0);
}

static int whole_body(concur_request *r, void *arg)
{
    size_t n;
    (void)arg;
    (void)concur_request_body(r, &n);
    return concur_reply_printf(r, 200, NULL, "%zu bytes\n", n);
}

static int add_piece(concur_request *r, const void *data, size_t n, void *arg)
{
    (void)r, (void)data;
    *(size_t *)arg += n;
    return CONCUR_OK;
}

static int all_pieces(concur_request *r, int rc, void *arg)
{
    DEMO_COUNT(bodies_run);
    return rc < 0 ? rc : concur_reply_printf(r, 200, NULL, "%zu bytes\n", *(size_t *)arg);
}

static int stream_body(concur_request *r, void *arg)
{
    size_t *n = concur_request_alloc(r, sizeof *n);
    (void)arg;
    if (!n)
        return CONCUR_E_NOMEM;
    *n = 0;
    return demo_on_body(r, add_piece, all_pieces, n);
}

static int begin(concur_request *r, void *arg)
{
    (void)arg;
    concur_reply_begin(r, 200, "text/plain");
    concur_reply_write(r, "one ", 4);
    concur_reply_write(r, "two\n", 4);
    return concur_reply_end(r);
}

static int decline(concur_request *r, void *arg)
{
    (void)r, (void)arg;
    return CONCUR_DECLINE;
}

/* Pages. */

static bool has_pages(concur_request *r)
{
    return strncmp(concur_request_path(r), "/test/page/", 11) == 0;
}

static int json_page(concur_request *r, int status, void *arg)
{
    (void)arg;
    return has_pages(r) ? concur_reply_printf(r, status, "application/json", "{\"status\":%d}", status) : CONCUR_DECLINE;
}

static int page_404(concur_request *r, int status, void *arg)
{
    (void)arg;
    return has_pages(r) ? concur_reply_printf(r, status, NULL, "Nothing at %s\n", concur_request_path(r)) : CONCUR_DECLINE;
}

static int page_5xx(concur_request *r, int status, void *arg)
{
    const char *how = concur_request_get(r, CONCUR_IN_QUERY, "page");
    if (!has_pages(r) || !how)
        return json_page(r, status, arg);
    if (strcmp(how, "none") == 0)
        return CONCUR_OK;
    if (strcmp(how, "other") == 0)
        return concur_reply_text(r, 200, "all is well\n");
    if (strcmp(how, "error") == 0)
        return concur_reply_header(r, "Bad Name", "1");
    concur_reply_begin(r, status, "text/plain");
    concur_reply_write(r, "pushed\n", 7);
    return strcmp(how, "push") == 0 ? concur_reply_end(r) : CONCUR_OK;
}

static int page_status(concur_request *r, void *arg)
{
    (void)arg;
    concur_reply_header(r, "X-Handler", "kept from the page");
    return atoi(concur_request_get(r, CONCUR_IN_PARAM, "code"));
}

static int deadline_timer(concur_request *r, void *arg)
{
    (void)r, (void)arg;
    DEMO_COUNT(timers_run);
    return CONCUR_OK;
}

static int page_deadline(concur_request *r, void *arg)
{
    (void)arg;
    int rc = concur_request_deadline(r, 5);
    return rc < 0 ? rc : demo_after(r, 60000, deadline_timer, NULL);
}

static const struct demo_route routes[] = {
    { "/test/around", 0, around },
    { "GET /test/around/away", CONCUR_ROUTE_BLOCKING, around },
    { "POST /test/around/body", 0, whole_body },
    { "POST /test/around/body-away", CONCUR_ROUTE_BLOCKING, whole_body },
    { "POST /test/around/stream", CONCUR_ROUTE_STREAM, stream_body },
    { "GET /test/around/begin", 0, begin },
    { "GET /test/around/x/first", 0, decline },
    { "GET /test/around/{x}/first", CONCUR_ROUTE_BLOCKING, around },
    { "GET /test/page/status/{code}", 0, page_status },
    { "GET /test/page/away/{code}", CONCUR_ROUTE_BLOCKING, page_status },
    { "GET /test/page/deadline", 0, page_deadline },
    { "POST /test/page/post", 0, whole_body },
};

void demo_around_add(concur_server *server)
{
    for (size_t i = 0; i < sizeof routes / sizeof *routes; i++)
        concur_server_route(server, routes[i].pattern, routes[i].flags, routes[i].handler, NULL);
    concur_server_before(server, "/test/around", 0, first_before, NULL);
    concur_server_after(server, "/test/around/", 0, first_after, NULL);
    concur_server_before(server, "/test/around", CONCUR_ROUTES_MAIN_ONLY, second_before, NULL);
    concur_server_after(server, "/test/around", 0, second_after, NULL);
    concur_server_page(server, CONCUR_PAGE_ALL, json_page, NULL);
    concur_server_page(server, CONCUR_PAGE_5XX, page_5xx, NULL);
    concur_server_page(server, 404, page_404, NULL);
}
