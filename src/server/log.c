/* SPDX-License-Identifier: MIT */
#include "server/log.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/sys.h"
#include "proc/note.h"

static void escape(char *out, size_t room, const char *line)
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

static const char *plural(unsigned n)
{
    return n == 1 ? "line of the log was" : "lines of the log were";
}

/* False: the link had no room. */
static bool send_note(const struct cnc_log *log, int level, const char *line)
{
    struct cnc_note note = { .what = CNC_NOTE_LOG, .value = level };
    size_t n = strlen(line);
    if (n > CNC_NOTE_TEXT_MAX)
        n = CNC_NOTE_TEXT_MAX;
    memcpy(note.text, line, n);
    return cnc_note_send(log->up, &note, -1, false) == CONCUR_OK;
}

/* Sends a line to the process that has the program's log function. */
static void log_send_up(struct cnc_log *log, int level, const char *line)
{
    unsigned lost = atomic_exchange(&log->lost, 0);
    char text[64];
    (void)snprintf(text, sizeof text, "%u %s lost", lost, plural(lost));
    bool told = lost == 0 || send_note(log, CONCUR_LOG_WARN, text);
    bool sent = told && send_note(log, level, line);
    if (!told)
        atomic_fetch_add(&log->lost, lost);
    if (!sent)
        atomic_fetch_add(&log->lost, 1);
}

static void log_write_out(struct cnc_log *log, int level, const char *line)
{
    char out[CNC_LOG_LINE_MAX + 128];
    unsigned lost = atomic_exchange(&log->lost, 0);
    bool torn = atomic_exchange(&log->torn, false);
    size_t n = 0;
    if (torn)
        out[n++] = '\n';
    if (lost)
        n += (size_t)snprintf(out + n, sizeof out - n, "concur: warning: %u %s lost\n", lost, plural(lost));
    n += (size_t)snprintf(out + n, sizeof out - n, "concur: %s: %s\n", level_name(level), line);
    ssize_t put = cnc_sys_write_at_once(STDERR_FILENO, out, n);
    if (put == (ssize_t)n)
        return;
    atomic_fetch_add(&log->lost, lost + 1);
    atomic_store(&log->torn, torn || put > 0);
}

/* SIGPIPE and SIGXFSZ are held back meanwhile: if the log function writes to a closed pipe, say, that must not end the
 * process. */
static void call(const struct cnc_log *log, int level, const char *line)
{
    struct cnc_quiet quiet;
    cnc_sys_quiet(&quiet);
    log->fn(level, line, log->arg);
    cnc_sys_unquiet(&quiet);
}

void cnc_log(struct cnc_log *log, int level, const char *fmt, ...)
{
    char raw[CNC_LOG_LINE_MAX], line[CNC_LOG_LINE_MAX];
    bool shown = log->fn || (log->to_stderr && level <= CONCUR_LOG_WARN);
    if (!shown)
        return;
    va_list args;
    va_start(args, fmt);
    vsnprintf(raw, sizeof raw, fmt, args);
    va_end(args);
    if (log->fn && log->up > 0) {
        log_send_up(log, level, raw); /* the other process escapes it */
        return;
    }
    escape(line, sizeof line - 2, raw);
    if (log->fn)
        call(log, level, line);
    else
        log_write_out(log, level, line);
}

void cnc_log_lines(struct cnc_log *log, int level, const char *lines)
{
    while (*lines) {
        size_t n = strcspn(lines, "\n");
        cnc_log(log, level, "%.*s", (int)n, lines);
        lines += n + (lines[n] == '\n');
    }
}
