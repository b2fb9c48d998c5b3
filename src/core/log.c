/* SPDX-License-Identifier: MIT */
#include "core/log.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/sys.h"
#include "proc/note.h"

static size_t escape(char *out, size_t room, const char *line)
{
    static const char hex[] = "0123456789abcdef";
    size_t n = 0;
    for (const char *p = line; *p && n + 5 < room; p++) {
        unsigned char c = (unsigned char)*p;
        if (c >= 0x20 && c < 0x7f && c != '\\') {
            out[n++] = (char)c;
            continue;
        }
        out[n++] = '\\';
        out[n++] = 'x';
        out[n++] = hex[c >> 4];
        out[n++] = hex[c & 15];
    }
    out[n] = '\0';
    return n;
}

static const char *level_name(int level)
{
    switch (level) {
    case CONCUR_LOG_ERROR:
        return "error";
    case CONCUR_LOG_WARN:
        return "warning";
    case CONCUR_LOG_INFO:
        return "info";
    default:
        return "debug";
    }
}

/* The program's function belongs to another process. A line that finds no room there is lost: nothing waits for a log. */
static void send_up(const struct cnc_log *log, int level, const char *line)
{
    struct cnc_note note = { .what = CNC_NOTE_LOG, .value = level };
    size_t n = strlen(line);
    if (n > CNC_NOTE_TEXT_MAX)
        n = CNC_NOTE_TEXT_MAX;
    memcpy(note.text, line, n);
    (void)cnc_note_send(log->up, &note, -1, false);
}

void cnc_log(const struct cnc_log *log, int level, const char *fmt, ...)
{
    char raw[CNC_LOG_LINE_MAX], line[CNC_LOG_LINE_MAX];
    bool shown = log->fn || (log->to_stderr && level <= CONCUR_LOG_WARN);
    if (!shown)
        return;
    va_list args;
    va_start(args, fmt);
    vsnprintf(raw, sizeof raw, fmt, args);
    va_end(args);
    size_t n = escape(line, sizeof line - 2, raw);
    if (log->fn && log->up > 0) {
        send_up(log, level, line);
        return;
    }
    if (log->fn) {
        log->fn(level, line, log->arg);
        return;
    }
    char out[CNC_LOG_LINE_MAX + 32];
    int len = snprintf(out, sizeof out, "concur: %s: %.*s\n", level_name(level), (int)n, line);
    (void)!cnc_sys_write(STDERR_FILENO, out, (size_t)len);
}
