/* SPDX-License-Identifier: MIT
 *
 * Reads the file of a workload with libconfuse. Values are checked while they are read, when the line is known.
 * libconfuse counts lines wrongly at comments and replaces environment variables in strings. So comments are
 * overwritten by blanks first, and ${ is refused.
 */
#include <confuse.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "load/workload_internal.h"

enum { FILE_MAX = 1 << 20, EXPECT_MAX = 255 };

struct loader {
    const char *path;
    char *error;
    size_t error_len;
    int rc; /* of the first error */
};

/* The file that this thread loads: libconfuse passes no argument to callbacks. */
static _Thread_local struct loader *current;

static void fail(int line, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static void fail_with(int line, const char *fmt, va_list args) __attribute__((format(printf, 2, 0)));

static void fail_with(int line, const char *fmt, va_list args)
{
    struct loader *l = current;
    char why[256];
    if (l->rc < 0)
        return;
    l->rc = -EINVAL;
    vsnprintf(why, sizeof why, fmt, args);
    snprintf(l->error, l->error_len, "%s:%d: %s", l->path, line, why);
}

static void fail(int line, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    fail_with(line, fmt, args);
    va_end(args);
}

static void on_error(cfg_t *cfg, const char *fmt, va_list args) __attribute__((format(printf, 2, 0)));

static void on_error(cfg_t *cfg, const char *fmt, va_list args)
{
    fail_with(cfg->line, fmt, args);
}

/* The text. */

static char *read_file(struct loader *l)
{
    FILE *f = fopen(l->path, "re");
    char *text = f ? malloc(FILE_MAX + 1) : NULL;
    size_t n = text ? fread(text, 1, FILE_MAX, f) : 0;
    l->rc = !f || (text && ferror(f)) ? -errno : !text ? -ENOMEM : n == FILE_MAX ? -EFBIG : 0;
    if (f)
        fclose(f);
    if (l->rc < 0) {
        snprintf(l->error, l->error_len, "%s: %s", l->path, strerror(-l->rc));
        free(text);
        return NULL;
    }
    text[n] = '\0';
    if (strlen(text) != n)
        fail(1, "holds a NUL byte");
    return text;
}

static char *skip_string(char *p, int *line)
{
    int start = *line;
    char quote = *p++;
    for (; *p && *p != quote; p++) {
        if (p[0] == '$' && p[1] == '{')
            fail(*line, "variables are not replaced: ${");
        p += p[0] == '\\' && p[1];
        *line += *p == '\n';
    }
    if (!*p)
        fail(start, "a string that starts here has no end");
    return *p ? p : p - 1;
}

static char *blank_comment(char *p, int *line)
{
    char *end = p + strcspn(p, "\n");
    if (p[0] == '/' && p[1] == '*') {
        end = strstr(p + 2, "*/");
        if (!end) {
            fail(*line, "a comment that starts here has no end");
            end = p + strlen(p) - 2;
        }
        end += 2;
    }
    for (; p < end; p++) {
        *line += *p == '\n';
        *p = *p == '\n' ? '\n' : ' ';
    }
    return end - 1;
}

static void blank_comments(char *text)
{
    int line = 1;
    for (char *p = text; *p; p++) {
        if (*p == '"' || *p == '\'')
            p = skip_string(p, &line);
        else if (*p == '#' || (*p == '/' && (p[1] == '/' || p[1] == '*')))
            p = blank_comment(p, &line);
        else if (p[0] == '$' && p[1] == '{')
            fail(line, "variables are not replaced: ${");
        else
            line += *p == '\n';
    }
}

/* Checks of values. */

static const struct range {
    const char *option;
    double min, max;
} ranges[] = {
    { "duration_ms", 100, 3600000 }, { "warmup_ms", 0, 600000 },   { "timeout_ms", 1, 600000 },
    { "overload", 0, 100 },          { "wait_ms", 0, 600000 },     { "kill_worker_every_ms", 0, 600000 },
    { "connections", 1, 1000000 },   { "depth", 1, 128 },          { "rate", 0, 1e7 },
    { "slow_bytes", 1, 1 << 20 },    { "slow_ms", 1, 600000 },     { "weight", 1, 1000000 },
    { "status", 100, 599 },
};

static int check_number(cfg_t *cfg, cfg_opt_t *opt)
{
    for (size_t i = 0; i < sizeof ranges / sizeof *ranges; i++) {
        const struct range *r = &ranges[i];
        if (strcmp(r->option, opt->name) != 0)
            continue;
        double v = opt->type == CFGT_FLOAT ? cfg_opt_getnfloat(opt, 0) : (double)cfg_opt_getnint(opt, 0);
        if (v >= r->min && v <= r->max)
            return 0;
        fail(cfg->line, "%s = %.10g: from %.10g to %.10g", opt->name, v, r->min, r->max);
        return -1;
    }
    return 0;
}

static const char *last_of(cfg_opt_t *opt)
{
    return cfg_opt_getnstr(opt, cfg_opt_size(opt) - 1);
}

static int check_kind(cfg_t *cfg, cfg_opt_t *opt)
{
    const char *kind = last_of(opt);
    if (workload_kind_parse(kind) >= 0)
        return 0;
    fail(cfg->line, "kind = %s: keepalive, close, pipeline, idle, slow_send or slow_read", kind);
    return -1;
}

static int check_expect(cfg_t *cfg, cfg_opt_t *opt)
{
    size_t len = strlen(last_of(opt));
    if (len >= 1 && len <= EXPECT_MAX)
        return 0;
    fail(cfg->line, "expect: from 1 to %d bytes", EXPECT_MAX);
    return -1;
}

static int check_header(cfg_t *cfg, cfg_opt_t *opt)
{
    const char *line = last_of(opt);
    const char *colon = strchr(line, ':');
    if (colon && colon != line && !strpbrk(line, "\r\n") && (size_t)(colon - line) == strcspn(line, " \t:"))
        return 0;
    fail(cfg->line, "headers: %s: must be \"Name: value\"", line);
    return -1;
}

/* Splits "[ENGINE:]OPTION=VALUE"; the results point into text. */
static bool split(const char *text, const char **colon, const char **equals)
{
    *equals = strchr(text, '=');
    if (!*equals)
        return false;
    *colon = memchr(text, ':', (size_t)(*equals - text));
    const char *option = *colon ? *colon + 1 : text;
    return option < *equals && *colon != text;
}

static int check_setting(cfg_t *cfg, cfg_opt_t *opt)
{
    const char *colon, *equals;
    if (split(last_of(opt), &colon, &equals))
        return 0;
    fail(cfg->line, "settings: %s: must be \"OPTION=VALUE\" or \"ENGINE:OPTION=VALUE\"", last_of(opt));
    return -1;
}

/* The N of "ENGINE=N"; 0: text is something else. */
static unsigned at_once_of(const char *text, size_t *engine_len)
{
    char *end;
    const char *equals = strchr(text, '=');
    if (!equals || equals == text || equals[1] < '1' || equals[1] > '9')
        return 0;
    *engine_len = (size_t)(equals - text);
    unsigned long n = strtoul(equals + 1, &end, 10);
    return *end || n > 1000000 ? 0 : (unsigned)n;
}

static int check_at_once(cfg_t *cfg, cfg_opt_t *opt)
{
    size_t len;
    if (at_once_of(last_of(opt), &len) > 0)
        return 0;
    fail(cfg->line, "at_once: %s: must be \"ENGINE=N\"", last_of(opt));
    return -1;
}

/* "GET /path" */
static int check_title(cfg_t *cfg, cfg_opt_t *opt)
{
    cfg_t *request = cfg_opt_getnsec(opt, cfg_opt_size(opt) - 1);
    const char *title = cfg_title(request);
    size_t method = strspn(title, "ABCDEFGHIJKLMNOPQRSTUVWXYZ");
    const char *target = title + method + 1;
    if (method > 0 && title[method] == ' ' && (*target == '/' || strcmp(target, "*") == 0) && !strpbrk(target, " #\r\n"))
        return 0;
    fail(cfg->line, "request \"%s\": must be \"METHOD /path\"", title);
    return -1;
}

static int check_clients(cfg_t *cfg, cfg_opt_t *opt)
{
    cfg_t *clients = cfg_opt_getnsec(opt, cfg_opt_size(opt) - 1);
    enum workload_kind kind = (enum workload_kind)workload_kind_parse(cfg_getstr(clients, "kind"));
    const char *name = cfg_title(clients);
    if (cfg_size(clients, "request") == 0 && kind != WORKLOAD_IDLE)
        fail(cfg->line, "clients \"%s\": no request", name);
    else if (cfg_size(clients, "depth") > 0 && kind != WORKLOAD_PIPELINE)
        fail(cfg->line, "clients \"%s\": depth is for kind = pipeline", name);
    else if (cfg_getfloat(clients, "rate") > 0 && !workload_kind_is_active(kind))
        fail(cfg->line, "clients \"%s\": kind = %s has no rate", name, workload_kind_name(kind));
    else
        return 0;
    return -1;
}

static cfg_t *make_grammar(void)
{
    cfg_opt_t request[] = {
        CFG_INT("weight", 1, CFGF_NONE),
        CFG_INT("status", 200, CFGF_NONE),
        CFG_STR("expect", NULL, CFGF_NODEFAULT),
        CFG_STR_LIST("headers", NULL, CFGF_NODEFAULT),
        CFG_STR("body", NULL, CFGF_NODEFAULT),
        CFG_END(),
    };
    cfg_opt_t clients[] = {
        CFG_STR("kind", "keepalive", CFGF_NONE),
        CFG_INT("connections", 64, CFGF_NONE),
        CFG_INT("depth", 1, CFGF_NODEFAULT),
        CFG_FLOAT("rate", 0, CFGF_NONE),
        CFG_INT("slow_bytes", 1, CFGF_NONE),
        CFG_INT("slow_ms", 100, CFGF_NONE),
        CFG_SEC("request", request, CFGF_MULTI | CFGF_TITLE | CFGF_NO_TITLE_DUPES),
        CFG_END(),
    };
    cfg_opt_t top[] = {
        CFG_STR("name", NULL, CFGF_NODEFAULT),
        CFG_STR("title", NULL, CFGF_NODEFAULT),
        CFG_INT("duration_ms", WORKLOAD_DURATION_MS, CFGF_NONE),
        CFG_INT("warmup_ms", WORKLOAD_WARMUP_MS, CFGF_NONE),
        CFG_INT("timeout_ms", WORKLOAD_TIMEOUT_MS, CFGF_NONE),
        CFG_STR_LIST("settings", NULL, CFGF_NODEFAULT),
        CFG_INT("kill_worker_every_ms", 0, CFGF_NONE),
        CFG_FLOAT("overload", 0, CFGF_NONE),
        CFG_FLOAT("wait_ms", 0, CFGF_NONE),
        CFG_STR_LIST("at_once", NULL, CFGF_NODEFAULT),
        CFG_BOOL("needs_unsafe", cfg_false, CFGF_NONE),
        CFG_SEC("clients", clients, CFGF_MULTI | CFGF_TITLE | CFGF_NO_TITLE_DUPES),
        CFG_END(),
    };
    return cfg_init(top, CFGF_NONE);
}

static void set_checks(cfg_t *cfg)
{
    static const struct {
        const char *option;
        cfg_validate_callback_t check;
    } checks[] = {
        { "duration_ms", check_number },
        { "warmup_ms", check_number },
        { "timeout_ms", check_number },
        { "kill_worker_every_ms", check_number },
        { "overload", check_number },
        { "wait_ms", check_number },
        { "settings", check_setting },
        { "at_once", check_at_once },
        { "clients", check_clients },
        { "clients|kind", check_kind },
        { "clients|connections", check_number },
        { "clients|depth", check_number },
        { "clients|rate", check_number },
        { "clients|slow_bytes", check_number },
        { "clients|slow_ms", check_number },
        { "clients|request", check_title },
        { "clients|request|weight", check_number },
        { "clients|request|status", check_number },
        { "clients|request|expect", check_expect },
        { "clients|request|headers", check_header },
    };
    for (size_t i = 0; i < sizeof checks / sizeof *checks; i++)
        cfg_set_validate_func(cfg, checks[i].option, checks[i].check);
}

/* Copies libconfuse's values into a workload. False: out of memory; workload_free() frees what was made. */

static char *copy(const char *text)
{
    return text ? strdup(text) : NULL;
}

static char *join_headers(cfg_t *from)
{
    size_t room = 1;
    unsigned count = cfg_size(from, "headers");
    for (unsigned i = 0; i < count; i++)
        room += strlen(cfg_getnstr(from, "headers", i)) + 2;
    char *out = malloc(room), *end = out;
    if (!out)
        return NULL;
    *end = '\0';
    for (unsigned i = 0; i < count; i++)
        end += sprintf(end, "%s\r\n", cfg_getnstr(from, "headers", i));
    return out;
}

static bool take_request(struct workload_request *r, cfg_t *from)
{
    const char *title = cfg_title(from);
    const char *blank = strchr(title, ' ');
    const char *expect = cfg_getstr(from, "expect"), *body = cfg_getstr(from, "body");
    r->weight = (unsigned)cfg_getint(from, "weight");
    r->status = (int)cfg_getint(from, "status");
    r->method = strndup(title, (size_t)(blank - title));
    r->target = strdup(blank + 1);
    r->headers = join_headers(from);
    r->expect = copy(expect);
    r->body = copy(body);
    r->body_len = body ? strlen(body) : 0;
    return r->method && r->target && r->headers && !r->expect == !expect && !r->body == !body;
}

static bool take_group(struct workload_group *g, cfg_t *from)
{
    unsigned count = cfg_size(from, "request");
    g->kind = (enum workload_kind)workload_kind_parse(cfg_getstr(from, "kind"));
    g->connections = (unsigned)cfg_getint(from, "connections");
    g->depth = g->kind != WORKLOAD_PIPELINE ? 1 : cfg_size(from, "depth") ? (unsigned)cfg_getint(from, "depth") : 16;
    g->rate = cfg_getfloat(from, "rate");
    g->slow_bytes = (unsigned)cfg_getint(from, "slow_bytes");
    g->slow_ms = (unsigned)cfg_getint(from, "slow_ms");
    g->name = strdup(cfg_title(from));
    g->requests = calloc(count + 1, sizeof *g->requests);
    if (!g->name || !g->requests)
        return false;
    for (g->request_count = 0; g->request_count < count;) {
        struct workload_request *r = &g->requests[g->request_count++];
        if (!take_request(r, cfg_getnsec(from, "request", (unsigned)(r - g->requests))))
            return false;
    }
    return true;
}

static bool take_groups(struct workload *w, cfg_t *cfg)
{
    unsigned count = cfg_size(cfg, "clients");
    w->groups = calloc(count, sizeof *w->groups);
    if (!w->groups)
        return false;
    for (unsigned i = 0; i < count; i++) {
        w->group_count++;
        if (!take_group(&w->groups[i], cfg_getnsec(cfg, "clients", i)))
            return false;
    }
    return true;
}

static bool take_settings(struct workload *w, cfg_t *cfg)
{
    unsigned count = cfg_size(cfg, "settings");
    w->settings = calloc(count + 1, sizeof *w->settings);
    if (!w->settings)
        return false;
    for (unsigned i = 0; i < count; i++) {
        struct workload_setting *s = &w->settings[w->setting_count++];
        const char *text = cfg_getnstr(cfg, "settings", i), *colon = NULL, *equals = NULL;
        split(text, &colon, &equals);
        const char *option = colon ? colon + 1 : text;
        s->engine = colon ? strndup(text, (size_t)(colon - text)) : NULL;
        s->option = strndup(option, (size_t)(equals - option));
        s->value = strdup(equals + 1);
        if ((colon && !s->engine) || !s->option || !s->value)
            return false;
    }
    return true;
}

static bool take_at_once(struct workload *w, cfg_t *cfg)
{
    unsigned count = cfg_size(cfg, "at_once");
    w->at_once = calloc(count + 1, sizeof *w->at_once);
    if (!w->at_once)
        return false;
    for (unsigned i = 0; i < count; i++) {
        struct workload_at_once *a = &w->at_once[w->at_once_count++];
        const char *text = cfg_getnstr(cfg, "at_once", i);
        size_t len = 0;
        a->count = at_once_of(text, &len);
        a->engine = strndup(text, len);
        if (!a->engine)
            return false;
    }
    return true;
}

static struct workload *take(cfg_t *cfg, const char *path)
{
    struct workload *w = calloc(1, sizeof *w);
    if (!w)
        return NULL;
    const char *title = cfg_getstr(cfg, "title");
    w->source = strdup(path);
    w->name = strdup(cfg_getstr(cfg, "name"));
    w->title = strdup(title ? title : cfg_getstr(cfg, "name"));
    w->duration_ms = (unsigned)cfg_getint(cfg, "duration_ms");
    w->warmup_ms = (unsigned)cfg_getint(cfg, "warmup_ms");
    w->timeout_ms = (unsigned)cfg_getint(cfg, "timeout_ms");
    w->kill_worker_every_ms = (unsigned)cfg_getint(cfg, "kill_worker_every_ms");
    w->overload = cfg_getfloat(cfg, "overload");
    w->wait_ms = cfg_getfloat(cfg, "wait_ms");
    w->needs_unsafe = cfg_getbool(cfg, "needs_unsafe");
    if (!w->source || !w->name || !w->title || !take_groups(w, cfg) || !take_settings(w, cfg) || !take_at_once(w, cfg))
        workload_free(&w);
    return w;
}

/* Checks that need the whole file. */
static void check_whole(cfg_t *cfg)
{
    const char *name = cfg_getstr(cfg, "name");
    if (!name || !*name || strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-_") != strlen(name))
        fail(cfg->line, "name: needed, with lower-case letters, digits, - and _");
    else if (cfg_size(cfg, "clients") == 0)
        fail(cfg->line, "no clients");
}

int workload_load(const char *path, struct workload **out, char *error, size_t error_len)
{
    struct loader l = { .path = path, .error = error, .error_len = error_len };
    *out = NULL;
    current = &l;
    char *text = read_file(&l);
    if (text)
        blank_comments(text);
    cfg_t *cfg = text && l.rc == 0 ? make_grammar() : NULL;
    if (cfg) {
        cfg_set_error_function(cfg, on_error);
        set_checks(cfg);
        if (cfg_parse_buf(cfg, text) != CFG_SUCCESS)
            fail(cfg->line, "not understood");
        check_whole(cfg);
        *out = l.rc == 0 ? take(cfg, path) : NULL;
        cfg_free(cfg);
    }
    if (l.rc == 0 && !*out) {
        snprintf(error, error_len, "%s: out of memory", path);
        l.rc = -ENOMEM;
    }
    free(text);
    current = NULL;
    return l.rc;
}
