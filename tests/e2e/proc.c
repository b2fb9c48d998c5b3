/* SPDX-License-Identifier: MIT
 *
 * What /proc tells about the demo and its descendants.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "e2e/harness.h"

enum { PIDS_MAX = 1200 };

/* "Name:   number" of a file in /proc/PID; 0 if there is none, as in a process that ends just now. */
static long number_of(pid_t pid, const char *file, const char *name)
{
    char path[64], line[256];
    snprintf(path, sizeof path, "/proc/%ld/%s", (long)pid, file);
    FILE *f = fopen(path, "re");
    long value = 0;
    while (f && fgets(line, sizeof line, f))
        if (strncmp(line, name, strlen(name)) == 0)
            value = strtol(line + strlen(name), NULL, 10);
    if (f)
        fclose(f);
    return value;
}

/* What the process has made itself; of pages that several processes share, each counts its part. Pages of files do not
 * belong here: when an unrelated program ends that has mapped the same library, the part of each other one grows. */
static long memory(pid_t pid)
{
    return number_of(pid, "smaps_rollup", "Pss_Anon:") + number_of(pid, "smaps_rollup", "Pss_Shmem:");
}

static long threads(pid_t pid)
{
    return number_of(pid, "status", "Threads:");
}

long process_count_files(pid_t pid)
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

/* /proc/PID/stat from its third field, the state, on: the name before it may hold blanks. NULL: no such process. */
static const char *stat_fields(pid_t pid, char *text, size_t size)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/%ld/stat", (long)pid);
    FILE *f = fopen(path, "re");
    size_t n = f ? fread(text, 1, size - 1, f) : 0;
    if (f)
        fclose(f);
    text[n] = 0;
    const char *p = strrchr(text, ')');
    return p && p[1] == ' ' ? p + 2 : NULL;
}

/* Fields 14 and 15, user and system time in ticks. */
static long cpu_ms(pid_t pid)
{
    char text[1024];
    const char *p = stat_fields(pid, text, sizeof text);
    long user = 0, kernel = 0;
    if (!p || sscanf(p, "%*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %ld %ld", &user, &kernel) != 2)
        return 0;
    return (user + kernel) * 1000 / sysconf(_SC_CLK_TCK);
}

/* Field 10. */
static long faults(pid_t pid)
{
    char text[1024];
    const char *p = stat_fields(pid, text, sizeof text);
    long n = 0;
    return p && sscanf(p, "%*c %*d %*d %*d %*d %*d %*u %ld", &n) == 1 ? n : 0;
}

bool process_lives(pid_t pid)
{
    char text[1024];
    const char *p = stat_fields(pid, text, sizeof text);
    return p && *p != 'Z' && *p != 'X';
}

int demo_pids(const struct demo *d, pid_t *out, int max)
{
    int n = 0;
    if (d->pid > 0 && max > 0 && process_lives(d->pid))
        out[n++] = d->pid;
    for (int i = 0; i < n; i++) {
        char path[96];
        snprintf(path, sizeof path, "/proc/%ld/task/%ld/children", (long)out[i], (long)out[i]);
        FILE *f = fopen(path, "re");
        long child;
        while (f && n < max && fscanf(f, "%ld", &child) == 1)
            if (process_lives((pid_t)child))
                out[n++] = (pid_t)child;
        if (f)
            fclose(f);
    }
    return n;
}

static long sum(const struct demo *d, long (*of)(pid_t))
{
    static pid_t pids[PIDS_MAX];
    long total = 0;
    for (int i = demo_pids(d, pids, PIDS_MAX) - 1; i >= 0; i--)
        total += of(pids[i]);
    return total;
}

long demo_memory_kib(const struct demo *d)
{
    return sum(d, memory);
}

long demo_threads(const struct demo *d)
{
    return sum(d, threads);
}

long demo_files(const struct demo *d)
{
    return sum(d, process_count_files);
}

long demo_cpu_ms(const struct demo *d)
{
    return sum(d, cpu_ms);
}

long demo_faults(const struct demo *d)
{
    return sum(d, faults);
}

int demo_count_with_files(const struct demo *d, long n)
{
    static pid_t pids[PIDS_MAX];
    int count = 0;
    for (int i = demo_pids(d, pids, PIDS_MAX) - 1; i >= 0; i--)
        count += process_count_files(pids[i]) >= n;
    return count;
}

/* What it has already stays open. One that has ended needs no limit. */
void process_limit_files(pid_t pid, unsigned n)
{
    struct rlimit limit;
    if (prlimit(pid, RLIMIT_NOFILE, NULL, &limit) == 0) {
        limit.rlim_cur = n; /* the hard limit stays, so that it may be raised again */
        ck_assert_msg(prlimit(pid, RLIMIT_NOFILE, &limit, NULL) == 0 || errno == ESRCH, "%s", strerror(errno));
    }
}

void process_leave_files(pid_t pid, unsigned n)
{
    char path[64];
    unsigned fd = 0;
    for (unsigned left = n + 1; left > 0 && fd < 65536; fd++) {
        snprintf(path, sizeof path, "/proc/%ld/fd/%u", (long)pid, fd);
        left -= faccessat(AT_FDCWD, path, F_OK, AT_SYMLINK_NOFOLLOW) != 0;
    }
    process_limit_files(pid, fd - 1);
}

/* Parents first: who is forked meanwhile inherits it. */
void demo_limit_files(const struct demo *d, unsigned n)
{
    static pid_t pids[PIDS_MAX];
    const int count = demo_pids(d, pids, PIDS_MAX);
    ck_assert_int_gt(count, 0);
    for (int i = 0; i < count; i++)
        process_limit_files(pids[i], n);
}
