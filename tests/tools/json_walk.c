/* SPDX-License-Identifier: MIT */
#include "json_walk.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct walk {
    const char *at;
    char path[256];
    void (*on_member)(const char *path, void *arg);
    void *arg;
};

static bool value(struct walk *w);

static void skip(struct walk *w)
{
    w->at += strspn(w->at, " \t\r\n");
}

static bool take(struct walk *w, char c)
{
    skip(w);
    if (*w->at != c)
        return false;
    w->at++;
    return true;
}

static bool string(struct walk *w, char *out, size_t room)
{
    size_t n = 0;
    if (!take(w, '"'))
        return false;
    for (; *w->at && *w->at != '"'; w->at++) {
        if ((unsigned char)*w->at < ' ')
            return false;
        if (*w->at == '\\' && !*++w->at)
            return false;
        if (n + 1 < room)
            out[n++] = *w->at;
    }
    out[n] = '\0';
    return take(w, '"');
}

static bool member(struct walk *w, const char *name)
{
    size_t len = strlen(w->path);
    snprintf(w->path + len, sizeof w->path - len, "%s%s", len ? "." : "", name);
    w->on_member(w->path, w->arg);
    bool is_good = take(w, ':') && value(w);
    w->path[len] = '\0';
    return is_good;
}

static bool object(struct walk *w)
{
    char name[64];
    if (take(w, '}'))
        return true;
    do
        if (!string(w, name, sizeof name) || !member(w, name))
            return false;
    while (take(w, ','));
    return take(w, '}');
}

static bool list(struct walk *w)
{
    size_t len = strlen(w->path);
    bool is_good = true;
    if (take(w, ']'))
        return true;
    snprintf(w->path + len, sizeof w->path - len, "[]");
    do
        is_good = value(w);
    while (is_good && take(w, ','));
    w->path[len] = '\0';
    return is_good && take(w, ']');
}

static bool word(struct walk *w)
{
    static const char *const words[] = { "true", "false", "null" };
    char *end;
    for (int i = 0; i < 3; i++)
        if (strncmp(w->at, words[i], strlen(words[i])) == 0) {
            w->at += strlen(words[i]);
            return true;
        }
    if (!strchr("-0123456789", *w->at) || !*w->at)
        return false;
    strtod(w->at, &end);
    bool is_number = end != w->at;
    w->at = end;
    return is_number;
}

static bool value(struct walk *w)
{
    char text[8];
    skip(w);
    if (take(w, '{'))
        return object(w);
    if (take(w, '['))
        return list(w);
    return *w->at == '"' ? string(w, text, sizeof text) : word(w);
}

bool json_walk(const char *text, void (*on_member)(const char *path, void *arg), void *arg)
{
    struct walk w = { .at = text, .on_member = on_member, .arg = arg };
    bool is_good = value(&w);
    skip(&w);
    return is_good && !*w.at;
}
