/* SPDX-License-Identifier: MIT */
#include "loop/loop.h"

#include "base/error.h"
#include "base/sys.h"

#define OWN_FILES 3 /* descriptors that libevent opens for a base: an epoll, and a pipe for signals */
#define OWN_BYTES 2048 /* more than libevent allocates for them */

struct cnc_loop {
    struct event_base *base;
    const struct cnc_clock *clock;
    struct cnc_tick *ticks;
    struct event timer; /* watches timer_fd, which fires at armed_at and only ends the wait */
    struct event waker;
    int64_t armed_at;
    int64_t tick_at; /* no tick is due before this time */
    int64_t now;
    int64_t began;
    int wake_fd, timer_fd;
    int epoll_fd; /* libevent's; -1: not found */
    bool stale; /* the time must be read again */
    _Atomic(const char *) broken; /* why the loop is broken; NULL: it is not */
};

static void be_broken(struct cnc_loop *loop, const char *why)
{
    const char *none = NULL;
    atomic_compare_exchange_strong(&loop->broken, &none, why);
}

static void on_loop_timer(evutil_socket_t fd, short what, void *arg)
{
    struct cnc_loop *loop = arg;
    (void)what;
    if (!cnc_sys_eventfd_clear((int)fd))
        be_broken(loop, "its timer was closed");
    loop->armed_at = INT64_MAX;
}

/* Clears the counter before the woken code looks at its queue, so that no wake-up is lost. */
static void on_loop_wake(evutil_socket_t fd, short what, void *arg)
{
    (void)what;
    if (!cnc_sys_eventfd_clear((int)fd))
        be_broken(arg, "its wake-up was closed");
}

static struct event_config *configure(void)
{
    struct event_config *cfg = event_config_new();
    if (!cfg)
        return NULL;
    /* One thread uses a base, so no locks. libevent's environment variables are meant for the host's own use of it. */
    event_config_set_flag(cfg, EVENT_BASE_FLAG_NOLOCK);
    event_config_set_flag(cfg, EVENT_BASE_FLAG_IGNORE_ENV);
    /* libevent gets no timers, so it need not read the clock in each turn. */
    event_config_set_flag(cfg, EVENT_BASE_FLAG_NO_CACHE_TIME);
    /* Requires epoll. If libevent had no memory for that, it would choose poll() or select(), which cannot report
     * these. */
    event_config_require_features(cfg, EV_FEATURE_ET | EV_FEATURE_EARLY_CLOSE);
    return cfg;
}

/* If libevent gets no descriptors it calls exit(1), and if it gets no memory it writes to stderr. So this first
 * allocates both for a test, and frees them. *highest: libevent's descriptors have at most this number. */
static struct event_base *new_base(const struct event_config *cfg, int *highest)
{
    struct cnc_files_hold hold;
    struct cnc_quiet quiet;
    void *room = cnc_malloc(OWN_BYTES);
    int rc = room ? cnc_files_make(&hold, OWN_FILES) : -ENOMEM;
    cnc_free(room);
    if (rc < 0) {
        errno = -rc;
        return NULL;
    }
    cnc_sys_quiet(&quiet);
    struct event_base *base = CNC_FAULT(CNC_FAULT_ALLOC, ENOMEM) ? NULL : event_base_new_with_config(cfg);
    cnc_sys_unquiet(&quiet);
    *highest = hold.highest;
    cnc_files_made(&hold);
    return base;
}

/* Finds libevent's epoll descriptor, which it does not tell: it is the one that watches the loop's eventfd. The search
 * changes nothing there. */
static int find_epoll(const struct cnc_loop *loop, int highest)
{
    struct epoll_event ev = { .events = EPOLLIN, .data.fd = loop->wake_fd };
    for (int fd = CNC_FILES_LOW; fd <= highest; fd++)
        if (fd != loop->wake_fd && cnc_sys_epoll_has(fd, loop->wake_fd, &ev))
            return fd;
    return -1;
}

static int open_base(struct cnc_loop *loop)
{
    int highest = -1;
    char why[128];
    struct event_config *cfg = configure();
    if (!cfg)
        return CONCUR_E_NOMEM;
    errno = 0;
    loop->base = new_base(cfg, &highest);
    event_config_free(cfg);
    if (!loop->base)
        return cnc_error_set(errno && errno != ENOMEM ? CONCUR_E_SYS : CONCUR_E_NOMEM, "event loop: %s",
                             cnc_files_why(why, sizeof why, errno ? errno : ENOMEM, CNC_FILES_PROCESS));
    event_assign(&loop->timer, loop->base, loop->timer_fd, EV_READ | EV_PERSIST, on_loop_timer, loop);
    event_assign(&loop->waker, loop->base, loop->wake_fd, EV_READ | EV_PERSIST, on_loop_wake, loop);
    if (event_add(&loop->waker, NULL) < 0 || event_add(&loop->timer, NULL) < 0)
        return cnc_error_set(CONCUR_E_SYS, "event loop: cannot watch its own descriptors");
    loop->epoll_fd = find_epoll(loop, highest);
    return CONCUR_OK;
}

static void own_files(const struct cnc_loop *loop, bool is_own)
{
    cnc_files_own(loop->wake_fd, is_own);
    cnc_files_own(loop->timer_fd, is_own);
    cnc_files_own(loop->epoll_fd, is_own);
}

int cnc_loop_create(struct cnc_loop **out, const struct cnc_clock *clock)
{
    char why[128];
    struct cnc_loop *loop = cnc_calloc(1, sizeof *loop);
    int rc = loop ? CONCUR_OK : CONCUR_E_NOMEM;
    if (!loop)
        return rc;
    loop->clock = clock;
    loop->armed_at = INT64_MAX;
    loop->stale = true;
    loop->timer_fd = loop->epoll_fd = -1;
    atomic_init(&loop->broken, NULL);
    loop->wake_fd = cnc_sys_eventfd();
    if (loop->wake_fd >= 0)
        loop->timer_fd = cnc_sys_timerfd();
    if (loop->timer_fd < 0)
        rc = cnc_error_set(CONCUR_E_SYS, "event loop: eventfd or timerfd: %s",
                           cnc_files_why(why, sizeof why, errno, CNC_FILES_PROCESS));
    else
        rc = open_base(loop);
    if (rc < 0) {
        cnc_loop_destroy(&loop);
        return rc;
    }
    own_files(loop, true);
    *out = loop;
    return CONCUR_OK;
}

void cnc_loop_destroy(struct cnc_loop **loop_)
{
    struct cnc_loop *loop = *loop_;
    if (!loop)
        return;
    own_files(loop, false);
    if (loop->base) {
        if (event_initialized(&loop->timer))
            event_del(&loop->timer);
        if (event_initialized(&loop->waker))
            event_del(&loop->waker);
        event_base_free(loop->base);
    }
    cnc_sys_close(&loop->wake_fd);
    cnc_sys_close(&loop->timer_fd);
    cnc_free(loop);
    *loop_ = NULL;
}

CNC_HOT int64_t cnc_loop_now(struct cnc_loop *loop)
{
    if (loop->stale) {
        loop->now = cnc_clock_now(loop->clock);
        loop->stale = false;
    }
    return loop->now;
}

/* If the eventfd was closed by mistake, the timer wakes the loop, which then finds that it is broken. */
void cnc_loop_wake(struct cnc_loop *loop)
{
    if (CNC_LIKELY(cnc_sys_eventfd_raise(loop->wake_fd)))
        return;
    int saved = errno;
    be_broken(loop, "its wake-up was closed");
    (void)cnc_sys_timerfd_in_ms(loop->timer_fd, 0);
    errno = saved;
}

void cnc_loop_break(struct cnc_loop *loop, const char *why)
{
    be_broken(loop, why);
}

static void arm(struct cnc_loop *loop, int64_t at)
{
    int64_t wait = at - cnc_clock_now(loop->clock); /* not the turn's time: a handler may have taken long */
    if (cnc_sys_timerfd_in_ms(loop->timer_fd, wait) == 0)
        loop->armed_at = at;
    else
        be_broken(loop, "its timer was closed");
}

/* Runs the ticks that are due. Also sets a timer again that should have fired by now; if it was closed, that fails. */
static void run_ticks(struct cnc_loop *loop)
{
    int64_t next = INT64_MAX;
    loop->tick_at = INT64_MAX; /* before the handlers run, since one may set a tick again */
    for (struct cnc_tick *t = loop->ticks; t; t = t->next) {
        if (t->at <= cnc_loop_now(loop)) {
            t->at = INT64_MAX;
            t->fn(t);
        }
        if (t->at < next)
            next = t->at;
    }
    if (next < loop->tick_at)
        loop->tick_at = next;
    if (next < loop->armed_at || loop->armed_at < cnc_loop_now(loop))
        arm(loop, next);
}

/* Is a tick due? In most turns none is. */
static bool has_ticks_to_run(const struct cnc_loop *loop, int64_t now)
{
    return loop->tick_at <= now || loop->tick_at < loop->armed_at || loop->armed_at < now;
}

static int loop_say_broken(const struct cnc_loop *loop)
{
    return cnc_error_set(CONCUR_E_SYS, "event loop: %s", atomic_load(&loop->broken));
}

CNC_HOT int cnc_loop_turn(struct cnc_loop *loop, int64_t max_wait_ms)
{
    int flags = EVLOOP_ONCE;
    loop->stale = true;
    if (max_wait_ms == 0)
        flags |= EVLOOP_NONBLOCK; /* NONBLOCK without ONCE would go on as long as any descriptor is ready */
    else if (max_wait_ms > 0 && cnc_loop_now(loop) + max_wait_ms < loop->armed_at)
        arm(loop, cnc_loop_now(loop) + max_wait_ms);
    if (CNC_UNLIKELY(atomic_load_explicit(&loop->broken, memory_order_relaxed) != NULL))
        return loop_say_broken(loop);
    if (CNC_UNLIKELY(event_base_loop(loop->base, flags) < 0))
        be_broken(loop, "it cannot wait: its epoll was closed");
    /* The time of the first callback, if there was one; else now. */
    loop->began = cnc_loop_now(loop);
    if (CNC_UNLIKELY(has_ticks_to_run(loop, loop->began)))
        run_ticks(loop);
    return CNC_LIKELY(atomic_load_explicit(&loop->broken, memory_order_relaxed) == NULL) ? CONCUR_OK : loop_say_broken(loop);
}

CNC_HOT int64_t cnc_loop_turn_began(const struct cnc_loop *loop)
{
    return loop->began;
}

/* libevent reports a reset as readable and writable, but not as EV_CLOSED. If only EV_CLOSED were watched, the callback
 * would not be called, and the loop would spin. So EV_CLOSED is combined with an edge-triggered EV_READ. */
#define CLOSED_EVENTS (EV_CLOSED | EV_READ | EV_ET)

static bool has_hung_up(int fd)
{
    struct pollfd p = { .fd = fd, .events = POLLRDHUP };
    return cnc_sys_poll(&p, 1, 0) > 0;
}

CNC_HOT static void on_loop_io(evutil_socket_t fd, short what, void *arg)
{
    struct cnc_io *io = arg;
    unsigned ready = 0;
    if ((event_get_events(&io->ev) & CLOSED_EVENTS) == CLOSED_EVENTS) {
        if (!(what & EV_CLOSED) && (what & EV_READ) && has_hung_up((int)fd))
            ready |= CNC_IO_CLOSED;
    } else if (what & EV_READ) {
        ready |= CNC_IO_READ;
    }
    if (what & EV_WRITE)
        ready |= CNC_IO_WRITE;
    if (what & EV_CLOSED)
        ready |= CNC_IO_CLOSED;
    if (ready)
        io->fn(io, ready);
}

void cnc_io_init(struct cnc_loop *loop, struct cnc_io *io, int fd, void (*fn)(struct cnc_io *, unsigned))
{
    event_assign(&io->ev, loop->base, fd, EV_READ | EV_PERSIST, on_loop_io, io);
    io->fn = fn;
}

/* libevent 2.1 does not know EPOLLEXCLUSIVE. So the descriptor that it has added to its epoll is removed, and added
 * again with this flag. If that fails, it is watched without the flag: then each connection wakes all processes. */
static void make_exclusive(struct cnc_loop *loop, int fd)
{
    struct epoll_event ev = { .events = EPOLLIN | EPOLLEXCLUSIVE, .data.fd = fd };
    if (loop->epoll_fd < 0 || cnc_sys_epoll_ctl(loop->epoll_fd, EPOLL_CTL_DEL, fd, NULL) < 0)
        return;
    if (cnc_sys_epoll_ctl(loop->epoll_fd, EPOLL_CTL_ADD, fd, &ev) == 0)
        return;
    ev.events = EPOLLIN;
    (void)cnc_sys_epoll_ctl(loop->epoll_fd, EPOLL_CTL_ADD, fd, &ev);
}

/* Adds the descriptor to libevent's epoll, without events, to see whether that works. libevent then finds it there, and
 * changes its events. If another io watches the same descriptor, it is known to work. */
int cnc_io_ask(struct cnc_loop *loop, const struct cnc_io *io)
{
    struct epoll_event ev = { .events = 0, .data.fd = cnc_io_fd(io) };
    if (loop->epoll_fd < 0 || cnc_sys_epoll_ctl(loop->epoll_fd, EPOLL_CTL_ADD, cnc_io_fd(io), &ev) == 0 || errno == EEXIST)
        return CONCUR_OK;
    return cnc_error_set(CONCUR_E_SYS, "descriptor %d cannot be waited for: %s", cnc_io_fd(io), strerror(errno));
}

int cnc_io_watch(struct cnc_loop *loop, struct cnc_io *io, unsigned mask)
{
    short events = EV_PERSIST;
    if (mask & CNC_IO_READ)
        events |= EV_READ;
    if (mask & CNC_IO_WRITE)
        events |= EV_WRITE;
    if (mask & CNC_IO_EDGE)
        events = (short)(events | EV_ET);
    if (mask & CNC_IO_CLOSED)
        events = (short)(events | (mask & (CNC_IO_READ | CNC_IO_WRITE) ? EV_CLOSED : CLOSED_EVENTS));
    event_del(&io->ev);
    if (!mask)
        return CONCUR_OK;
    if (event_get_events(&io->ev) != events)
        event_assign(&io->ev, loop->base, cnc_io_fd(io), events, on_loop_io, io);
    if (CNC_FAULT(CNC_FAULT_WAIT, ENOMEM) || event_add(&io->ev, NULL) < 0)
        return cnc_error_set(CONCUR_E_SYS, "event loop: cannot watch a descriptor: %s", strerror(errno));
    if (CNC_UNLIKELY(mask & CNC_IO_EXCLUSIVE))
        make_exclusive(loop, cnc_io_fd(io));
    return CONCUR_OK;
}

void cnc_tick_init(struct cnc_loop *loop, struct cnc_tick *tick, void (*fn)(struct cnc_tick *))
{
    tick->at = INT64_MAX;
    tick->fn = fn;
    tick->next = loop->ticks;
    loop->ticks = tick;
}

void cnc_tick_deinit(struct cnc_loop *loop, struct cnc_tick *tick)
{
    for (struct cnc_tick **p = &loop->ticks; *p; p = &(*p)->next)
        if (*p == tick) {
            *p = tick->next;
            return;
        }
}

void cnc_tick_at(struct cnc_loop *loop, struct cnc_tick *tick, int64_t at)
{
    if (at >= tick->at)
        return;
    tick->at = at;
    if (at < loop->tick_at)
        loop->tick_at = at;
    if (at < loop->armed_at)
        arm(loop, at);
}

/* State of the whole process, as are signals (server/signals.c): only one server uses it. */
static struct {
    _Atomic(void (*)(const char *)) say;
    _Atomic(void (*)(void)) fatal;
} cnc_run_state;

static void on_loop_log(int severity, const char *text)
{
    void (*say)(const char *) = atomic_load(&cnc_run_state.say);
    if (say && severity != EVENT_LOG_DEBUG)
        say(text);
}

static void on_loop_fatal(int status)
{
    void (*fatal)(void) = atomic_load(&cnc_run_state.fatal);
    (void)status;
    if (fatal)
        fatal();
}

void cnc_loop_say_to(void (*say)(const char *text), void (*fatal)(void))
{
    atomic_store(&cnc_run_state.say, say);
    atomic_store(&cnc_run_state.fatal, fatal);
    event_set_log_callback(say ? on_loop_log : NULL);
    event_set_fatal_callback(fatal ? on_loop_fatal : NULL);
}
