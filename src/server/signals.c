/* SPDX-License-Identifier: MIT */
#include "server/signals.h"

#include "base/sys.h"
#include "loop/loop.h"
#include "proc/child.h"
#include "server/place.h"

/* What concur_server_run() has changed in the process. Only one run at a time. */
static struct {
    atomic_bool taken;
    _Atomic(concur_server *) server;
    atomic_uint signals;
    struct sigaction term, intr, hup, chld;
    bool hears_children, hears_hup;
    sigset_t blocked; /* those of our signals that the program had blocked */
} cnc_run_state;

/* In a process that the program has forked: the signal does what it did before run. */
static void signals_pass_on(int sig)
{
    (void)sigaction(sig, sig == SIGTERM ? &cnc_run_state.term : &cnc_run_state.intr, NULL);
    (void)raise(sig);
}

static void on_signals_signal(int sig)
{
    int saved = errno;
    concur_server *s = atomic_load(&cnc_run_state.server);
    if (s && cnc_server_is_copy(s))
        signals_pass_on(sig);
    else if (s)
        cnc_place_stop(s, atomic_fetch_add(&cnc_run_state.signals, 1) > 0 ? 0 : atomic_load(&s->stop_timeout));
    errno = saved;
}

/* A warning of libevent. */
static void on_signals_warning(const char *text)
{
    concur_server *s = atomic_load(&cnc_run_state.server);
    if (s)
        cnc_log(&s->log, CONCUR_LOG_WARN, "libevent: %s", text);
}

static void on_signals_hup(int sig)
{
    int saved = errno;
    concur_server *s = atomic_load(&cnc_run_state.server);
    (void)sig;
    if (s && !cnc_server_is_copy(s) && s->place.board)
        cnc_place_reload(s);
    errno = saved;
}

/* Calls the program's handler of SIGCHLD, unless it has asked not to be told of stopped children. */
static void call_programs(int sig, siginfo_t *info, void *context)
{
    const struct sigaction *own = &cnc_run_state.chld;
    bool is_end = info->si_code == CLD_EXITED || info->si_code == CLD_KILLED || info->si_code == CLD_DUMPED;
    if ((own->sa_flags & SA_NOCLDSTOP) && !is_end)
        return;
    if (own->sa_flags & SA_SIGINFO)
        own->sa_sigaction(sig, info, context);
    else if (own->sa_handler != SIG_DFL && own->sa_handler != SIG_IGN)
        own->sa_handler(sig);
}

static void on_signals_child(int sig, siginfo_t *info, void *context)
{
    concur_server *s = atomic_load(&cnc_run_state.server);
    if (s && !cnc_server_is_copy(s))
        cnc_server_raise(s);
    call_programs(sig, info, context);
}

/* Unblocks a signal, and notes whether it must be blocked again at the end. */
static void unblock(int sig)
{
    sigset_t set, before;
    sigemptyset(&set);
    sigaddset(&set, sig);
    if (pthread_sigmask(SIG_UNBLOCK, &set, &before) == 0 && sigismember(&before, sig))
        sigaddset(&cnc_run_state.blocked, sig);
}

/* If the program had its children reaped by the kernel (SIG_IGN or SA_NOCLDWAIT), that stays so. */
void cnc_signals_hear_children(void)
{
    struct sigaction sa = { .sa_sigaction = on_signals_child, .sa_flags = SA_RESTART | SA_SIGINFO };
    sigemptyset(&sa.sa_mask);
    if (sigaction(SIGCHLD, NULL, &cnc_run_state.chld) < 0)
        return;
    const struct sigaction *own = &cnc_run_state.chld;
    bool ignores = !(own->sa_flags & SA_SIGINFO) && own->sa_handler == SIG_IGN;
    if (ignores || (own->sa_flags & SA_NOCLDWAIT))
        sa.sa_flags |= SA_NOCLDWAIT;
    cnc_run_state.hears_children = sigaction(SIGCHLD, &sa, NULL) == 0;
    unblock(SIGCHLD);
}

bool cnc_signals_claim(void)
{
    return !atomic_exchange(&cnc_run_state.taken, true);
}

void cnc_signals_release(void)
{
    atomic_store(&cnc_run_state.taken, false);
}

void cnc_signals_take(concur_server *server)
{
    struct sigaction sa = { .sa_handler = on_signals_signal, .sa_flags = SA_RESTART };
    sigemptyset(&sa.sa_mask);
    sigaddset(&sa.sa_mask, SIGTERM);
    sigaddset(&sa.sa_mask, SIGINT);
    atomic_store(&cnc_run_state.signals, 0);
    atomic_store(&cnc_run_state.server, server);
    sigaction(SIGTERM, &sa, &cnc_run_state.term);
    sigaction(SIGINT, &sa, &cnc_run_state.intr);
    sigemptyset(&cnc_run_state.blocked);
    unblock(SIGTERM);
    unblock(SIGINT);
    cnc_loop_say_to(on_signals_warning, NULL);
}

void cnc_signals_reload_on_hup(void)
{
    struct sigaction sa = { .sa_handler = on_signals_hup, .sa_flags = SA_RESTART };
    struct sigaction *own = &cnc_run_state.hup;
    sigemptyset(&sa.sa_mask);
    if (sigaction(SIGHUP, NULL, own) < 0 || (own->sa_flags & SA_SIGINFO) ||
        (own->sa_handler != SIG_DFL && own->sa_handler != SIG_IGN))
        return;
    cnc_run_state.hears_hup = sigaction(SIGHUP, &sa, NULL) == 0;
    unblock(SIGHUP);
}

void cnc_signals_give_back(void)
{
    (void)pthread_sigmask(SIG_BLOCK, &cnc_run_state.blocked, NULL);
    sigaction(SIGTERM, &cnc_run_state.term, NULL);
    sigaction(SIGINT, &cnc_run_state.intr, NULL);
    if (cnc_run_state.hears_children)
        sigaction(SIGCHLD, &cnc_run_state.chld, NULL);
    if (cnc_run_state.hears_hup)
        sigaction(SIGHUP, &cnc_run_state.hup, NULL);
    cnc_run_state.hears_children = cnc_run_state.hears_hup = false;
    cnc_loop_say_to(NULL, NULL);
    atomic_store(&cnc_run_state.server, NULL);
}

void cnc_signals_adopt(concur_server *server)
{
    atomic_store(&cnc_run_state.signals, 0);
    atomic_store(&cnc_run_state.server, server);
    cnc_child_catch(SIGTERM, on_signals_signal);
    cnc_loop_say_to(on_signals_warning, cnc_child_sick);
}
