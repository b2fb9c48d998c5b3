/* SPDX-License-Identifier: MIT
 *
 * What the files of the guestbook share.
 *
 *   guestbook.c        the command line, start and stop
 *   guestbook_book.c   the book: a SQLite file, and what one thread has open of it
 *   guestbook_pages.c  the routes
 */
#ifndef GUESTBOOK_H
#define GUESTBOOK_H

#include <stdbool.h>
#include <stdint.h>

#include <concur/concur.h>

/* A thread's own connection with its prepared statements. What follows returns a negative code of <concur/error.h> when
 * SQLite fails, and says why on stderr. */
struct book;

struct entry {
    int64_t id;
    const char *at; /* "2026-01-31 12:00", UTC */
    const char *name, *text;
};

/* Called for each entry; its texts are valid during the call. */
typedef void (*entry_fn)(const struct entry *entry, void *arg);

/* Makes the file if there is none, and its table; sees that it can be written. Nothing stays open, as the engines with
 * several processes fork afterwards. false: said why on stderr. */
bool book_create(const char *path);

/* For concur_server_local(): one for each thread, in whatever process. arg is the path. */
void *book_open(void *path);
void book_close(void *book);

/* The new entry's id. */
int64_t book_add(struct book *book, const char *name, const char *text);
/* 1: removed, 0: there was none. */
int book_remove(struct book *book, int64_t id);
int64_t book_count(struct book *book);
/* The newest first. */
int book_newest(struct book *book, int most, entry_fn each, void *arg);
/* From that id on, the oldest first. */
int book_from(struct book *book, int64_t id, int most, entry_fn each, void *arg);

/* The argument of every route. */
struct site {
    concur_local *books;
    const char *token; /* of who may remove entries; NULL: nobody */
};

/* site must live until the server is freed. */
void pages_add(concur_server *server, struct site *site);

#endif
