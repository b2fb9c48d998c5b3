/* SPDX-License-Identifier: MIT
 *
 * Parses an HTTP/1.1 response as its bytes come, and looks for a text in its body. It is strict: what is not HTTP/1.1
 * is GARBLED. The result depends on the bytes, not on how they were split. No I/O, no allocation.
 */
#ifndef TOOLS_RESPONSE_H
#define TOOLS_RESPONSE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { RESPONSE_LINE_MAX = 256, RESPONSE_EXPECT_MAX = 255 };

/* A text to look for, and where the search goes on after a mismatch. */
struct expected {
    const char *text; /* borrowed; NULL: any body is good */
    uint8_t len;
    uint8_t back[RESPONSE_EXPECT_MAX];
};

enum response_state {
    RESPONSE_STATUS,
    RESPONSE_FIELDS,
    RESPONSE_BODY, /* of `left` bytes */
    RESPONSE_CHUNK_SIZE,
    RESPONSE_CHUNK,
    RESPONSE_CHUNK_END,
    RESPONSE_TRAILERS,
    RESPONSE_UNTIL_CLOSE,
    RESPONSE_DONE,
    RESPONSE_GARBLED
};

struct response {
    enum response_state state;
    int status;
    bool is_head; /* the request was a HEAD */
    bool closes;  /* the connection ends with it */
    bool has_retry_after;
    bool found;
    /* of the head */
    bool has_length, is_chunked, is_old;
    uint8_t matched; /* bytes of the expected text that match so far */
    const struct expected *expected;
    uint64_t left;
    uint64_t body_len;
    /* A line that is not complete, or the beginning of a longer one. INV: line_len <= line_seen */
    uint32_t line_len, line_seen;
    char last; /* the last byte of the line so far */
    char line[RESPONSE_LINE_MAX];
};

/* text NULL: none. At most RESPONSE_EXPECT_MAX bytes. */
void expected_init(struct expected *e, const char *text);
void response_begin(struct response *r, bool is_head, const struct expected *e);
/* Takes bytes up to the end of the response, and returns how many; fewer than n only if it is DONE or GARBLED. */
size_t response_feed(struct response *r, const char *bytes, size_t n);
/* The server has closed. True: the response ends with that, and is DONE now. */
bool response_eof(struct response *r);

#endif
