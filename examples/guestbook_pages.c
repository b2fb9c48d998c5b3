/* SPDX-License-Identifier: MIT
 *
 * The routes of the guestbook.
 *
 *   GET /                        the newest entries and a form, as HTML
 *   POST /entries                adds one: name and text of a form; 303 to the list, or 400 with the reason
 *   GET /entries.json?from=ID    entries from that id on, and the id for the next call
 *   DELETE /entries/{id}         with "Authorization: Bearer TOKEN"
 *   GET /count                   how many there are
 *
 * All of them are blocking routes, since SQLite reads files: on engines with a pool they run on its threads, on others in
 * place.
 */
#include <inttypes.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "guestbook.h"

enum { NAME_BYTES = 60, TEXT_BYTES = 2000, SHOWN = 20, JSON_SHOWN = 100 };

/* What the client sent. */

/* The length of the UTF-8 character at p; 0: it is not valid. */
static size_t utf8_len(const unsigned char *p)
{
    size_t n = *p < 0x80 ? 1 : *p < 0xc2 ? 0 : *p < 0xe0 ? 2 : *p < 0xf0 ? 3 : *p < 0xf5 ? 4 : 0;
    for (size_t i = 1; i < n; i++)
        if ((p[i] & 0xc0) != 0x80)
            return 0;
    bool is_none = (*p == 0xe0 && p[1] < 0xa0) || (*p == 0xed && p[1] > 0x9f) || (*p == 0xf0 && p[1] < 0x90) ||
                   (*p == 0xf4 && p[1] > 0x8f);
    return is_none ? 0 : n;
}

/* Is it at most max bytes of UTF-8, not blank, and without control characters except newlines, if these are allowed? */
static bool is_text(const char *text, size_t max, bool may_have_lines)
{
    if (!text || strlen(text) > max || text[strspn(text, " \t\r\n")] == '\0')
        return false;
    for (const unsigned char *p = (const unsigned char *)text; *p;) {
        size_t n = utf8_len(p);
        bool is_space = may_have_lines && (*p == '\n' || *p == '\r' || *p == '\t');
        if (n == 0 || *p == 0x7f || (*p < ' ' && !is_space))
            return false;
        p += n;
    }
    return true;
}

/* Parses digits. False: it has other characters, or the number is too large. */
static bool parse_id(const char *text, int64_t *out)
{
    size_t n = text ? strspn(text, "0123456789") : 0;
    if (n == 0 || n > 18 || text[n])
        return false;
    *out = strtoll(text, NULL, 10);
    return true;
}

/* Compares in a time that does not depend on where the texts differ. */
static bool is_secret(const char *given, const char *secret)
{
    size_t given_len = strlen(given), len = strlen(secret);
    unsigned difference = given_len != len;
    for (size_t i = 0; i < given_len; i++)
        difference |= (unsigned char)given[i] ^ (unsigned char)secret[i % (len + 1)];
    return difference == 0;
}

/* What is sent back. */

static void put_html(sqlite3_str *out, const char *text)
{
    for (; *text; text++) {
        switch (*text) {
        case '&': sqlite3_str_appendall(out, "&amp;"); break;
        case '<': sqlite3_str_appendall(out, "&lt;"); break;
        case '>': sqlite3_str_appendall(out, "&gt;"); break;
        case '"': sqlite3_str_appendall(out, "&quot;"); break;
        case '\'': sqlite3_str_appendall(out, "&#39;"); break;
        default: sqlite3_str_append(out, text, 1);
        }
    }
}

/* Adds a JSON string (RFC 8259 section 7). */
static void put_json(sqlite3_str *out, const char *text)
{
    sqlite3_str_appendchar(out, 1, '"');
    for (; *text; text++) {
        if (*text == '"' || *text == '\\')
            sqlite3_str_appendchar(out, 1, '\\');
        if ((unsigned char)*text < ' ')
            sqlite3_str_appendf(out, "\\u%04x", *text);
        else
            sqlite3_str_append(out, text, 1);
    }
    sqlite3_str_appendchar(out, 1, '"');
}

/* Sends the text, or an error status if it could not be made. The text is passed to the library without a copy. */
static int send_text(concur_request *r, int rc, const char *type, sqlite3_str *out)
{
    int len = sqlite3_str_length(out);
    char *text = sqlite3_str_finish(out);
    if (rc == CONCUR_OK && text)
        return concur_reply_bytes(r, 200, type, text, (size_t)len, sqlite3_free, text);
    sqlite3_free(text);
    return rc < 0 ? rc : CONCUR_E_NOMEM;
}

static const char policy[] = "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'";
static const char page_head[] =
    "<!doctype html>\n"
    "<html lang=\"en\">\n"
    "<meta charset=\"utf-8\">\n"
    "<meta name=\"viewport\" content=\"width=device-width\">\n"
    "<title>Guestbook</title>\n"
    "<style>body{font:1em/1.5 sans-serif;max-width:40em;margin:2em auto;padding:0 1em}"
    "label,input,textarea{display:block;width:100%;box-sizing:border-box}article p{white-space:pre-line}</style>\n"
    "<h1>Guestbook</h1>\n"
    "<form method=\"post\" action=\"/entries\">\n"
    "<label>Name <input name=\"name\" maxlength=\"60\" required></label>\n"
    "<label>Text <textarea name=\"text\" maxlength=\"2000\" required></textarea></label>\n"
    "<button>Sign</button>\n"
    "</form>\n";

static void put_article(const struct entry *entry, void *arg)
{
    sqlite3_str *out = arg;
    sqlite3_str_appendf(out, "<article id=\"entry-%lld\">\n<h2>", (long long)entry->id);
    put_html(out, entry->name);
    sqlite3_str_appendf(out, "</h2>\n<time>%s</time>\n<p>", entry->at);
    put_html(out, entry->text);
    sqlite3_str_appendall(out, "</p>\n</article>\n");
}

/* The routes. */

static int front(concur_request *r, void *arg)
{
    const struct site *site = arg;
    struct book *book = concur_local_get(site->books);
    sqlite3_str *out = sqlite3_str_new(NULL);
    sqlite3_str_appendall(out, page_head);
    int rc = book ? book_newest(book, SHOWN, put_article, out) : CONCUR_E_SYS;
    concur_reply_header(r, "Content-Security-Policy", policy);
    return send_text(r, rc, "text/html; charset=utf-8", out);
}

static int add(concur_request *r, void *arg)
{
    const struct site *site = arg;
    const char *name = concur_request_get(r, CONCUR_IN_FORM, "name");
    const char *text = concur_request_get(r, CONCUR_IN_FORM, "text");
    if (!is_text(name, NAME_BYTES, false))
        return concur_reply_printf(r, 400, NULL, "name: a line of UTF-8, 1 to %d bytes.\n", NAME_BYTES);
    if (!is_text(text, TEXT_BYTES, true))
        return concur_reply_printf(r, 400, NULL, "text: UTF-8, 1 to %d bytes.\n", TEXT_BYTES);
    struct book *book = concur_local_get(site->books);
    int64_t id = book ? book_add(book, name, text) : CONCUR_E_SYS;
    if (id < 0)
        return (int)id;
    char place[40];
    snprintf(place, sizeof place, "/#entry-%" PRId64, id);
    concur_reply_header(r, "Location", place);
    return concur_reply_text(r, 303, NULL);
}

struct listing {
    sqlite3_str *out;
    int count;
    int64_t last;
};

static void put_object(const struct entry *entry, void *arg)
{
    struct listing *l = arg;
    sqlite3_str_appendf(l->out, "%s{\"id\":%lld,\"at\":\"%s\",\"name\":", l->count ? ",\n" : "",
                        (long long)entry->id, entry->at);
    put_json(l->out, entry->name);
    sqlite3_str_appendall(l->out, ",\"text\":");
    put_json(l->out, entry->text);
    sqlite3_str_appendall(l->out, "}");
    l->last = entry->id;
    l->count++;
}

static int list(concur_request *r, void *arg)
{
    const struct site *site = arg;
    int64_t from = 0;
    const char *text = concur_request_get(r, CONCUR_IN_QUERY, "from");
    if (text && !parse_id(text, &from))
        return concur_reply_text(r, 400, "from: the id of an entry.\n");
    struct book *book = concur_local_get(site->books);
    struct listing l = { .out = sqlite3_str_new(NULL), .last = from - 1 };
    sqlite3_str_appendall(l.out, "{\"entries\":[");
    int rc = book ? book_from(book, from, JSON_SHOWN, put_object, &l) : CONCUR_E_SYS;
    sqlite3_str_appendf(l.out, "],\"next\":%lld}\n", (long long)l.last + 1);
    return send_text(r, rc, "application/json", l.out);
}

static bool may_remove(concur_request *r, const struct site *site)
{
    static const char scheme[] = "Bearer ";
    const char *given = concur_request_get(r, CONCUR_IN_HEADER, "Authorization");
    return site->token && given && strncmp(given, scheme, sizeof scheme - 1) == 0 &&
           is_secret(given + sizeof scheme - 1, site->token);
}

static int drop(concur_request *r, void *arg)
{
    const struct site *site = arg;
    int64_t id;
    if (!may_remove(r, site)) {
        concur_reply_header(r, "WWW-Authenticate", "Bearer");
        return concur_reply_text(r, 401, "Removing entries needs a token.\n");
    }
    if (!parse_id(concur_request_get(r, CONCUR_IN_PARAM, "id"), &id))
        return 404;
    struct book *book = concur_local_get(site->books);
    int rc = book ? book_remove(book, id) : CONCUR_E_SYS;
    return rc < 0 ? rc : rc == 0 ? 404 : concur_reply_text(r, 204, NULL);
}

static int count(concur_request *r, void *arg)
{
    const struct site *site = arg;
    struct book *book = concur_local_get(site->books);
    int64_t n = book ? book_count(book) : CONCUR_E_SYS;
    return n < 0 ? (int)n : concur_reply_printf(r, 200, NULL, "%" PRId64 "\n", n);
}

void pages_add(concur_server *server, struct site *site)
{
    concur_server_route(server, "GET /", CONCUR_ROUTE_BLOCKING, front, site);
    concur_server_route(server, "POST /entries", CONCUR_ROUTE_BLOCKING, add, site);
    concur_server_route(server, "GET /entries.json", CONCUR_ROUTE_BLOCKING, list, site);
    concur_server_route(server, "DELETE /entries/{id}", CONCUR_ROUTE_BLOCKING, drop, site);
    concur_server_route(server, "GET /count", CONCUR_ROUTE_BLOCKING, count, site);
    concur_server_set(server, "route POST /entries", "body_max", "16k"); /* an escaped byte takes three */
}
