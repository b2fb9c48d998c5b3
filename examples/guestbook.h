/* SPDX-License-Identifier: MIT
 *
 * Shared by the files of the guestbook.
 *
 *   guestbook.c        the command line, start and stop
 *   guestbook_book.c   the book: a SQLite file, and a thread's connection to it
 *   guestbook_pages.c  the routes
 */
#ifndef GUESTBOOK_H
#define GUESTBOOK_H

#include <stdbool.h>
#include <stdint.h>

#include <concur/concur.h>

/* A thread's connection with its prepared statements. If SQLite fails, the functions below return a negative code of
 * <concur/error.h>, and write the reason to stderr. */
struct book;

struct entry {
    int64_t id;
    const char *at; /* "2026-01-31 12:00", UTC */
    const char *name, *text;
};

/* Called for each entry; its texts are valid during the call. */
typedef void (*entry_fn)(const struct entry *entry, void *arg);

/* Creates the file and its table, unless they exist, and checks that the file can be written. Nothing stays open, since
 * engines with several processes fork afterwards. false: the reason was written to stderr. */
bool book_create(const char *path);

/* For concur_server_local(): makes one for each thread, in each process. */
void *book_open(void *path);
void book_close(void *book);

/* Returns the new entry's id. */
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
    const char *token; /* with it a client may remove entries; NULL: nobody may */
};

/* Adds the routes. site must live until the server is freed. */
void pages_add(concur_server *server, struct site *site);

#endif
