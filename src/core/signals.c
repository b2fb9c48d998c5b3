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
    struct sigaction term, intr;
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
    atomic_store(&cnc_run_state.server, NULL);
}

void cnc_signals_adopt(concur_server *server)
{
    atomic_store(&cnc_run_state.signals, 0);
    atomic_store(&cnc_run_state.server, server);
    cnc_child_catch(SIGTERM, on_signal);
}
