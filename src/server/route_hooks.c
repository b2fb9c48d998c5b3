/* SPDX-License-Identifier: MIT */
#include "server/route_hooks.h"

#include "base/error.h"
#include "base/sys.h"

/* ---- hooks ---- */

static bool has_dot_segment(const char *prefix)
{
    for (const char *p = strstr(prefix, "/."); p; p = strstr(p + 1, "/."))
        if (p[2] == '\0' || p[2] == '/' || (p[2] == '.' && (p[3] == '\0' || p[3] == '/')))
            return true;
    return false;
}

static int check_prefix(const char *prefix)
{
    const char *why = NULL;
    if (prefix[0] != '/')
        why = "must begin with /";
    else if (strpbrk(prefix, "{}*?#"))
        why = "is literal text: without { } * ? #";
    else if (has_dot_segment(prefix))
        why = "has a segment . or .., which no path has";
    return why ? cnc_error_set(CONCUR_E_INVAL, "prefix \"%.200s\": %s", prefix, why) : CONCUR_OK;
}

int cnc_route_hooks_add(struct cnc_route_hooks *hooks, const char *prefix, concur_handler_fn before, concur_status_fn after,
                        void *arg)
{
    int rc = check_prefix(prefix);
    if (rc < 0)
        return rc;
    char *copy = cnc_strdup(prefix);
    struct cnc_route_hook *grown = copy ? cnc_realloc(hooks->items, (hooks->count + 1) * sizeof *grown) : NULL;
    if (!grown) {
        cnc_free(copy);
        return CONCUR_E_NOMEM;
    }
    size_t n = strlen(copy);
    if (copy[n - 1] == '/')
        n--;
    hooks->items = grown;
    grown[hooks->count++] = (struct cnc_route_hook){ copy, n, before, after, arg };
    return CONCUR_OK;
}

void cnc_route_hooks_deinit(struct cnc_route_hooks *hooks)
{
    for (unsigned i = 0; i < hooks->count; i++)
        cnc_free(hooks->items[i].prefix);
    cnc_free(hooks->items);
    *hooks = (struct cnc_route_hooks){ 0 };
}

/* The length of the segment at p, which ends at a slash, a NUL or end. */
static size_t segment_length(const char *p, const char *end)
{
    size_t n = 0;
    while (p + n < end && p[n] != '/' && p[n] != '\0')
        n++;
    return n;
}

/* Can a path that matches the pattern be under the hook's prefix? A parameter matches any segment. */
static bool may_cover(const struct cnc_route_hook *hook, const char *pattern)
{
    const char *p = hook->prefix, *end = p + hook->n;
    while (p < end) {
        if (*pattern != '/')
            return false; /* the pattern's paths are shorter than the prefix */
        p++;
        pattern++;
        if (*pattern == '*')
            return true;
        size_t want = segment_length(p, end), has = segment_length(pattern, pattern + strlen(pattern));
        if (*pattern != '{' && (want != has || memcmp(p, pattern, want) != 0))
            return false;
        p += want;
        pattern += has;
    }
    return true;
}

bool cnc_route_hooks_may_cover(const struct cnc_route_hooks *hooks, const char *pattern)
{
    const char *path = strchr(pattern, '/');
    for (unsigned i = 0; path && i < hooks->count; i++)
        if (may_cover(&hooks->items[i], path))
            return true;
    return false;
}

/* ---- pages ---- */

static struct cnc_page *page_of(const struct cnc_pages *pages, int status)
{
    for (unsigned i = 0; i < pages->count; i++)
        if (pages->items[i].status == status)
            return &pages->items[i];
    return NULL;
}

int cnc_pages_add(struct cnc_pages *pages, int status, concur_status_fn fn, void *arg)
{
    struct cnc_page *page = page_of(pages, status);
    if (!page) {
        struct cnc_page *grown = cnc_realloc(pages->items, (pages->count + 1) * sizeof *grown);
        if (!grown)
            return CONCUR_E_NOMEM;
        pages->items = grown;
        page = &grown[pages->count++];
    }
    *page = (struct cnc_page){ status, fn, arg };
    return CONCUR_OK;
}

void cnc_pages_deinit(struct cnc_pages *pages)
{
    cnc_free(pages->items);
    *pages = (struct cnc_pages){ 0 };
}

const struct cnc_page *cnc_pages_find(const struct cnc_pages *pages, int status)
{
    const struct cnc_page *page = page_of(pages, status);
    if (!page)
        page = page_of(pages, status / 100);
    return page ? page : page_of(pages, CONCUR_PAGE_ALL);
}
