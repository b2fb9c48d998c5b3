/* SPDX-License-Identifier: MIT */
#include "proc/child.h"

#include <stdio.h>
#include <sys/wait.h>

#include "base/sys.h"

void cnc_child_catch(int sig, void (*handler)(int))
{
    struct sigaction sa = { .sa_handler = handler, .sa_flags = SA_RESTART };
    sigemptyset(&sa.sa_mask);
    (void)sigaction(sig, &sa, NULL);
}

bool cnc_child_is_alone(void)
{
    for (int ms = 0; ms < 50 && cnc_sys_thread_count() > 1; ms += 5)
        (void)cnc_sys_poll(NULL, 0, 5);
    return cnc_sys_thread_count() <= 1;
}

/* A program's own reporter of crashes goes on to report them. */
static bool is_fault(int sig)
{
    return sig == SIGSEGV || sig == SIGBUS || sig == SIGFPE || sig == SIGILL || sig == SIGABRT || sig == SIGTRAP ||
           sig == SIGSYS;
}

static void settle_signals(void)
{
    sigset_t none;
    for (int sig = 1; sig < NSIG; sig++)
        if (!is_fault(sig) && sig != SIGKILL && sig != SIGSTOP)
            cnc_child_catch(sig, sig == SIGPIPE || sig == SIGINT || sig == SIGHUP ? SIG_IGN : SIG_DFL);
    sigemptyset(&none);
    (void)pthread_sigmask(SIG_SETMASK, &none, NULL);
}

pid_t cnc_child_fork(bool with_parent)
{
    sigset_t all, before;
    pid_t parent = getpid();
    sigfillset(&all);
    (void)fflush(NULL);
    (void)pthread_sigmask(SIG_BLOCK, &all, &before);
    pid_t pid = cnc_sys_fork();
    if (pid == 0) {
        if (with_parent) {
            cnc_sys_die_with_parent();
            if (getppid() != parent) /* it died before that took effect */
                _exit(0);
        }
        settle_signals();
        return 0;
    }
    int err = errno;
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    errno = err;
    return pid;
}

void cnc_child_orphaned(void)
{
    _exit(0);
}

void cnc_child_end_text(int status, char *out, size_t n)
{
    if (WIFSIGNALED(status))
        (void)snprintf(out, n, "signal %d", WTERMSIG(status));
    else
        (void)snprintf(out, n, "exit status %d", WEXITSTATUS(status));
}
