/* SPDX-License-Identifier: MIT
 *
 * What /proc tells about the demo and its descendants.
 */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "e2e/harness.h"

enum { DEPTH_MAX = 4 };

/* "Name:   number" of /proc/PID/status; 0 if there is none, as in a process that ends just now. */
static long status_number(pid_t pid, const char *name)
{
    char path[64], line[256];
    snprintf(path, sizeof path, "/proc/%ld/status", (long)pid);
    FILE *f = fopen(path, "re");
    long value = 0;
    while (f && fgets(line, sizeof line, f))
        if (strncmp(line, name, strlen(name)) == 0)
            value = strtol(line + strlen(name), NULL, 10);
    if (f)
        fclose(f);
    return value;
}

static long rss(pid_t pid)
{
    return status_number(pid, "VmRSS:");
}

static long threads(pid_t pid)
{
    return status_number(pid, "Threads:");
}

static long files(pid_t pid)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/%ld/fd", (long)pid);
    DIR *dir = opendir(path);
    long n = 0;
    while (dir && readdir(dir))
        n++;
    if (dir)
        closedir(dir);
    return n > 2 ? n - 2 : 0; /* "." and ".." */
}

/* Fields 14 and 15 of /proc/PID/stat, user and system time in ticks; the name before them may hold blanks. */
static long cpu_ms(pid_t pid)
{
    char path[64], text[1024];
    snprintf(path, sizeof path, "/proc/%ld/stat", (long)pid);
    FILE *f = fopen(path, "re");
    size_t n = f ? fread(text, 1, sizeof text - 1, f) : 0;
    if (f)
        fclose(f);
    text[n] = 0;
    const char *p = strrchr(text, ')');
    long user = 0, kernel = 0;
    if (!p || sscanf(p + 1, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %ld %ld", &user, &kernel) != 2)
        return 0;
    return (user + kernel) * 1000 / sysconf(_SC_CLK_TCK);
}

static long sum(pid_t pid, long (*of)(pid_t), int depth)
{
    long total = of(pid);
    char path[96];
    snprintf(path, sizeof path, "/proc/%ld/task/%ld/children", (long)pid, (long)pid);
    FILE *f = fopen(path, "re");
    long child;
    while (f && depth < DEPTH_MAX && fscanf(f, "%ld", &child) == 1)
        total += sum((pid_t)child, of, depth + 1);
    if (f)
        fclose(f);
    return total;
}

long demo_rss_kib(const struct demo *d)
{
    return sum(d->pid, rss, 0);
}

long demo_threads(const struct demo *d)
{
    return sum(d->pid, threads, 0);
}

long demo_files(const struct demo *d)
{
    return sum(d->pid, files, 0);
}

long demo_cpu_ms(const struct demo *d)
{
    return sum(d->pid, cpu_ms, 0);
}
