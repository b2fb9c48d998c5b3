/* SPDX-License-Identifier: MIT
 *
 * Shared by the files of the head parser. Private to src/http.
 */
#ifndef CNC_HTTP_HEAD_H
#define CNC_HTTP_HEAD_H

#include "http/http.h"

enum {
    CNC_HEAD_REQUEST_LINE = 0,
    CNC_HEAD_FIELDS = 1,
    CNC_HEAD_DONE = 2,
    CNC_HEAD_BAD = 3 /* len holds the status */
};

/* bits of cnc_http_head.seen */
enum {
    CNC_SEEN_HOST = 1,
    CNC_SEEN_LENGTH = 2,
    CNC_SEEN_CODING = 4,       /* Transfer-Encoding */
    CNC_SEEN_OTHER_CODING = 8, /* ... with a coding other than chunked */
    CNC_SEEN_CLOSE = 16,       /* these three are options of Connection */
    CNC_SEEN_KEEP_ALIVE = 32,
    CNC_SEEN_TO_UPGRADE = 64,  /* "upgrade" */
    CNC_SEEN_UPGRADE = 128 /* the field Upgrade, not empty */
};

/* Both take a line without its CR LF, [line, end) within buf; *end is readable and is CR. They return 0 or a status. */
int cnc_http_request_line(struct cnc_http_head *h, const char *buf, const char *line, const char *end);
int cnc_http_field_line(struct cnc_http_head *h, const char *buf, const char *line, const char *end);

/* True for uri-host [":" port] (RFC 9110 §7.2, RFC 3986 §3.2.2). *end is readable and is not a character of a host.
 * With need_port the port must be there (RFC 9112 §3.2.3). */
bool cnc_http_is_authority(const char *p, const char *end, bool need_port);

#endif
