/* SPDX-License-Identifier: MIT
 *
 * Every system call and every allocation of the library goes through this file, so that a test can make the nth one
 * fail. In ordinary builds these are plain calls; with CNC_FAULTS each calls cnc_fault_hit() first.
 *
 * The functions return what the system returns, with errno set. Callers turn that into -errno or CONCUR_E_SYS at once.
 */
#ifndef CNC_SYS_H
#define CNC_SYS_H

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <linux/sockios.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "base/fault.h"
#include "base/files.h"

#ifdef __has_builtin
#if __has_builtin(__builtin_thread_pointer)
#define CNC_HAS_THREAD_POINTER
#endif
#endif

/* memory */
static inline void *cnc_malloc(size_t n)
{
    return CNC_FAULT(CNC_FAULT_ALLOC, ENOMEM) ? NULL : malloc(n);
}

static inline void *cnc_calloc(size_t count, size_t n)
{
    return CNC_FAULT(CNC_FAULT_ALLOC, ENOMEM) ? NULL : calloc(count, n);
}

static inline void *cnc_realloc(void *p, size_t n)
{
    return CNC_FAULT(CNC_FAULT_ALLOC, ENOMEM) ? NULL : realloc(p, n);
}

static inline void cnc_free(void *p)
{
    free(p);
}

/* Zeroed memory on its own pages, which this process shares with those that it forks from now on. NULL, and errno. */
static inline void *cnc_sys_map_shared(size_t n)
{
    if (CNC_FAULT(CNC_FAULT_ALLOC, ENOMEM))
        return NULL;
    void *p = mmap(NULL, n, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    return p == MAP_FAILED ? NULL : p;
}

/* Zeroed memory on its own pages. In a process that is forked from now on it is zero again, if the system can do that.
 * NULL, and errno. */
static inline void *cnc_sys_map_own(size_t n)
{
    if (CNC_FAULT(CNC_FAULT_ALLOC, ENOMEM))
        return NULL;
    void *p = mmap(NULL, n, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED)
        return NULL;
    (void)madvise(p, n, MADV_WIPEONFORK);
    return p;
}

static inline void cnc_sys_unmap(void *p, size_t n)
{
    (void)munmap(p, n);
}

char *cnc_strdup(const char *s);
char *cnc_strndup(const char *s, size_t n);

/* sockets and descriptors */

/* In a program with threads the C library's recv() and send() are cancellation points, which costs some fifty
 * instructions a call. The library's threads are never cancelled. */
#if defined(__linux__) && defined(SYS_recvfrom) && defined(SYS_sendto) && defined(NDEBUG)
#define CNC_RECV(fd, p, n, flags) ((ssize_t)syscall(SYS_recvfrom, (fd), (p), (n), (flags), NULL, NULL))
#define CNC_SEND(fd, p, n, flags) ((ssize_t)syscall(SYS_sendto, (fd), (p), (n), (flags), NULL, 0))
#else
#define CNC_RECV(fd, p, n, flags) recv((fd), (p), (n), (flags))
#define CNC_SEND(fd, p, n, flags) send((fd), (p), (n), (flags))
#endif

static inline ssize_t cnc_sys_recv(int fd, void *p, size_t n, int flags)
{
    return CNC_FAULT(CNC_FAULT_READ, ECONNRESET) ? -1 : CNC_RECV(fd, p, n, flags);
}

static inline ssize_t cnc_sys_send(int fd, const void *p, size_t n, int flags)
{
    return CNC_FAULT(CNC_FAULT_WRITE, ECONNRESET) ? -1 : CNC_SEND(fd, p, n, flags);
}

static inline ssize_t cnc_sys_sendmsg(int fd, const struct msghdr *m, int flags)
{
    return CNC_FAULT(CNC_FAULT_WRITE, ECONNRESET) ? -1 : sendmsg(fd, m, flags);
}

/* For links between processes. While the other end is open, such a call fails only for want of room. */
static inline ssize_t cnc_sys_pass(int fd, const struct msghdr *m, int flags)
{
    return CNC_FAULT(CNC_FAULT_WRITE, ENOBUFS) ? -1 : sendmsg(fd, m, flags);
}

/* Receives a message on such a link. With MSG_DONTWAIT it may bring descriptors, which are counted (files.h). */
static inline ssize_t cnc_sys_recvmsg(int fd, struct msghdr *m, int flags)
{
    if (CNC_FAULT(CNC_FAULT_READ, ENOBUFS))
        return -1;
    if (!(flags & MSG_DONTWAIT))
        return recvmsg(fd, m, flags);
    cnc_files_begin();
    ssize_t n = recvmsg(fd, m, flags);
    cnc_files_end();
    return n;
}

static inline ssize_t cnc_sys_read(int fd, void *p, size_t n)
{
    return CNC_FAULT(CNC_FAULT_READ, EIO) ? -1 : read(fd, p, n);
}

static inline ssize_t cnc_sys_pread(int fd, void *p, size_t n, int64_t at)
{
    return CNC_FAULT(CNC_FAULT_READ, EIO) ? -1 : pread(fd, p, n, (off_t)at);
}

/* For files. Raises no signal, whatever the program has set for SIGPIPE and SIGXFSZ. */
ssize_t cnc_sys_write(int fd, const void *p, size_t n);
/* For stderr, whatever that is: raises no signal, and never waits for a reader. n: at most PIPE_BUF; may write less. */
ssize_t cnc_sys_write_at_once(int fd, const void *p, size_t n);
bool cnc_sys_is_open(int fd);
/* Flushes stdio, so that the program's output is not written twice after a fork. Never waits for other threads: if
 * there are any, it flushes only stdout and stderr, and only if no thread is using them. */
void cnc_sys_flush_stdio(void);

/* Each call that opens a descriptor is counted (files.h). */
#define CNC_OPENS(call) (cnc_files_begin(), cnc_files_took(call))

/* The new descriptor is CLOEXEC from the start; flags may add SOCK_NONBLOCK. */
int cnc_sys_accept(int fd, struct sockaddr *addr, socklen_t *len, int flags);

/* Bytes that a connected socket is likely to take now; 0: it is full, or that is unknown. */
size_t cnc_sys_send_room(int fd);

static inline int cnc_sys_socket(int family, int type)
{
    return CNC_FAULT(CNC_FAULT_OPEN, EMFILE) ? -1 : CNC_OPENS(socket(family, type | SOCK_CLOEXEC, 0));
}

static inline int cnc_sys_bind(int fd, const struct sockaddr *a, socklen_t n)
{
    return CNC_FAULT(CNC_FAULT_OPEN, EADDRINUSE) ? -1 : bind(fd, a, n);
}

static inline int cnc_sys_listen(int fd, int backlog)
{
    return CNC_FAULT(CNC_FAULT_OPEN, EADDRINUSE) ? -1 : listen(fd, backlog);
}

static inline int cnc_sys_connect(int fd, const struct sockaddr *a, socklen_t n)
{
    return CNC_FAULT(CNC_FAULT_OPEN, EAGAIN) ? -1 : connect(fd, a, n);
}

/* The other side cannot send any more. What it has sent can still be read. */
static inline int cnc_sys_shutdown_read(int fd)
{
    return shutdown(fd, SHUT_RD);
}

static inline int cnc_sys_shutdown_write(int fd)
{
    return shutdown(fd, SHUT_WR);
}

/* Resets a TCP connection, even if other processes have the descriptor. -1: not a TCP connection, or not connected any
 * more. */
static inline int cnc_sys_reset(int fd)
{
    const struct sockaddr none = { .sa_family = AF_UNSPEC };
    return connect(fd, &none, sizeof none);
}

/* Bytes sent and not yet acknowledged by the peer's system; 0 if that cannot be known. */
static inline uint32_t cnc_sys_outq(int fd)
{
    int n = 0;
    return ioctl(fd, SIOCOUTQ, &n) == 0 && n > 0 ? (uint32_t)n : 0;
}

/* Bytes that a read would get at once; 0 if that cannot be known. */
static inline uint32_t cnc_sys_inq(int fd)
{
    int n = 0;
    return ioctl(fd, SIOCINQ, &n) == 0 && n > 0 ? (uint32_t)n : 0;
}

static inline int cnc_sys_setsockopt(int fd, int level, int name, const void *p, socklen_t n)
{
    return CNC_FAULT(CNC_FAULT_OPEN, ENOPROTOOPT) ? -1 : setsockopt(fd, level, name, p, n);
}

static inline int cnc_sys_open(const char *path, int flags, int mode)
{
    return CNC_FAULT(CNC_FAULT_OPEN, EMFILE) ? -1 : CNC_OPENS(open(path, flags | O_CLOEXEC, mode));
}

/* May this process create files in a directory? */
static inline bool cnc_sys_can_create_in(const char *folder)
{
    struct stat st;
    if (CNC_FAULT(CNC_FAULT_OPEN, EACCES) || stat(folder, &st) < 0)
        return false;
    if (S_ISDIR(st.st_mode))
        return faccessat(AT_FDCWD, folder, W_OK | X_OK, AT_EACCESS) == 0;
    errno = ENOTDIR;
    return false;
}

static inline int cnc_sys_openat(int dir, const char *path, int flags)
{
    return CNC_FAULT(CNC_FAULT_OPEN, EMFILE) ? -1 : CNC_OPENS(openat(dir, path, flags | O_CLOEXEC));
}

/* stat() that does not follow a symbolic link. */
static inline int cnc_sys_lstat(const char *path, struct stat *out)
{
    return CNC_FAULT(CNC_FAULT_OPEN, EACCES) ? -1 : lstat(path, out);
}

/* A file without a name, in memory. */
static inline int cnc_sys_memory_file(const char *name)
{
    return CNC_FAULT(CNC_FAULT_OPEN, EMFILE) ? -1 : memfd_create(name, MFD_CLOEXEC);
}

static inline int cnc_sys_eventfd(void)
{
    return CNC_FAULT(CNC_FAULT_OPEN, EMFILE) ? -1 : CNC_OPENS(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
}

static inline int cnc_sys_timerfd(void)
{
    return CNC_FAULT(CNC_FAULT_OPEN, EMFILE) ? -1 : CNC_OPENS(timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK));
}

/* Lets a timerfd fire once, ms from now (at once if that is not in the future). */
int cnc_sys_timerfd_in_ms(int fd, int64_t ms);

/* Adds one to an eventfd, unless its counter is full. Async-signal-safe, keeps errno. False: fd is no eventfd: it was
 * closed by mistake. */
static inline bool cnc_sys_eventfd_raise(int fd)
{
    uint64_t one = 1;
    int saved = errno;
    bool raised = write(fd, &one, sizeof one) == (ssize_t)sizeof one || errno == EAGAIN;
    errno = saved;
    return raised;
}

/* Sets the counter of an eventfd or a timerfd to 0. False: fd is neither: it was closed by mistake. */
static inline bool cnc_sys_eventfd_clear(int fd)
{
    uint64_t n;
    ssize_t got;
    do
        got = read(fd, &n, sizeof n);
    while (got < 0 && errno == EINTR);
    return got == (ssize_t)sizeof n || (got < 0 && errno == EAGAIN);
}

/* A copy of fd with the number `to`. */
static inline bool cnc_sys_copy_to(int fd, int to)
{
    return dup3(fd, to, O_CLOEXEC) == to;
}

/* A copy of fd, with another number. */
static inline int cnc_sys_copy(int fd)
{
    return CNC_FAULT(CNC_FAULT_OPEN, EMFILE) ? -1 : CNC_OPENS(fcntl(fd, F_DUPFD_CLOEXEC, CNC_FILES_LOW));
}

static inline int cnc_sys_epoll(void)
{
    return CNC_FAULT(CNC_FAULT_OPEN, EMFILE) ? -1 : CNC_OPENS(epoll_create1(EPOLL_CLOEXEC));
}

static inline int cnc_sys_epoll_wait(int epoll, struct epoll_event *out, int n, int timeout_ms)
{
    return CNC_FAULT(CNC_FAULT_WAIT, EINTR) ? -1 : epoll_wait(epoll, out, n, timeout_ms);
}

static inline int cnc_sys_epoll_ctl(int epoll, int op, int fd, struct epoll_event *ev)
{
    return CNC_FAULT(CNC_FAULT_WAIT, ENOMEM) ? -1 : epoll_ctl(epoll, op, fd, ev);
}

/* Is this an epoll that watches fd? It may be any descriptor, also one of the program. So this makes the system call
 * directly, which ThreadSanitizer does not take for a use of the descriptor. */
static inline bool cnc_sys_epoll_has(int epoll, int fd, struct epoll_event *ev)
{
    return syscall(SYS_epoll_ctl, epoll, EPOLL_CTL_MOD, fd, ev) == 0;
}

/* poll() takes no more descriptors than RLIMIT_NOFILE, which may be lowered while they are open. Then this looks at them in parts,
 * every 20 ms. If the limit is 0, none can be looked at, and it fails with EINVAL after 20 ms. */
int cnc_sys_poll_in_parts(struct pollfd *fds, unsigned n, int timeout_ms);
static inline int cnc_sys_poll(struct pollfd *fds, unsigned n, int timeout_ms)
{
    if (CNC_FAULT(CNC_FAULT_WAIT, EINTR))
        return -1;
    int ready = poll(fds, n, timeout_ms);
    return CNC_UNLIKELY(ready < 0 && errno == EINVAL) ? cnc_sys_poll_in_parts(fds, n, timeout_ms) : ready;
}

/* Has the peer reset the connection, or closed it so that nothing more can be sent? False if it has only shut its
 * sending side. */
static inline bool cnc_sys_is_reset(int fd)
{
    struct pollfd p = { .fd = fd, .events = 0 };
    return cnc_sys_poll(&p, 1, 0) > 0;
}

static inline int cnc_sys_thread(pthread_t *out, const pthread_attr_t *attr, void *(*fn)(void *), void *arg)
{
    return CNC_FAULT(CNC_FAULT_THREAD, EAGAIN) ? EAGAIN : pthread_create(out, attr, fn, arg);
}

/* Is this a signal by which the system reports a fault, such as SIGSEGV? No thread of the library blocks these. */
bool cnc_sys_is_fault(int sig);
/* Blocks all other signals on this thread, so that the program's threads get them. */
void cnc_sys_block_signals(sigset_t *before);
/* Between the two calls no write of this thread raises SIGPIPE or SIGXFSZ. The program's handlers stay: the signals are
 * blocked on this thread, and those that its writes have raised are removed at the end. Both calls keep errno. */
struct cnc_quiet {
    sigset_t before;
    sigset_t pending; /* signals that were pending before, since the program blocks them */
};
void cnc_sys_quiet(struct cnc_quiet *quiet);
void cnc_sys_unquiet(struct cnc_quiet *quiet);

/* A number that identifies the thread. Takes one instruction, while pthread_self() is a call. */
static inline uintptr_t cnc_sys_thread_self(void)
{
#ifdef CNC_HAS_THREAD_POINTER
    return (uintptr_t)__builtin_thread_pointer();
#else
    return (uintptr_t)pthread_self();
#endif
}

/* processes */

static inline pid_t cnc_sys_fork(void)
{
    if (CNC_FAULT(CNC_FAULT_PROCESS, EAGAIN))
        return -1;
    return fork();
}

/* A descriptor that is readable when the child has ended. */
static inline int cnc_sys_pidfd(pid_t pid)
{
    return CNC_FAULT(CNC_FAULT_OPEN, EMFILE) ? -1 : CNC_OPENS((int)syscall(SYS_pidfd_open, pid, 0));
}

/* Gets the exit status of this child, without waiting. Returns pid; 0: it still runs; -1: it is no child, or its status
 * was taken before. */
pid_t cnc_sys_waitpid(pid_t pid, int *status);

/* Was this child stopped (1) or continued (2) since the last call? 0: neither, or it has ended. Does not wait. */
int cnc_sys_child_stop(int pidfd, pid_t pid);
/* The state of a process, from /proc: 'T' stopped, 't' stopped by a debugger, 'R', 'S' ...; 0: unknown. */
char cnc_sys_process_state(pid_t pid);

/* Sends a signal by pidfd, since the pid may belong to another process when the child has ended. By pid only if the
 * kernel has no pidfds (-1). */
static inline int cnc_sys_kill(int pidfd, pid_t pid, int sig)
{
    return pidfd >= 0 ? (int)syscall(SYS_pidfd_send_signal, pidfd, sig, NULL, 0) : kill(pid, sig);
}

/* A connected pair of type SOCK_SEQPACKET. */
int cnc_sys_socketpair(int fds[2]);
/* From now on this process is killed (SIGKILL) when the thread that forked it ends. */
void cnc_sys_die_with_parent(void);
/* Closes every descriptor from 3 up except those in keep (n of them, in any order; they get sorted). */
void cnc_sys_close_others(int *keep, unsigned n);
/* Number of threads of this process, without those of a sanitizer; 1 if it is not known. */
unsigned cnc_sys_thread_count(void);
/* Has this process only one thread? The kernel may count a joined thread for a moment longer, so this waits up to 50
 * ms. */
bool cnc_sys_is_alone(void);
/* Number of processor cores that affinity and the quota of its control group let this process use. At least 1. */
unsigned cnc_sys_cores(void);
/* Writes why no process or thread could be made: the error err, and the limit behind it. out: at least 128 bytes. */
const char *cnc_sys_why_no_process(char *out, size_t room, int err);
/* Ends this process without calling the program's atexit functions. Flushes stdio, and lets a sanitizer or a coverage
 * build write its report. With a leak the status becomes 23. */
_Noreturn void cnc_sys_end_process(int status);

/* Sleeps while *word is value, until woken, at most ms. False: the time is over. May wake without a reason. */
bool cnc_sys_sleep_while(atomic_uint *word, unsigned value, int64_t ms);
/* Wakes one thread that sleeps on word. Uses only the address: the memory may be freed already. */
void cnc_sys_wake_one(atomic_uint *word);

/* CLOCK_MONOTONIC, ms from now, for timed waits. */
struct timespec cnc_sys_in_ms(int64_t ms);

/* Closes *fd, unless it is negative, and sets it to -1. Keeps errno. */
void cnc_sys_close(int *fd);

#endif
