/* SPDX-License-Identifier: MIT
 *
 * System calls about processes: the parts of sys.h that are more than a line.
 */
#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "base/base.h"
#include "base/sys.h"

/* ThreadSanitizer adds one thread, and a second one in a forked process. */
#if defined(__SANITIZE_THREAD__)
#define OWN_THREADS 2
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define OWN_THREADS 2
#endif
#endif
#ifndef OWN_THREADS
#define OWN_THREADS 0
#endif

pid_t cnc_sys_waitpid(pid_t pid, int *status)
{
    pid_t got;
    *status = 0;
    do
        got = waitpid(pid, status, WNOHANG);
    while (got < 0 && errno == EINTR);
    return got;
}

int cnc_sys_child_stop(int pidfd, pid_t pid)
{
    siginfo_t info = { 0 };
    int rc;
    do
        rc = pidfd >= 0 ? waitid(P_PIDFD, (id_t)pidfd, &info, WSTOPPED | WCONTINUED | WNOHANG)
                        : waitid(P_PID, (id_t)pid, &info, WSTOPPED | WCONTINUED | WNOHANG);
    while (rc < 0 && errno == EINTR);
    if (rc < 0 || info.si_pid == 0)
        return 0;
    return info.si_code == CLD_STOPPED ? 1 : info.si_code == CLD_CONTINUED ? 2 : 0;
}

/* The third field of the file. The second one is the process' name in brackets, which may contain any byte. */
char cnc_sys_process_state(pid_t pid)
{
    char path[48], text[512];
    (void)snprintf(path, sizeof path, "/proc/%ld/stat", (long)pid);
    int fd = cnc_sys_open(path, O_RDONLY, 0);
    ssize_t n = fd < 0 ? -1 : cnc_sys_read(fd, text, sizeof text - 1);
    cnc_sys_close(&fd);
    if (n <= 0)
        return 0;
    text[n] = '\0';
    const char *end = strrchr(text, ')');
    return end && end[1] == ' ' ? end[2] : (char)0;
}

int cnc_sys_socketpair(int fds[2])
{
    if (CNC_FAULT(CNC_FAULT_OPEN, EMFILE))
        return -1;
    fds[0] = fds[1] = -1;
    cnc_files_begin(); /* counts as one, though it opens two: no other thread makes a loop while processes are forked */
    int rc = socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds);
    cnc_files_end();
    for (int i = 0; i < 2 && rc == 0; i++)
        if (fds[i] < CNC_FILES_LOW && (fds[i] = cnc_files_lift(fds[i])) < 0)
            rc = -1;
    if (rc < 0)
        for (int i = 0; i < 2; i++)
            cnc_sys_close(&fds[i]);
    return rc;
}

void cnc_sys_die_with_parent(void)
{
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
}

static void close_from_to(unsigned from, unsigned to)
{
    if (from <= to && syscall(SYS_close_range, from, to, 0) < 0) /* fails on old kernels, or if a filter forbids it */
        for (unsigned fd = from; fd <= to && fd < 65536; fd++)
            (void)close((int)fd);
}

void cnc_sys_close_others(int *keep, unsigned n)
{
    for (unsigned i = 1; i < n; i++) /* insertion sort, since they are few */
        for (unsigned k = i; k > 0 && keep[k] < keep[k - 1]; k--) {
            int t = keep[k];
            keep[k] = keep[k - 1];
            keep[k - 1] = t;
        }
    unsigned from = 3;
    for (unsigned i = 0; i < n; i++) {
        if (keep[i] < (int)from)
            continue;
        if ((unsigned)keep[i] > from)
            close_from_to(from, (unsigned)keep[i] - 1);
        from = (unsigned)keep[i] + 1;
    }
    close_from_to(from, UINT_MAX);
}

/* st_nlink of a directory is its number of subdirectories plus 2; /proc/self/task has one for each thread. */
unsigned cnc_sys_thread_count(void)
{
    struct stat st;
    if (stat("/proc/self/task", &st) < 0 || st.st_nlink < 3)
        return 1;
    unsigned n = (unsigned)st.st_nlink - 2;
    return n > OWN_THREADS + 1 ? n - OWN_THREADS : 1;
}

static void flush_if_free(FILE *file)
{
    if (ftrylockfile(file) != 0)
        return;
    (void)fflush(file);
    funlockfile(file);
}

/* A thread that reads from a stream holds its lock until input comes. So with several threads only stdout and stderr
 * are flushed, if their locks are free. */
void cnc_sys_flush_stdio(void)
{
    struct cnc_quiet quiet;
    cnc_sys_quiet(&quiet);
    if (cnc_sys_thread_count() <= 1) {
        (void)fflush(NULL);
    } else {
        flush_if_free(stdout);
        flush_if_free(stderr);
    }
    cnc_sys_unquiet(&quiet);
}

bool cnc_sys_is_alone(void)
{
    for (int ms = 0; ms < 50 && cnc_sys_thread_count() > 1; ms += 5)
        (void)cnc_sys_poll(NULL, 0, 5);
    return cnc_sys_thread_count() <= 1;
}

/* cpu.max of this process' control group (version 2): "max 100000" or "150000 100000". 0: no quota is known. */
static unsigned quota_of(const char *path)
{
    char text[64];
    unsigned long long quota = 0, period = 0;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? 0 : read(fd, text, sizeof text - 1);
    if (fd >= 0)
        (void)close(fd);
    if (n <= 0)
        return 0;
    text[n] = '\0';
    if (sscanf(text, "%llu %llu", &quota, &period) != 2 || period == 0)
        return 0;
    return (unsigned)((quota + period - 1) / period);
}

/* The smallest quota of this process' group, of the groups above it, and of the root, which a container may see as its
 * own group. */
static unsigned group_quota(void)
{
    char line[512], path[600];
    unsigned best = 0;
    FILE *f = fopen("/proc/self/cgroup", "re");
    while (f && fgets(line, sizeof line, f)) {
        if (strncmp(line, "0::", 3) != 0)
            continue;
        line[strcspn(line, "\n")] = '\0';
        for (char *end = line + strlen(line); end > line + 3; end--) { /* the group, then each one above it */
            if (*end && *end != '/')
                continue;
            *end = '\0';
            (void)snprintf(path, sizeof path, "/sys/fs/cgroup%s/cpu.max", line + 3);
            unsigned n = quota_of(path);
            best = n && (!best || n < best) ? n : best;
        }
    }
    if (f)
        (void)fclose(f);
    unsigned root = quota_of("/sys/fs/cgroup/cpu.max");
    return root && (!best || root < best) ? root : best;
}

unsigned cnc_sys_cores(void)
{
    cpu_set_t set;
    unsigned cores = 1, quota = group_quota();
    if (sched_getaffinity(0, sizeof set, &set) == 0)
        cores = (unsigned)CPU_COUNT(&set);
    else if (sysconf(_SC_NPROCESSORS_ONLN) > 0)
        cores = (unsigned)sysconf(_SC_NPROCESSORS_ONLN);
    if (quota && quota < cores)
        cores = quota;
    return cores ? cores : 1;
}

const char *cnc_sys_why_no_process(char *out, size_t room, int err)
{
    struct rlimit limit;
    if (err == EAGAIN && getrlimit(RLIMIT_NPROC, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY)
        (void)snprintf(out, room, "%s: the limit of processes and threads (RLIMIT_NPROC) is %llu", strerror(err),
                       (unsigned long long)limit.rlim_cur);
    else
        (void)snprintf(out, room, "%s", strerror(err));
    return out;
}

/* Not NULL only in builds with a leak sanitizer, or with coverage. */
extern int __lsan_do_recoverable_leak_check(void) __attribute__((weak));
extern void __gcov_dump(void) __attribute__((weak));

#define LEAK_STATUS 23 /* the leak sanitizer's default */

void cnc_sys_end_process(int status)
{
    (void)cnc_sys_is_alone(); /* waits for joined threads to vanish, so that all of stdio is flushed */
    cnc_sys_flush_stdio();
    if (__lsan_do_recoverable_leak_check && __lsan_do_recoverable_leak_check() && !status)
        status = LEAK_STATUS;
    if (__gcov_dump)
        __gcov_dump();
    _exit(status);
}
