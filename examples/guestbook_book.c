/* SPDX-License-Identifier: MIT
 *
 * The book: a SQLite file. Only one thread uses a connection, so SQLite needs no mutex (NOMUTEX). With a write-ahead
 * log (WAL) readers go on while one connection writes. Writers wait for each other up to BUSY_MS.
 */
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "guestbook.h"

enum { BUSY_MS = 5000 };

enum query { ADD, REMOVE, COUNT, NEWEST, FROM, QUERIES };

#define ENTRY "SELECT id, strftime('%Y-%m-%d %H:%M', at, 'unixepoch'), name, text FROM entry "
static const char *const queries[QUERIES] = {
    [ADD] = "INSERT INTO entry (at, name, text) VALUES (strftime('%s', 'now'), ?1, ?2)",
    [REMOVE] = "DELETE FROM entry WHERE id = ?1",
    [COUNT] = "SELECT count(*) FROM entry",
    [NEWEST] = ENTRY "ORDER BY id DESC LIMIT ?1",
    [FROM] = ENTRY "WHERE id >= ?2 ORDER BY id LIMIT ?1",
};

/* An id is never used again (AUTOINCREMENT), so that a page of /entries.json does not change later. */
static const char schema[] = "BEGIN IMMEDIATE;"
                             "CREATE TABLE IF NOT EXISTS entry (id INTEGER PRIMARY KEY AUTOINCREMENT,"
                             " at INTEGER NOT NULL, name TEXT NOT NULL, text TEXT NOT NULL);"
                             "COMMIT";

struct book {
    sqlite3 *db;
    sqlite3_stmt *statements[QUERIES];
};

/* Opening. */

static sqlite3 *connect(const char *path, int flags)
{
    sqlite3 *db = NULL;
    if (sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | flags, NULL) == SQLITE_OK &&
        sqlite3_busy_timeout(db, BUSY_MS) == SQLITE_OK)
        return db;
    fprintf(stderr, "guestbook: %s: %s\n", path, db ? sqlite3_errmsg(db) : "out of memory");
    sqlite3_close(db);
    return NULL;
}

/* Switches to WAL, which is stored in the file. That fails on some file systems, and for a database in memory, which
 * cannot be used here: each thread would have another one. */
static bool use_wal(sqlite3 *db)
{
    sqlite3_stmt *s = NULL;
    bool is_wal = false;
    if (sqlite3_prepare_v2(db, "PRAGMA journal_mode = WAL", -1, &s, NULL) == SQLITE_OK &&
        sqlite3_step(s) == SQLITE_ROW)
        is_wal = sqlite3_stricmp((const char *)sqlite3_column_text(s, 0), "wal") == 0;
    return sqlite3_finalize(s) == SQLITE_OK && is_wal;
}

/* Why the database cannot be used; NULL: it can. SQLite also opens a file that it may not write, and reports that only
 * when it writes. */
static const char *why_useless(sqlite3 *db)
{
    if (sqlite3_db_readonly(db, "main") == 1)
        return "is not writable";
    if (use_wal(db) && sqlite3_exec(db, schema, NULL, NULL, NULL) == SQLITE_OK)
        return NULL;
    return sqlite3_errcode(db) == SQLITE_OK ? "not a file that can have a write-ahead log" : sqlite3_errmsg(db);
}

bool book_create(const char *path)
{
    sqlite3 *db = connect(path, SQLITE_OPEN_CREATE);
    if (!db)
        return false;
    const char *why = why_useless(db);
    if (why)
        fprintf(stderr, "guestbook: %s: %s\n", path, why);
    sqlite3_close(db);
    return !why;
}

void book_close(void *arg)
{
    struct book *book = arg;
    for (int i = 0; i < QUERIES; i++)
        sqlite3_finalize(book->statements[i]);
    sqlite3_close(book->db);
    free(book);
}

static bool prepare(struct book *book)
{
    bool is_good = sqlite3_exec(book->db, "PRAGMA synchronous = NORMAL", NULL, NULL, NULL) == SQLITE_OK;
    for (int i = 0; is_good && i < QUERIES; i++)
        is_good = sqlite3_prepare_v3(book->db, queries[i], -1, SQLITE_PREPARE_PERSISTENT, &book->statements[i], NULL) ==
                  SQLITE_OK;
    if (!is_good)
        fprintf(stderr, "guestbook: %s\n", sqlite3_errmsg(book->db));
    return is_good;
}

void *book_open(void *path)
{
    struct book *book = calloc(1, sizeof *book);
    if (!book)
        return NULL;
    book->db = connect(path, 0);
    if (book->db && prepare(book))
        return book;
    book_close(book);
    return NULL;
}

/* Queries. */

static int fail(struct book *book, int rc)
{
    if (rc == SQLITE_BUSY)
        return CONCUR_E_FULL; /* others have written all the time: 503 with Retry-After */
    fprintf(stderr, "guestbook: %s\n", sqlite3_errmsg(book->db));
    return rc == SQLITE_NOMEM ? CONCUR_E_NOMEM : CONCUR_E_SYS;
}

/* Makes one step, then clears the statement's values. The reset also ends the transaction. */
static int run(struct book *book, enum query query)
{
    int rc = sqlite3_step(book->statements[query]);
    rc = rc == SQLITE_DONE ? CONCUR_OK : fail(book, rc);
    sqlite3_reset(book->statements[query]);
    sqlite3_clear_bindings(book->statements[query]);
    return rc;
}

int64_t book_add(struct book *book, const char *name, const char *text)
{
    sqlite3_bind_text(book->statements[ADD], 1, name, -1, SQLITE_STATIC);
    sqlite3_bind_text(book->statements[ADD], 2, text, -1, SQLITE_STATIC);
    int rc = run(book, ADD);
    return rc < 0 ? rc : sqlite3_last_insert_rowid(book->db);
}

int book_remove(struct book *book, int64_t id)
{
    sqlite3_bind_int64(book->statements[REMOVE], 1, id);
    int rc = run(book, REMOVE);
    return rc < 0 ? rc : sqlite3_changes(book->db);
}

int64_t book_count(struct book *book)
{
    sqlite3_stmt *s = book->statements[COUNT];
    int rc = sqlite3_step(s);
    int64_t count = rc == SQLITE_ROW ? sqlite3_column_int64(s, 0) : fail(book, rc);
    sqlite3_reset(s);
    return count;
}

static int read_entries(struct book *book, enum query query, entry_fn each, void *arg)
{
    sqlite3_stmt *s = book->statements[query];
    int rc;
    while ((rc = sqlite3_step(s)) == SQLITE_ROW) {
        const struct entry entry = {
            .id = sqlite3_column_int64(s, 0),
            .at = (const char *)sqlite3_column_text(s, 1),
            .name = (const char *)sqlite3_column_text(s, 2),
            .text = (const char *)sqlite3_column_text(s, 3),
        };
        if (!entry.at || !entry.name || !entry.text) {
            rc = SQLITE_NOMEM;
            break;
        }
        each(&entry, arg);
    }
    rc = rc == SQLITE_DONE ? CONCUR_OK : fail(book, rc);
    sqlite3_reset(s); /* also ends the read transaction; while one is open, the log cannot be truncated */
    return rc;
}

int book_newest(struct book *book, int most, entry_fn each, void *arg)
{
    sqlite3_bind_int(book->statements[NEWEST], 1, most);
    return read_entries(book, NEWEST, each, arg);
}

int book_from(struct book *book, int64_t id, int most, entry_fn each, void *arg)
{
    sqlite3_bind_int(book->statements[FROM], 1, most);
    sqlite3_bind_int64(book->statements[FROM], 2, id);
    return read_entries(book, FROM, each, arg);
}
