/* SPDX-License-Identifier: MIT
 *
 * What reply.c and reply_pieces.c share.
 */
#ifndef CNC_REPLY_INTERNAL_H
#define CNC_REPLY_INTERNAL_H

#include "request/request.h"

static inline struct cnc_slice cnc_reply_slice(const char *s)
{
    return (struct cnc_slice){ s, s ? strlen(s) : 0 };
}

/* The program's call is wrong; why is for the log, should the request fail for it. Returns code. */
int cnc_reply_misuse(concur_request *r, int code, const char *why);
extern const char cnc_reply_impossible_piece[];
/* May a field of the reply be changed? CONCUR_OK or why not. */
int cnc_reply_may_change(concur_request *r);
/* The same, and may this field be sent? What is wrong with it sticks. */
int cnc_reply_check_field(concur_request *r, const char *name, const char *value);
/* Adds a line to the fields. CONCUR_OK or CONCUR_E_NOMEM. */
int cnc_reply_put_field(concur_request *r, struct cnc_slice name, struct cnc_slice value);
/* May this call begin the reply? CONCUR_OK or why not. */
int cnc_reply_may_begin(concur_request *r, int status, struct cnc_slice type);
/* Begins the reply. last: piece is the whole body. As the carrier's reply; the request is given up where that
 * failed, unless it was for memory. */
int cnc_reply_head(concur_request *r, int status, struct cnc_slice type, int64_t length, struct cnc_piece *piece,
                   bool last);
/* Goes on with it. As the carrier's data; the request is given up where that failed. */
int cnc_reply_data(concur_request *r, struct cnc_piece *piece, bool last);

#endif
