/* SPDX-License-Identifier: MIT
 *
 * The body: a known number of bytes, or the chunked coding (RFC 9112 §7.1). The chunked coding, except its data, goes byte by
 * byte through one table of states and kinds of bytes. What is not in the table is bad.
 *
 *   chunk      = chunk-size [ chunk-ext ] CRLF chunk-data CRLF
 *   chunk-ext  = *( BWS ";" BWS chunk-ext-name [ BWS "=" BWS chunk-ext-val ] )
 *   last-chunk = 1*"0" [ chunk-ext ] CRLF, then trailer fields, each with CRLF, then CRLF
 */
#include "http/chars.h"
#include "http/http.h"

#define SIZE_DIGITS_MAX 16
#define SIZE_MAX_VALUE ((int64_t)1 << 62)

enum state {
    S_BAD = 0, /* for all pairs that the table does not list; digits != 0: the status is 431, else 400 */
    S_DONE = CNC_HTTP_BODY_IS_DONE,
    S_LENGTH,    /* left bytes are to come */
    S_DATA,      /* left bytes of chunk data are to come */
    S_SIZE,      /* before a chunk size, or in it */
    S_EXT_SPACE, /* white space, then ";" */
    S_EXT_START, /* after ";" */
    S_EXT_NAME,
    S_EXT_EQUALS, /* white space after the name */
    S_EXT_VALUE,  /* after "=" */
    S_EXT_TOKEN,
    S_EXT_QUOTED,
    S_EXT_ESCAPE, /* after "\" in a quoted string */
    S_EXT_CLOSED, /* after the closing quote */
    S_SIZE_LF,
    S_DATA_CR,
    S_DATA_LF,
    S_LINE, /* start of a trailer line */
    S_NAME,
    S_VALUE,
    S_VALUE_LF,
    S_LAST_LF,
    STATES
};

enum kind {
    C_BAD = 0, /* control characters */
    C_LF,
    C_CR,
    C_BLANK,
    C_SEMICOLON,
    C_EQUALS,
    C_QUOTE,
    C_ESCAPE,
    C_COLON,
    C_TOKEN,
    C_OTHER, /* visible and obs-text */
    KINDS
};

/* A pair that is not listed is bad. Digits of a chunk size, data and limits are not here but in the code. */
static const uint8_t next_state[STATES][KINDS] = {
    [S_SIZE] = { [C_BLANK] = S_EXT_SPACE, [C_SEMICOLON] = S_EXT_START, [C_CR] = S_SIZE_LF },
    [S_EXT_SPACE] = { [C_BLANK] = S_EXT_SPACE, [C_SEMICOLON] = S_EXT_START },
    [S_EXT_START] = { [C_BLANK] = S_EXT_START, [C_TOKEN] = S_EXT_NAME },
    [S_EXT_NAME] = { [C_TOKEN] = S_EXT_NAME,
                     [C_BLANK] = S_EXT_EQUALS,
                     [C_EQUALS] = S_EXT_VALUE,
                     [C_SEMICOLON] = S_EXT_START,
                     [C_CR] = S_SIZE_LF },
    [S_EXT_EQUALS] = { [C_BLANK] = S_EXT_EQUALS, [C_EQUALS] = S_EXT_VALUE, [C_SEMICOLON] = S_EXT_START },
    [S_EXT_VALUE] = { [C_BLANK] = S_EXT_VALUE, [C_TOKEN] = S_EXT_TOKEN, [C_QUOTE] = S_EXT_QUOTED },
    [S_EXT_TOKEN] = { [C_TOKEN] = S_EXT_TOKEN,
                      [C_BLANK] = S_EXT_SPACE,
                      [C_SEMICOLON] = S_EXT_START,
                      [C_CR] = S_SIZE_LF },
    [S_EXT_QUOTED] = { [C_QUOTE] = S_EXT_CLOSED,
                       [C_ESCAPE] = S_EXT_ESCAPE,
                       [C_BLANK] = S_EXT_QUOTED,
                       [C_SEMICOLON] = S_EXT_QUOTED,
                       [C_EQUALS] = S_EXT_QUOTED,
                       [C_COLON] = S_EXT_QUOTED,
                       [C_TOKEN] = S_EXT_QUOTED,
                       [C_OTHER] = S_EXT_QUOTED },
    [S_EXT_ESCAPE] = { [C_QUOTE] = S_EXT_QUOTED,
                       [C_ESCAPE] = S_EXT_QUOTED,
                       [C_BLANK] = S_EXT_QUOTED,
                       [C_SEMICOLON] = S_EXT_QUOTED,
                       [C_EQUALS] = S_EXT_QUOTED,
                       [C_COLON] = S_EXT_QUOTED,
                       [C_TOKEN] = S_EXT_QUOTED,
                       [C_OTHER] = S_EXT_QUOTED },
    [S_EXT_CLOSED] = { [C_BLANK] = S_EXT_SPACE, [C_SEMICOLON] = S_EXT_START, [C_CR] = S_SIZE_LF },
    [S_SIZE_LF] = { [C_LF] = S_DATA },
    [S_DATA_CR] = { [C_CR] = S_DATA_LF },
    [S_DATA_LF] = { [C_LF] = S_SIZE },
    [S_LINE] = { [C_TOKEN] = S_NAME, [C_CR] = S_LAST_LF },
    [S_NAME] = { [C_TOKEN] = S_NAME, [C_COLON] = S_VALUE },
    [S_VALUE] = { [C_BLANK] = S_VALUE,
                  [C_SEMICOLON] = S_VALUE,
                  [C_EQUALS] = S_VALUE,
                  [C_QUOTE] = S_VALUE,
                  [C_ESCAPE] = S_VALUE,
                  [C_COLON] = S_VALUE,
                  [C_TOKEN] = S_VALUE,
                  [C_OTHER] = S_VALUE,
                  [C_CR] = S_VALUE_LF },
    [S_VALUE_LF] = { [C_LF] = S_LINE },
    [S_LAST_LF] = { [C_LF] = S_DONE },
};

static enum kind kind_of(char c)
{
    switch (c) {
    case '\n':
        return C_LF;
    case '\r':
        return C_CR;
    case ';':
        return C_SEMICOLON;
    case '=':
        return C_EQUALS;
    case '"':
        return C_QUOTE;
    case '\\':
        return C_ESCAPE;
    case ':':
        return C_COLON;
    default:
        break;
    }
    if (cnc_char_is(c, CNC_CHAR_TOKEN))
        return C_TOKEN;
    if (cnc_char_is(c, CNC_CHAR_BLANK))
        return C_BLANK;
    return cnc_char_is(c, CNC_CHAR_VALUE) ? C_OTHER : C_BAD;
}

/* Fields that would change framing, routing or the connection are forbidden in trailers (RFC 9110 §6.5.1). A name may come in
 * pieces: reserved[0] has a bit for each row that matches so far, and digits counts the bytes while there is such a row. */
#define NAME_MAX 17
static const struct {
    uint8_t len;
    char text[NAME_MAX + 1];
} no_trailers[8] = {
    { 10, "connection" }, { 14, "content-length" }, { 6, "expect" },  { 4, "host" },
    { 2, "te" },          { 7, "trailer" },         { 7, "upgrade" }, { 17, "transfer-encoding" },
};

static void match_name(struct cnc_http_body *b, char c)
{
    if (b->reserved[0] == 0)
        return;
    for (unsigned i = 0; i < CNC_COUNT(no_trailers); i++)
        if (b->digits >= no_trailers[i].len || no_trailers[i].text[b->digits] != cnc_lower(c))
            b->reserved[0] = (uint8_t)(b->reserved[0] & ~(1u << i));
    b->digits++;
}

static bool is_forbidden(const struct cnc_http_body *b)
{
    for (unsigned i = 0; i < CNC_COUNT(no_trailers); i++)
        if ((b->reserved[0] & (1u << i)) && no_trailers[i].len == b->digits)
            return true;
    return false;
}

static int http_body_fail(struct cnc_http_body *b, int status)
{
    b->state = S_BAD;
    b->digits = status == 431; /* tells later calls which status to return */
    return status;
}

CNC_HOT void cnc_http_body_init(struct cnc_http_body *b, const struct cnc_http_head *h)
{
    *b = (struct cnc_http_body){ .state = S_DONE };
    if (h->flags & CNC_HTTP_CHUNKED) {
        b->state = S_SIZE;
    } else if (h->content_length > 0) {
        b->state = S_LENGTH;
        b->left = h->content_length;
    }
}

int64_t cnc_http_body_left(const struct cnc_http_body *b)
{
    if (b->state == S_DONE)
        return 0;
    return b->state == S_LENGTH ? b->left : -1;
}

/* Adds a digit to the chunk size; false: it is too large. Leading zeros count as digits, so their number is bounded too. */
static bool add_digit(struct cnc_http_body *b, int digit)
{
    if (b->digits == SIZE_DIGITS_MAX || b->left > (SIZE_MAX_VALUE - digit) / 16)
        return false;
    b->digits++;
    b->left = b->left * 16 + digit;
    return true;
}

/* Does what the table cannot say when a state is entered. Returns 0 or a status. */
static int http_body_enter(struct cnc_http_body *b, enum state from, char c)
{
    switch (b->state) {
    case S_BAD:
        return 400;
    case S_DATA: /* after the LF of a chunk size; size 0 is the last chunk (RFC 9112 §7.1) */
        if (b->left == 0)
            b->state = S_LINE;
        return 0;
    case S_SIZE:
        b->digits = 0;
        return 0;
    case S_NAME:
        if (from == S_LINE) {
            b->digits = 0;
            b->reserved[0] = 0xff;
        }
        match_name(b, c);
        return 0;
    case S_VALUE:
        return from == S_NAME && is_forbidden(b) ? 400 : 0;
    default:
        return 0;
    }
}

/* Counts the byte if it belongs to an extension or to the trailer section. Returns 0, or a status: that is too long. */
static int http_body_count(struct cnc_http_body *b, const struct cnc_http_limits *limits, enum state from)
{
    if (b->state >= S_EXT_SPACE && b->state <= S_EXT_CLOSED)
        return b->ext++ < limits->chunk_ext_max ? 0 : 400; /* RFC 9112 §7.1.1: limit what extensions cost */
    if ((from >= S_LINE && from <= S_VALUE_LF) && b->state != S_LAST_LF)
        return b->trailer++ < limits->trailer_max ? 0 : 431;
    return 0;
}

/* Takes a byte that is not data. Returns 0 or a status. */
static int http_body_step(struct cnc_http_body *b, const struct cnc_http_limits *limits, char c)
{
    const enum state from = b->state;
    if (from == S_SIZE) {
        const int digit = cnc_hex(c);
        if (digit >= 0)
            return add_digit(b, digit) ? 0 : 400;
        if (b->digits == 0)
            return 400;
    }
    b->state = next_state[from][kind_of(c)];
    const int over = http_body_count(b, limits, from);
    return over ? over : http_body_enter(b, from, c);
}

/* Takes as much of the body, or of the chunk's data, as is there. */
static int take_data(struct cnc_http_body *b, struct cnc_slice *in, struct cnc_slice *data)
{
    const size_t n = (uint64_t)b->left < in->n ? (size_t)b->left : in->n;
    *data = (struct cnc_slice){ in->p, n };
    in->p += n;
    in->n -= n;
    b->left -= (int64_t)n;
    if (b->left == 0)
        b->state = b->state == S_LENGTH ? S_DONE : S_DATA_CR;
    return CNC_HTTP_BODY_DATA;
}

int cnc_http_body_next(struct cnc_http_body *b, const struct cnc_http_limits *limits, struct cnc_slice *in,
                       struct cnc_slice *data)
{
    for (;;) {
        if (b->state == S_DONE)
            return CNC_HTTP_BODY_END;
        if (b->state == S_BAD)
            return b->digits ? 431 : 400;
        if (in->n == 0)
            return CNC_HTTP_BODY_MORE;
        if (b->state == S_LENGTH || b->state == S_DATA)
            return take_data(b, in, data);
        const int status = http_body_step(b, limits, *in->p);
        if (status)
            return http_body_fail(b, status);
        in->p++;
        in->n--;
    }
}
