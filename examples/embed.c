/* SPDX-License-Identifier: MIT
 *
 * A program that has its own poll loop, and a server beside it.
 *
 *     ./embed process-event & curl http://127.0.0.1:8080/; kill %1
 *
 * concur_server_start() gives one descriptor. When it is readable, concur_server_dispatch() is called. If the server has its own
 * processes, this calls the functions for the log and for events on this thread. When the server has ended it returns
 * CONCUR_E_GONE, and the program ends, whatever the engine. The program starts its threads after concur_server_start(), since
 * some engines fork there. What threads share with handlers must be in <concur/shared.h>.
 */
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <concur/concur.h>

#define WORK_EVERY_MS 100

static int handler(concur_request *r, void *arg)
{
    (void)arg;
    return concur_reply_text(r, 200, "from beside the loop\n");
}

static void on_log(int level, const char *line, void *arg)
{
    (void)arg;
    if (level <= CONCUR_LOG_WARN)
        fprintf(stderr, "embed: %s\n", line);
}

static int on_event(concur_server *server, int what, const char *detail, void *arg)
{
    char address[64] = "";
    (void)what, (void)arg;
    (void)concur_server_address(server, 0, address, sizeof address);
    printf("event: %s %s\n", detail, address);
    fflush(stdout);
    return CONCUR_OK;
}

/* A descriptor from which signals are read. */
static int open_signals(void)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigprocmask(SIG_BLOCK, &set, NULL);
    return signalfd(-1, &set, SFD_CLOEXEC);
}

/* A timer for the program's own work, so that the work is also done while there is much to dispatch. */
static int open_timer(void)
{
    const struct itimerspec every = { .it_interval.tv_nsec = WORK_EVERY_MS * 1000000L, .it_value.tv_nsec = 1 };
    int fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);
    return fd >= 0 && timerfd_settime(fd, 0, &every, NULL) == 0 ? fd : -1;
}

/* Runs until the server has ended. Returns how often the program's own work was done. */
static unsigned loop(concur_server *server, int signals, int timer)
{
    struct pollfd fds[3] = { { .fd = signals, .events = POLLIN },
                             { .fd = concur_server_fd(server), .events = POLLIN },
                             { .fd = timer, .events = POLLIN } };
    unsigned work = 0;
    for (;;) {
        struct signalfd_siginfo info;
        uint64_t times;
        if (poll(fds, 3, -1) <= 0)
            continue; /* a signal of another kind */
        if (fds[0].revents && read(signals, &info, sizeof info) == sizeof info)
            concur_server_stop(server, 5000); /* the loop goes on until the requests under way are done */
        if (fds[2].revents && read(timer, &times, sizeof times) == sizeof times)
            work++;
        if (fds[1].revents && concur_server_dispatch(server) == CONCUR_E_GONE)
            return work;
    }
}

int main(int argc, char **argv)
{
    int engine = argc > 1 ? concur_engine_parse(argv[1]) : CONCUR_ENGINE_THREAD;
    if (engine < 0) {
        fprintf(stderr, "embed: no engine %s\n", argv[1]);
        return 2;
    }
    int timer = open_timer(), signals = open_signals(); /* before any thread, so that all threads block these signals */
    concur_server *server = concur_server_new(engine, NULL);
    concur_server_listen(server, argc > 2 ? argv[2] : "127.0.0.1:8080");
    concur_server_log(server, on_log, NULL);
    concur_server_hook(server, CONCUR_HOOK_EVENT, on_event, NULL);
    concur_server_route(server, "GET /", 0, handler, NULL);
    int rc = timer < 0 || signals < 0 ? CONCUR_E_SYS : concur_server_start(server);
    if (rc == CONCUR_OK) {
        unsigned work = loop(server, signals, timer);
        rc = concur_server_wait(server);
        printf("the end, after work done %u times\n", work);
    }
    if (rc < 0)
        fprintf(stderr, "embed: %s\n%s", concur_strerror(rc), concur_server_error(server));
    concur_server_free(server);
    return rc < 0;
}
