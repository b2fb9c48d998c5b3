/* SPDX-License-Identifier: MIT
 *
 * The table of requests, valid and invalid, with what RFC 9110 and RFC 9112 (and, where they leave a choice, our
 * decisions) demand. Every engine answers each row alike.
 */
#ifndef E2E_TABLE_H
#define E2E_TABLE_H

#include <check.h>
#include <stdbool.h>
#include <stddef.h>

enum fate {
    KEEP,  /* what follows on the connection is answered */
    CLOSE, /* nothing that follows is answered; the end is clean */
    EITHER /* one of the two, as the reply says */
};

struct row {
    const char *name;
    const char *bytes; /* n bytes, then `unit` so many `times`, then `tail` */
    size_t n;
    const char *unit, *tail;
    unsigned times;
    int status, other; /* other: 0, or a status that is as good */
    enum fate fate;
    const char *head; /* NULL, or a field line that must be there, up to its value's end */
    const char *body; /* NULL, or the body */
    const char *lacks; /* NULL, or the name of a field that must not be there */
    bool has_allow;
    int continues; /* replies of 100 before it */
};

extern const struct row table_rows[];
extern const size_t table_row_count;

/* The options that the rows count on; NULL at the end of demo_start's arguments is not among them. */
#define TABLE_OPTIONS                                                                                                  \
    "--set", "line_max=8192", "--set", "head_max=32768", "--set", "fields_max=100", "--set", "body_max=1048576"

struct demo;

/* table_cases.c: adds the cases that send the rows to every engine of the demo, whose replies must not differ. reference: a program
 * whose replies, on the first engine, are theirs too; NULL: none. at_end: called with each demo after its rows; may be NULL. */
void table_add(Suite *s, const char *reference, void (*at_end)(const struct demo *d));

#endif
