/* SPDX-License-Identifier: MIT
 *
 * A JSON API over SQLite: one table, one statement for each call. SQLite's own functions read and make the JSON.
 *     ./notes --database notes.db --engine thread &
 *     curl -H 'Content-Type: application/json' -d '{"title":"a","text":"b"}' http://127.0.0.1:8080/notes
 *   GET /notes?from=ID                 200: up to 100 notes, from that id on
 *   POST /notes                        201 with Location; 409: the title is taken
 *   GET, PUT, DELETE /notes/{id}       200, 200, 204; 404: there is no such note; PUT 409 as above
 *
 * A bad note: 400; one over 16 KiB: 413; of another type: 415. Errors have a body of JSON. A note is stored as the JSON that
 * the client sent, so no text is decoded or escaped here. The table itself checks what a note is.
 */
#include <sqlite3.h>
#include <stdbool.h>

#include "run.h"

/* json_valid() comes first, in a CASE, since the other functions fail if the text is not JSON. */
static const char schema[] =
    "PRAGMA journal_mode = WAL;"
    "CREATE TABLE IF NOT EXISTS note (id INTEGER PRIMARY KEY AUTOINCREMENT,"
    " doc TEXT NOT NULL CHECK (CASE WHEN json_valid(doc) THEN json_type(doc) = 'object'"
    " AND json_type(doc, '$.title') IS 'text' AND json_type(doc, '$.text') IS 'text' ELSE 0 END));"
    "CREATE UNIQUE INDEX IF NOT EXISTS note_title ON note (json_extract(doc, '$.title'))";

#define NOTE "json_set(doc, '$.id', id)"
#define HAS_ID "WHERE id = ?1 AND id || '' = ?1" /* "01" is not the id 1 */

/* ?1 is the id or `from`, ?2 the body. Each statement returns the body of the reply. */
static const struct call {
    const char *route, *sql;
    int status;
    bool takes_note;
} calls[] = {
    { "GET /notes", "SELECT json_group_array(json(one)) FROM (SELECT " NOTE " AS one FROM note"
                    " WHERE id >= CAST(coalesce(?1, 0) AS INTEGER) ORDER BY id LIMIT 100)", 200, false },
    { "POST /notes", "INSERT INTO note (doc) VALUES (?2) RETURNING " NOTE, 201, true },
    { "GET /notes/{id}", "SELECT " NOTE " FROM note " HAS_ID, 200, false },
    { "PUT /notes/{id}", "UPDATE note SET doc = ?2 " HAS_ID " RETURNING " NOTE, 200, true },
    { "DELETE /notes/{id}", "DELETE FROM note " HAS_ID " RETURNING ''", 204, false },
};

static concur_local *connections; /* set before any fork, then only read */

/* Each thread has its own connection, so SQLite needs no mutex. */
static void *connect_to(void *path)
{
    sqlite3 *db = NULL;
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE;
    if (sqlite3_open_v2(path, &db, flags, NULL) == SQLITE_OK && sqlite3_busy_timeout(db, 5000) == SQLITE_OK)
        return db;
    fprintf(stderr, "notes: %s: %s\n", (const char *)path, db ? sqlite3_errmsg(db) : "out of memory");
    sqlite3_close(db);
    return NULL;
}

static void disconnect(void *db) { sqlite3_close(db); }
/* Makes the body for a status that a handler or the library has returned. */
static int page(concur_request *r, int status, void *arg)
{
    (void)arg;
    const char *why = status == 400 ? "not an object with the texts title and text, in UTF-8"
                      : status == 409 ? "the title is taken" : status == 413 ? "a note has at most 16 KiB"
                      : status == 415 ? "not application/json" : status < 500 ? "no such note or call" : "try again later";
    return concur_reply_printf(r, status, "application/json", "{\"error\":\"%s\"}\n", why);
}

static int status_of(sqlite3 *db, int code)
{
    switch (code) {
    case SQLITE_DONE: return 404;
    case SQLITE_CONSTRAINT_CHECK: return 400;
    case SQLITE_CONSTRAINT_UNIQUE: return 409;
    case SQLITE_BUSY: return CONCUR_E_FULL;
    default: fprintf(stderr, "notes: %s\n", sqlite3_errmsg(db)); return 500; /* not the client's fault */
    }
}

/* JSON must be UTF-8 (RFC 8259 section 8.1). SQLite does not check that, and takes a NUL for the end of the text. */
static bool is_text(const char *text, size_t n)
{
    for (const unsigned char *p = (const unsigned char *)text; *p;) {
        int more = *p < 0x80 ? 0 : *p < 0xc2 ? -1 : *p < 0xe0 ? 1 : *p < 0xf0 ? 2 : *p < 0xf5 ? 3 : -1;
        if (more < 0 || (*p == 0xe0 && p[1] < 0xa0) || (*p == 0xed && p[1] > 0x9f) || (*p == 0xf0 && p[1] < 0x90) ||
            (*p == 0xf4 && p[1] > 0x8f))
            return false;
        for (p++; more > 0; more--)
            if ((*p++ & 0xc0) != 0x80)
                return false;
    }
    return strlen(text) == n;
}

/* The second step ends the transaction. Only then is the reply sent. */
static int answer(concur_request *r, sqlite3 *db, sqlite3_stmt *s, const struct call *call)
{
    char location[40];
    int code = sqlite3_step(s);
    if (code != SQLITE_ROW)
        return status_of(db, code);
    char *text = sqlite3_mprintf("%s\n", (const char *)sqlite3_column_text(s, 0));
    code = sqlite3_step(s);
    if (!text || code != SQLITE_DONE) {
        sqlite3_free(text);
        return text ? status_of(db, code) : CONCUR_E_NOMEM;
    }
    snprintf(location, sizeof location, "/notes/%lld", (long long)sqlite3_last_insert_rowid(db));
    if (call->status == 201)
        concur_reply_header(r, "Location", location);
    return concur_reply_bytes(r, call->status, "application/json", text, strlen(text), sqlite3_free, text);
}

static int handler(concur_request *r, void *arg)
{
    const struct call *call = arg;
    size_t n;
    sqlite3_stmt *s = NULL;
    const char *id = concur_request_get(r, CONCUR_IN_PARAM, "id"), *body = concur_request_body(r, &n);
    const char *type = concur_request_get(r, CONCUR_IN_HEADER, "Content-Type");
    if (call->takes_note && (!type || sqlite3_strnicmp(type, "application/json", 16) || !strchr("; \t", type[16])))
        return 415; /* strchr() also finds the NUL at the end */
    if (call->takes_note && !is_text(body, n))
        return 400;
    sqlite3 *db = concur_local_get(connections);
    if (!db || sqlite3_prepare_v2(db, call->sql, -1, &s, NULL) != SQLITE_OK)
        return db ? status_of(db, SQLITE_ERROR) : 503;
    sqlite3_bind_text(s, 1, id ? id : concur_request_get(r, CONCUR_IN_QUERY, "from"), -1, SQLITE_STATIC);
    if (call->takes_note)
        sqlite3_bind_text(s, 2, body, (int)n, SQLITE_STATIC);
    int rc = answer(r, db, s, call);
    sqlite3_finalize(s);
    return rc;
}

int main(int argc, char **argv)
{
    char *path = run_flag(argc, argv, "--database", "notes.db");
    sqlite3 *db = run_checks(argc, argv) ? NULL : connect_to(path); /* closed before any fork */
    if (!run_checks(argc, argv) && (!db || sqlite3_exec(db, schema, NULL, NULL, NULL) != SQLITE_OK))
        return fprintf(stderr, "notes: no table: %s\n", db ? sqlite3_errmsg(db) : path), 1;
    disconnect(db);
    concur_server *server = concur_server_new(CONCUR_ENGINE_EVENT_POOL, NULL);
    connections = concur_server_local(server, connect_to, disconnect, path);
    concur_server_set(server, NULL, "body_max", "16k");
    concur_server_page(server, CONCUR_PAGE_ALL, page, NULL);
    for (size_t i = 0; i < sizeof calls / sizeof *calls; i++)
        concur_server_route(server, calls[i].route, CONCUR_ROUTE_BLOCKING, handler, (void *)&calls[i]);
    return run(server, argc, argv, "--database");
}
