/* SPDX-License-Identifier: MIT */
#include "places.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* Looks for `name` in the directory of this program, then in those above it. */
static bool search(const char *name, char *out, size_t room)
{
    char folder[PATH_MAX];
    ssize_t n = readlink("/proc/self/exe", folder, sizeof folder - 1);
    folder[n > 0 ? n : 0] = '\0';
    for (char *slash; (slash = strrchr(folder, '/'));) {
        *slash = '\0';
        int len = snprintf(out, room, "%s/%s", folder, name);
        if (len > 0 && (size_t)len < room && access(out, R_OK) == 0)
            return true;
    }
    return false;
}

bool places_workload(const char *text, char *out, size_t room)
{
    char name[256];
    snprintf(out, room, "%s", text);
    if (strchr(text, '/') || strstr(text, ".conf"))
        return access(text, R_OK) == 0;
    snprintf(name, sizeof name, "share/concur/workloads/%s.conf", text);
    if (search(name, out, room))
        return true;
    snprintf(name, sizeof name, "tools/workloads/%s.conf", text);
    return search(name, out, room);
}

void places_demo(char *out, size_t room)
{
    if (!search("examples/concur-demo", out, room) && !search("concur-demo", out, room))
        snprintf(out, room, "concur-demo");
}
