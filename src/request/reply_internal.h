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

/* The program made a wrong call. Keeps why, which is static text, for the log line if the request fails. Returns code. */
int cnc_reply_misuse(concur_request *r, int code, const char *why);
extern const char cnc_reply_impossible_piece[];
/* May a field of the reply be changed? CONCUR_OK, or the error to return. */
int cnc_reply_may_change(concur_request *r);
/* The same, and may this field be sent? A bad name or value becomes the remembered error of the reply. */
int cnc_reply_check_field(concur_request *r, const char *name, const char *value);
/* Adds a line to the fields. CONCUR_OK or CONCUR_E_NOMEM. */
int cnc_reply_put_field(concur_request *r, struct cnc_slice name, struct cnc_slice value);
/* May a call begin the reply with this status and type? CONCUR_OK, or the error to return. */
int cnc_reply_may_begin(concur_request *r, int status, struct cnc_slice type);
/* Begins the reply. last: piece is the whole body. length: bytes of the body; -1: not known. Takes the piece in every case.
 * CONCUR_OK, CONCUR_AGAIN (taken, over output_high) or an error. If the carrier failed, the request is given up, unless memory
 * ran out: then another reply may follow. After the error of an after function (around.c) nothing was sent. */
int cnc_reply_head(concur_request *r, int status, struct cnc_slice type, int64_t length, struct cnc_piece *piece,
                   bool last);
/* Sends more of the body; last: it is complete. Takes the piece in every case, and returns as cnc_reply_head(). After any error
 * the request is given up. */
int cnc_reply_data(concur_request *r, struct cnc_piece *piece, bool last);

#endif
