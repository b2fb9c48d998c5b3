/* SPDX-License-Identifier: MIT
 *
 * Prints the result of a load as text and as JSON.
 */
#ifndef TOOLS_LOAD_REPORT_H
#define TOOLS_LOAD_REPORT_H

#include <stdio.h>

#include "load/load.h"

void load_report_text(FILE *out, const struct workload *w, const struct load_result *r);
/* One JSON object, without a newline. */
void load_report_json(FILE *out, const struct workload *w, const struct load_result *r);
/* Prints a JSON string with its quotes. */
void load_report_string(FILE *out, const char *text);

#endif
