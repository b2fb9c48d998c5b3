/* SPDX-License-Identifier: MIT */
#include "http/chars.h"

#define DIGIT(c) ((c) >= '0' && (c) <= '9')
#define ALPHA(c) (((c) >= 'a' && (c) <= 'z') || ((c) >= 'A' && (c) <= 'Z'))
#define VISIBLE(c) ((c) > 0x20 && (c) < 0x7f)
#define BLANK(c) ((c) == ' ' || (c) == '\t')

/* RFC 9110 §5.6.2 */
#define TOKEN_MARK(c)                                                                                                  \
    ((c) == '!' || (c) == '#' || (c) == '$' || (c) == '%' || (c) == '&' || (c) == '\'' || (c) == '*' || (c) == '+' ||  \
     (c) == '-' || (c) == '.' || (c) == '^' || (c) == '_' || (c) == '`' || (c) == '|' || (c) == '~')
/* RFC 3986 §2.2 sub-delims and §2.3 unreserved */
#define HOST_MARK(c)                                                                                                   \
    ((c) == '!' || (c) == '$' || (c) == '&' || (c) == '\'' || (c) == '(' || (c) == ')' || (c) == '*' || (c) == '+' ||  \
     (c) == ',' || (c) == ';' || (c) == '=' || (c) == '-' || (c) == '.' || (c) == '_' || (c) == '~')

#define ONE(c)                                                                                                         \
    (uint8_t)(((ALPHA(c) || DIGIT(c) || TOKEN_MARK(c)) ? CNC_CHAR_TOKEN : 0) |                                         \
              ((BLANK(c) || VISIBLE(c) || (c) >= 0x80) ? CNC_CHAR_VALUE : 0) |                                         \
              ((VISIBLE(c) && (c) != '#') ? CNC_CHAR_TARGET : 0) |                                                     \
              ((VISIBLE(c) && (c) != '#' && (c) != '?') ? CNC_CHAR_PATH : 0) |                                         \
              ((ALPHA(c) || DIGIT(c) || HOST_MARK(c)) ? CNC_CHAR_HOST : 0) | (BLANK(c) ? CNC_CHAR_BLANK : 0) |         \
              (DIGIT(c) ? CNC_CHAR_DIGIT : 0))
#define FOUR(c) ONE(c), ONE((c) + 1), ONE((c) + 2), ONE((c) + 3)
#define SIXTEEN(c) FOUR(c), FOUR((c) + 4), FOUR((c) + 8), FOUR((c) + 12)
#define SIXTY_FOUR(c) SIXTEEN(c), SIXTEEN((c) + 16), SIXTEEN((c) + 32), SIXTEEN((c) + 48)

const uint8_t cnc_http_chars[256] = { SIXTY_FOUR(0), SIXTY_FOUR(64), SIXTY_FOUR(128), SIXTY_FOUR(192) };
