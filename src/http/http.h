/* SPDX-License-Identifier: MIT
 *
 * HTTP/1.1 without I/O: bytes in, requests out; replies in, bytes out (RFC 9110, RFC 9112). Nothing here knows of
 * descriptors, clocks or threads. One machine serves all engines.
 *
 *   request side   cnc_http_head_parse() over growing input until a head is complete or bad,
 *                  then cnc_http_body_next() until END or BAD
 *   reply side     cnc_http_reply_head(), then body bytes as cnc_http_chunk_*() frame them
 *
 * Verdicts depend on the bytes alone, never on how they were cut into pieces: a line is checked when its LF is there, or
 * when it has grown over its limit.
 */
#ifndef CNC_HTTP_H
#define CNC_HTTP_H

#include "base/base.h"

/* Bytes, except fields_max. All but fields_max may have any value below 2^30. */
struct cnc_http_limits {
    uint32_t line_max;      /* request line (else 414) or one field line (else 431), without CRLF */
    uint32_t head_max;      /* request line, fields and empty line (else 431; 414 while still in the request line) */
    uint32_t fields_max;    /* field lines (else 431); 1..1000 */
    uint32_t chunk_ext_max; /* extension bytes over one whole body (else 400) */
    uint32_t trailer_max;   /* bytes of the trailer section (else 431) */
};

enum cnc_http_method {
    CNC_HTTP_OTHER = 0, /* a token that is none of these */
    CNC_HTTP_GET = 1,
    CNC_HTTP_HEAD = 2,
    CNC_HTTP_POST = 3,
    CNC_HTTP_PUT = 4,
    CNC_HTTP_DELETE = 5,
    CNC_HTTP_OPTIONS = 6,
    CNC_HTTP_PATCH = 7,
    CNC_HTTP_TRACE = 8,
    CNC_HTTP_CONNECT = 9
};

/* RFC 9112 §3.2 */
enum cnc_http_form { CNC_HTTP_ORIGIN = 0, CNC_HTTP_ABSOLUTE = 1, CNC_HTTP_AUTHORITY = 2, CNC_HTTP_ASTERISK = 3 };

/* Field names that the library looks at; recognised once, while parsing. */
enum cnc_http_name {
    CNC_HTTP_NAME_OTHER = 0,
    CNC_HTTP_NAME_HOST,
    CNC_HTTP_NAME_CONNECTION,
    CNC_HTTP_NAME_CONTENT_LENGTH,
    CNC_HTTP_NAME_TRANSFER_ENCODING,
    CNC_HTTP_NAME_EXPECT,
    CNC_HTTP_NAME_UPGRADE,
    CNC_HTTP_NAME_CONTENT_TYPE,
    CNC_HTTP_NAME_COOKIE,
    CNC_HTTP_NAME_ACCEPT,
    CNC_HTTP_NAME_ACCEPT_ENCODING,
    CNC_HTTP_NAME_USER_AGENT,
    CNC_HTTP_NAME_COUNT
};

/* at: an offset from the head's first byte, so that the head may be copied and moved. */
struct cnc_http_span {
    uint32_t at, len;
};

/* value: without surrounding white space. The bytes right after name and value are delimiters (":" and white space or
 * CR), so a copy of the head may put NULs there. */
struct cnc_http_field {
    uint32_t name;
    uint32_t value;
    uint32_t value_len;
    uint16_t name_len;
    uint8_t id; /* enum cnc_http_name */
    uint8_t reserved;
};

enum {
    CNC_HTTP_KEEP_ALIVE = 1,      /* the connection may persist after this request (RFC 9112 §9.3) */
    CNC_HTTP_CHUNKED = 2,         /* the body is chunked */
    CNC_HTTP_EXPECT_CONTINUE = 4, /* Expect: 100-continue on HTTP/1.1 (RFC 9110 §10.1.1) */
    CNC_HTTP_UPGRADE = 8,         /* Upgrade with Connection: upgrade (RFC 9110 §7.8) */
    CNC_HTTP_HAS_BODY = 16        /* the body has bytes, or is chunked */
};

/* A request head, parsed incrementally. fields is the caller's array of at least limits->fields_max entries. */
struct cnc_http_head {
    /* the parser's state between calls */
    uint32_t pos;  /* start of the first line not parsed yet */
    uint32_t scan; /* the input before this has no LF that belongs to that line */
    uint8_t phase;
    uint8_t seen;  /* CNC_SEEN_* bits (head.h): Host, Content-Length, ... */
    /* results; complete when cnc_http_head_parse() returned CNC_HTTP_HEAD_DONE */
    uint8_t method; /* enum cnc_http_method */
    uint8_t form;   /* enum cnc_http_form */
    uint8_t minor;  /* 0 or 1: HTTP/1.0, or HTTP/1.1 and later minors (RFC 9110 §2.5) */
    uint8_t flags;  /* CNC_HTTP_* bits */
    uint16_t field_count;
    uint32_t len;   /* bytes of the head, leading empty lines and the closing empty line included */
    struct cnc_http_span method_text;
    struct cnc_http_span target; /* as sent */
    struct cnc_http_span path;   /* raw, starts with "/"; "*" for asterisk-form; len 0 for absolute-form without: "/" */
    struct cnc_http_span query;  /* raw, without "?"; len 0 if absent */
    struct cnc_http_span host;   /* of the target if it has one, else of Host (RFC 9112 §3.2.2); len 0: neither, on HTTP/1.0 */
    int64_t content_length;      /* -1: no Content-Length */
    struct cnc_http_field *fields;
};

/* Makes h ready for a new head. fields: see struct cnc_http_head; need not be initialized. */
void cnc_http_head_init(struct cnc_http_head *h, struct cnc_http_field *fields);

enum { CNC_HTTP_HEAD_MORE = 0, CNC_HTTP_HEAD_DONE = 1 }; /* else a status: the head is bad */

/* Parses as far as buf allows. buf[0..len) must begin with the head's first byte and hold all that earlier calls for
 * this head saw (it may have moved). Returns MORE, DONE (h->len bytes belong to the head; bytes beyond it are not parsed)
 * or a status 400, 414, 431, 501 or 505: answer it and close. */
int cnc_http_head_parse(struct cnc_http_head *h, const struct cnc_http_limits *limits, const char *buf, size_t len);

/* True if buf has nothing but CR LF pairs, of which the last may lack its LF, or is empty. These may precede a request
 * (RFC 9112 §2.2), so no head has begun. */
bool cnc_http_head_is_idle(const char *buf, size_t len);

/* The body machine; small, since each connection has one. */
struct cnc_http_body {
    int64_t left;      /* bytes left of the body, or of the current chunk */
    uint32_t ext;      /* extension bytes seen in this body */
    uint32_t trailer;  /* trailer bytes seen */
    uint8_t state;
    uint8_t digits;    /* hexadecimal digits of the current chunk size */
    uint8_t reserved[6];
};

enum {
    CNC_HTTP_BODY_MORE = 0, /* all input consumed, the body goes on */
    CNC_HTTP_BODY_DATA = 1, /* *data holds the next bytes, in place */
    CNC_HTTP_BODY_END = 2   /* complete; input beyond it is not consumed. Every later call returns this too */
};                          /* else a status: 400 or 431; answer it and close */

/* Takes the framing from the head (RFC 9112 §6.3). Without a body the first call of next returns END. */
void cnc_http_body_init(struct cnc_http_body *b, const struct cnc_http_head *h);
/* Advances *in. DATA slices point into the input and are valid as long as it is. Trailers are checked and dropped. */
int cnc_http_body_next(struct cnc_http_body *b, const struct cnc_http_limits *limits, struct cnc_slice *in,
                       struct cnc_slice *data);
#define CNC_HTTP_BODY_IS_DONE 1 /* the value of state once the body is complete */

static inline bool cnc_http_body_is_done(const struct cnc_http_body *b)
{
    return b->state == CNC_HTTP_BODY_IS_DONE;
}

/* With Content-Length the number of bytes to come; 0 when done; else -1: unknown. */
int64_t cnc_http_body_left(const struct cnc_http_body *b);

/* Decodes a raw path once and removes dot segments (RFC 3986 §5.2.4); keeps "//". out has room for n + 1 bytes and gets a
 * NUL. Returns the length, or -1 when the path is bad: no "/" at its start (unless it is "*"), a broken escape, a NUL, encoded
 * or not, an encoded "/", or dot segments that leave the root. */
long cnc_http_path_decode(char *out, const char *p, size_t n);
/* The same for the path of a head; none counts as "/". out has room for its bytes and two more. */
long cnc_http_path_of(char *out, const struct cnc_http_head *head, const char *bytes);
/* Decodes a query or form component: escapes, and "+" as space. out has room for n + 1 bytes, gets a NUL, and may be p.
 * Returns the length, or -1 on a broken escape or a NUL, encoded or not. */
long cnc_http_form_decode(char *out, const char *p, size_t n);

/* Replies. */
enum cnc_http_framing {
    CNC_HTTP_FRAME_NONE = 0,    /* no body bytes at all: HEAD, 1xx, 204, 205, 304 */
    CNC_HTTP_FRAME_LENGTH = 1,  /* Content-Length */
    CNC_HTTP_FRAME_CHUNKED = 2,
    CNC_HTTP_FRAME_CLOSE = 3    /* HTTP/1.0 without a length: the connection's end is the body's end */
};

/* A field of a reply. */
struct cnc_http_pair {
    struct cnc_slice name, value;
};

struct cnc_http_pairs {
    struct cnc_http_pair *p;
    uint32_t n;
    uint32_t size; /* bytes of all lines "name: value\r\n" */
};

struct cnc_http_reply {
    int status;               /* 200..599; 101; of an interim reply 102..199 */
    int64_t length;           /* of the body; -1: unknown. cnc_http_reply_frame() changes it to what is sent */
    struct cnc_slice type;    /* Content-Type; n 0: none */
    struct cnc_http_pairs fields; /* further fields */
    struct cnc_slice date;    /* 29 bytes, as cnc_http_date() makes them */
    uint8_t method;           /* of the request: HEAD sends the length but no body (RFC 9110 §9.3.2) */
    uint8_t minor;            /* of the request */
    bool keep_alive;          /* set by the caller: the connection may persist; after cnc_http_reply_frame(): it does */
    uint8_t framing;          /* set by cnc_http_reply_frame() */
};

/* False: a reply with this status has no content, whatever the request was (RFC 9110 §6.4.1, §15.3.6). */
bool cnc_http_has_content(int status);
/* Decides framing and persistence (RFC 9112 §6.1, §9.3; RFC 9110 §6.4.1, §8.6). Call it before cnc_http_reply_head(). */
void cnc_http_reply_frame(struct cnc_http_reply *r);
/* Most bytes that cnc_http_reply_head() writes besides the value of Content-Type and the further fields. */
#define CNC_HTTP_REPLY_CONSTANT 320

/* An upper bound for cnc_http_reply_head(). */
static inline size_t cnc_http_reply_size(const struct cnc_http_reply *r)
{
    return CNC_HTTP_REPLY_CONSTANT + r->type.n + r->fields.size;
}

/* Writes status line, Date, Content-Type, framing, Connection, fields and the empty line; returns the bytes written.
 * Connection: close when not keep_alive, Connection: keep-alive when minor is 0 and keep_alive, else none.
 * Content-Length is sent on HEAD when length >= 0, as 0 on 205, never on 1xx, 204 and 304 (RFC 9110 §8.6). */
size_t cnc_http_reply_head(char *out, const struct cnc_http_reply *r);
/* Writes the head of an interim reply (RFC 9110 §15.2): status line, fields and the empty line; returns the bytes written, at
 * most cnc_http_reply_size(). */
size_t cnc_http_interim_head(char *out, const struct cnc_http_reply *r);

/* The bytes of the line of one field. */
static inline size_t cnc_http_pair_size(const struct cnc_http_pair *pair)
{
    return pair->name.n + 2 + pair->value.n + 2;
}

#define CNC_HTTP_CHUNK_HEAD_MAX 18 /* 16 hexadecimal digits, CR LF */
size_t cnc_http_chunk_head(char *out, uint64_t n);
#define CNC_HTTP_CHUNK_TAIL CNC_SLICE("\r\n")
#define CNC_HTTP_CHUNK_END CNC_SLICE("0\r\n\r\n")
#define CNC_HTTP_CONTINUE CNC_SLICE("HTTP/1.1 100 Continue\r\n\r\n")

#define CNC_HTTP_DATE_LEN 29
/* "Sun, 06 Nov 1994 08:49:37 GMT" for seconds since 1970 (RFC 9110 §5.6.7); no NUL. */
void cnc_http_date(char out[CNC_HTTP_DATE_LEN], int64_t unix_s);

#define CNC_HTTP_TEXT_TYPE "text/plain; charset=utf-8"

/* Writes the body of a reply that the library makes itself, for example "404 Not Found\n"; its type is CNC_HTTP_TEXT_TYPE.
 * Returns the length; no NUL. */
#define CNC_HTTP_PAGE_MAX 64
size_t cnc_http_page(char out[CNC_HTTP_PAGE_MAX], int status);

/* The reason phrase of a status; "" when it has none. */
const char *cnc_http_reason(int status);
/* The method with this name on the wire; OTHER when unknown. */
int cnc_http_method_parse(const char *p, size_t n);

/* Field syntax for replies (RFC 9110 §5.1, §5.5): a token; visible bytes, obs-text, inner SP and HTAB, no CR, LF or NUL. */
bool cnc_http_is_token(const char *p, size_t n);
bool cnc_http_is_value(const char *p, size_t n);
/* Names that only the library may send: Connection, Content-Length, Transfer-Encoding, Trailer, TE, Keep-Alive, Upgrade,
 * Proxy-Connection, Date. */
bool cnc_http_is_reserved(const char *p, size_t n);

#endif
