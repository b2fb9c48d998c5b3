/* SPDX-License-Identifier: MIT
 *
 * The status lines as constant text. Private to src/http.
 */
#ifndef CNC_HTTP_STATUS_H
#define CNC_HTTP_STATUS_H

#include "base/base.h"

#define CNC_STATUS_LINE_MAX 48

/* text is padded with NULs, so that all of it can be copied, with a constant size. */
struct cnc_status_line {
    char text[CNC_STATUS_LINE_MAX];
    uint8_t len; /* with CR LF */
};

/* NULL for a status without a line of its own. */
const struct cnc_status_line *cnc_http_status_line(int status);

#endif
