/* SPDX-License-Identifier: MIT */
#include "core/signals.h"

#include "base/sys.h"
#include "core/place.h"
#include "proc/child.h"

/* What a run in progress changed in the process. One at a time. */
static struct {
    atomic_bool taken;
    _Atomic(concur_server *) server;
    atomic_uint signals;
    struct sigaction term, intr, chld;
    bool hears_children;
} cnc_run_state;

static void on_signal(int sig)
{
    int saved = errno;
    concur_server *s = atomic_load(&cnc_run_state.server);
    (void)sig;
    if (s)
        cnc_place_stop(s, atomic_fetch_add(&cnc_run_state.signals, 1) > 0 ? 0 : atomic_load(&s->stop_timeout));
    errno = saved;
}

/* The program's handler hears of what it asked for, and of no more. */
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

static void on_child(int sig, siginfo_t *info, void *context)
{
    concur_server *s = atomic_load(&cnc_run_state.server);
    if (s)
        cnc_server_raise(s);
    call_programs(sig, info, context);
}

/* A program that does not want to wait for its children need not begin to now. */
void cnc_signals_hear_children(void)
{
    struct sigaction sa = { .sa_sigaction = on_child, .sa_flags = SA_RESTART | SA_SIGINFO };
    sigemptyset(&sa.sa_mask);
    if (sigaction(SIGCHLD, NULL, &cnc_run_state.chld) < 0)
        return;
    const struct sigaction *own = &cnc_run_state.chld;
    bool ignores = !(own->sa_flags & SA_SIGINFO) && own->sa_handler == SIG_IGN;
    if (ignores || (own->sa_flags & SA_NOCLDWAIT))
        sa.sa_flags |= SA_NOCLDWAIT;
    cnc_run_state.hears_children = sigaction(SIGCHLD, &sa, NULL) == 0;
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
    struct sigaction sa = { .sa_handler = on_signal, .sa_flags = SA_RESTART };
    sigemptyset(&sa.sa_mask);
    sigaddset(&sa.sa_mask, SIGTERM);
    sigaddset(&sa.sa_mask, SIGINT);
    atomic_store(&cnc_run_state.signals, 0);
    atomic_store(&cnc_run_state.server, server);
    sigaction(SIGTERM, &sa, &cnc_run_state.term);
    sigaction(SIGINT, &sa, &cnc_run_state.intr);
}

void cnc_signals_give_back(void)
{
    sigaction(SIGTERM, &cnc_run_state.term, NULL);
    sigaction(SIGINT, &cnc_run_state.intr, NULL);
    if (cnc_run_state.hears_children)
        sigaction(SIGCHLD, &cnc_run_state.chld, NULL);
    cnc_run_state.hears_children = false;
    atomic_store(&cnc_run_state.server, NULL);
}

void cnc_signals_adopt(concur_server *server)
{
    atomic_store(&cnc_run_state.signals, 0);
    atomic_store(&cnc_run_state.server, server);
    cnc_child_catch(SIGTERM, on_signal);
}
