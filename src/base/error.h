/* SPDX-License-Identifier: MIT
 *
 * The text of the last error of this thread, which concur_last_error() returns.
 */
#ifndef CNC_ERROR_H
#define CNC_ERROR_H

#include "base/base.h"

/* Formats a sentence, cut at 511 bytes, as the thread's last error. Returns code, for `return cnc_error_set(...)`.
 * Keeps errno. Slow: for errors only. */
int cnc_error_set(int code, const char *fmt, ...) CNC_PRINTF(2, 3);

/* The thread's last error, "" if there was none. Valid until its next cnc_error_set(). */
const char *cnc_error_text(void);

#endif
