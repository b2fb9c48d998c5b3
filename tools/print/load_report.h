/* SPDX-License-Identifier: MIT
 *
 * The result of a load, for people and for programs.
 */
#ifndef TOOLS_LOAD_REPORT_H
#define TOOLS_LOAD_REPORT_H

#include <stdio.h>

#include "load/load.h"

void load_report_text(FILE *out, const struct workload *w, const struct load_result *r);
/* One object, without a line's end. */
void load_report_json(FILE *out, const struct workload *w, const struct load_result *r);
/* A text with its quotes. */
void load_report_string(FILE *out, const char *text);

#endif
