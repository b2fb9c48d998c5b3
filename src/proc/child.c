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
    return cnc_sys_is_alone();
}

static bool is_ignored(int sig)
{
    return sig == SIGPIPE || sig == SIGXFSZ || sig == SIGINT || sig == SIGHUP;
}

/* Signals of faults keep their handlers, so that a crash reporter of the program works in children too. */
static void settle_signals(void)
{
    sigset_t none;
    for (int sig = 1; sig < NSIG; sig++)
        if (!cnc_sys_is_fault(sig) && sig != SIGKILL && sig != SIGSTOP)
            cnc_child_catch(sig, is_ignored(sig) ? SIG_IGN : SIG_DFL);
    sigemptyset(&none);
    (void)pthread_sigmask(SIG_SETMASK, &none, NULL);
}

pid_t cnc_child_fork(bool with_parent)
{
    sigset_t all, before;
    pid_t parent = getpid();
    sigfillset(&all);
    cnc_sys_flush_stdio();
    (void)pthread_sigmask(SIG_BLOCK, &all, &before);
    pid_t pid = cnc_sys_fork();
    if (pid == 0) {
        if (with_parent) {
            cnc_sys_die_with_parent();
            if (getppid() != parent) /* the parent died before that took effect */
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

void cnc_child_sick(void)
{
    _exit(CNC_CHILD_SICK);
}

void cnc_child_stray(void)
{
    _exit(CNC_CHILD_STRAY);
}

void cnc_child_orphaned(void)
{
    _exit(0);
}

void cnc_child_end_text(int status, char *out, size_t n)
{
    if (WIFSIGNALED(status))
        (void)snprintf(out, n, "signal %d", WTERMSIG(status));
    else if (WEXITSTATUS(status) == CNC_CHILD_SICK)
        (void)snprintf(out, n, "sick: it could serve nobody any more");
    else
        (void)snprintf(out, n, "exit status %d", WEXITSTATUS(status));
}
