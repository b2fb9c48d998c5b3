/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>

#include "load/load.h"

/* Splits "[::1]:80", "name:80" or "name". False: text is none of these. */
static bool split_authority(const char *text, char *name, size_t room, const char **port)
{
    bool is_bracketed = *text == '[';
    const char *end = text + (is_bracketed ? strcspn(text, "]") : strcspn(text, ":"));
    size_t len = (size_t)(end - text) - is_bracketed;
    if (len == 0 || len >= room || (is_bracketed && !*end))
        return false;
    memcpy(name, text + is_bracketed, len);
    name[len] = '\0';
    end += is_bracketed;
    *port = *end == ':' ? end + 1 : "80";
    size_t digits = strspn(*port, "0123456789");
    return (*end == ':' || !*end) && digits > 0 && digits <= 5 && !(*port)[digits];
}

static int look_up(const char *name, const char *port, struct load_target *out, char *error, size_t error_len)
{
    struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV }, *found = NULL;
    int rc = getaddrinfo(name, port, &hints, &found);
    if (rc != 0) {
        snprintf(error, error_len, "%s: %s", name, gai_strerror(rc));
        return -EHOSTUNREACH;
    }
    memcpy(&out->address, found->ai_addr, found->ai_addrlen);
    out->address_len = found->ai_addrlen;
    freeaddrinfo(found);
    return 0;
}

int load_target_parse(const char *url, struct load_target *out, char *error, size_t error_len)
{
    char name[256];
    const char *port;
    memset(out, 0, sizeof *out);
    bool is_http = strncmp(url, "http://", 7) == 0;
    const char *authority = is_http ? url + 7 : url;
    size_t len = strcspn(authority, "/?#");
    const char *path = authority + len;
    bool fits = len < sizeof out->host && strlen(path) < sizeof out->path;
    if (is_http && fits) {
        memcpy(out->host, authority, len);
        strcpy(out->path, *path ? path : "/");
    }
    if (!is_http || !fits || (*path && *path != '/') || strpbrk(path, "# ") ||
        !split_authority(out->host, name, sizeof name, &port)) {
        snprintf(error, error_len, "%.200s: must be http://HOST[:PORT][/PATH]", url);
        return -EINVAL;
    }
    return look_up(name, port, out, error, error_len);
}
