/* SPDX-License-Identifier: MIT */
#include "e2e/flood.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>

enum {
    UNITS = 4096,           /* different requests, sent again and again */
    SILENCE_MS = 500,       /* without a byte taken: the server takes no more */
    ANSWER_MS = 10000,      /* without a byte of a reply: it has forgotten the rest */
    KERNEL_MAX = 48 << 20,  /* bytes that the system's buffers may hold for one connection */
    REPLY_MAX = 1024        /* bytes of one reply */
};

static const char body[] = "Hello, World!";

struct requests {
    char *text;
    size_t ends[UNITS]; /* where each request ends */
    size_t n;           /* bytes of all */
};

/* Any length from FLOOD_SHORTEST on: the query fills it up. */
static size_t put_request(char *out, size_t length)
{
    static const char before[] = "GET /?", behind[] = " HTTP/1.1\r\nHost:e\r\n\r\n";
    const size_t fixed = sizeof before - 1 + sizeof behind - 1;
    memcpy(out, before, sizeof before - 1);
    memset(out + sizeof before - 1, 'q', length - fixed);
    memcpy(out + length - (sizeof behind - 1), behind, sizeof behind - 1);
    return length;
}

static void make_requests(struct requests *all, size_t length, uint64_t *seed)
{
    all->text = malloc((size_t)UNITS * FLOOD_LONGEST);
    all->n = 0;
    ck_assert_ptr_nonnull(all->text);
    for (int i = 0; i < UNITS; i++) {
        const size_t range = FLOOD_LONGEST - FLOOD_SHORTEST + 1;
        const size_t n = length ? length : FLOOD_SHORTEST + (size_t)(random_next(seed) % range);
        all->n += put_request(all->text + all->n, n);
        all->ends[i] = all->n;
    }
}

/* How many bytes the first `count` requests have. */
static size_t bytes_of(const struct requests *all, size_t count)
{
    const size_t rest = count % UNITS;
    return count / UNITS * all->n + (rest ? all->ends[rest - 1] : 0);
}

/* How many requests are whole in the first n bytes. */
static size_t whole_in(const struct requests *all, size_t n)
{
    size_t count = n / all->n * UNITS;
    for (size_t i = 0; i < UNITS && all->ends[i] <= n % all->n; i++)
        count++;
    return count;
}

/* What the server takes at once. */
static size_t send_some(struct client *c, const struct requests *all, size_t sent, size_t total)
{
    const size_t at = sent % all->n;
    size_t n = all->n - at < total - sent ? all->n - at : total - sent;
    long some = client_send_some(c, all->text + at, n < 65536 ? n : 65536);
    ck_assert_msg(some >= 0, "the connection ended after %zu bytes%s", sent, demo_end());
    return (size_t)some;
}

/* Sanitizers keep freed memory: there the numbers say nothing. */
static void expect_memory(struct flood *f, const struct demo *d, long before, size_t sent)
{
    if (is_sanitized())
        return;
    const long delta = demo_memory_kib(d) - before;
    f->grew_kib = delta > f->grew_kib ? delta : f->grew_kib;
    ck_assert_msg(delta < f->growth_kib, "%s: %zu bytes sent and nothing read: grew by %ld KiB", d->engine, sent, delta);
}

static void fill_up(struct flood *f, const struct demo *d, struct client *c, const struct requests *all, long before)
{
    const size_t total = bytes_of(all, f->most);
    size_t looked_at = 0;
    for (int64_t moved_at = now_ms(); f->sent < total && now_ms() - moved_at < slow(SILENCE_MS);) {
        size_t some = send_some(c, all, f->sent, total);
        f->sent += some;
        if (some > 0)
            moved_at = now_ms();
        else
            nap_ms(2);
        if (f->sent - looked_at >= 1 << 20) {
            looked_at = f->sent;
            expect_memory(f, d, before, f->sent);
        }
    }
    expect_memory(f, d, before, f->sent);
    ck_assert_msg(f->sent < KERNEL_MAX || total < KERNEL_MAX, "%s: takes %zu bytes and goes on", d->engine, f->sent);
}

static size_t within(const char *p, const char *end)
{
    return end - p < REPLY_MAX ? (size_t)(end - p) : REPLY_MAX;
}

/* Both ends of each reply, so that one cut short does not count. */
static size_t count_replies(struct client *c)
{
    size_t count = 0;
    const char *p = c->in + c->at, *end = p + c->n;
    /* No further than one reply: a sanitizer looks at all that a search may look at. */
    for (const char *at; (at = memmem(p, within(p, end), body, sizeof body - 1)) != NULL; count++) {
        ck_assert_msg(memcmp(p, "HTTP/1.1 200 OK\r\n", 17) == 0, "not a reply: %.60s", p);
        p = at + sizeof body - 1;
    }
    c->at += (size_t)(p - (c->in + c->at));
    c->n = (size_t)(end - p);
    ck_assert_msg(c->n < REPLY_MAX, "no reply: %.60s", p);
    return count;
}

/* False: not now. */
static bool pause_once(struct flood *f, uint64_t *seed)
{
    if (f->pauses <= 0 || f->pause_ms == 0 || random_next(seed) % 4)
        return false;
    f->pauses--;
    nap_ms((unsigned)(random_next(seed) % (f->pause_ms + 1)));
    return true;
}

/* Bytes that are read at one go are drawn too: what the server can send on changes with them. */
static void read_until(struct flood *f, const struct demo *d, struct client *c, const struct requests *all, size_t want,
                       uint64_t *seed)
{
    const size_t total = f->tops_up ? bytes_of(all, f->most) : f->sent;
    int64_t heard_at = now_ms();
    while (f->answered < want) {
        struct pollfd p = { .fd = c->fd, .events = (short)(POLLIN | (f->sent < total ? POLLOUT : 0)) };
        if (pause_once(f, seed))
            heard_at = now_ms(); /* it may have had nothing left to answer */
        ck_assert_int_ge(poll(&p, 1, 100), 0);
        if (p.revents & POLLOUT)
            f->sent += send_some(c, all, f->sent, total);
        for (uint64_t n = p.revents & POLLIN ? 1 + random_next(seed) % 8 : 0; n > 0; n--) {
            if (!client_wait_bytes(c, c->n + 1, 0))
                break;
            heard_at = now_ms();
        }
        ck_assert_msg(!c->eof && !c->reset, "%s: ended after %zu of %zu%s", d->engine, f->answered, want, demo_end());
        f->answered += count_replies(c);
        ck_assert_msg(f->answered >= want || now_ms() - heard_at < slow(ANSWER_MS),
                      "%s: %zu of %zu answered, and then nothing for %u ms", d->engine, f->answered, want,
                      slow(ANSWER_MS));
    }
}

void flood_draw(struct flood *f, uint64_t seed, unsigned pause_ms)
{
    static const int buffers[] = { 0, 4096, 65536 };
    uint64_t state = seed * 2 + 1;
    for (int i = 0; i < 4; i++)
        random_next(&state);
    const size_t range = FLOOD_LONGEST - FLOOD_SHORTEST + 1;
    *f = (struct flood){ .most = 2000000, .pause_ms = pause_ms, .pauses = 4, .growth_kib = 1024 };
    f->length = random_next(&state) % 3 ? FLOOD_SHORTEST + (size_t)(random_next(&state) % range) : 0;
    f->receive_buffer = buffers[random_next(&state) % COUNT(buffers)];
    f->tops_up = random_next(&state) % 4 == 0;
    if (f->tops_up)
        f->most = is_quick() ? 20000 : 120000;
}

/* As many at once as there are threads, each with more than a thread writes ahead: what threads and processes keep from their first
 * such request on does not come with the flood. */
static void warm_up(const struct demo *d, const struct requests *all)
{
    enum { CLIENTS = 8, REQUESTS = 1000 };
    struct client c[CLIENTS];
    const int clients = is_one_connection_a_worker(d->engine) ? 1 : CLIENTS;
    for (int i = 0; i < clients; i++) {
        client_open(&c[i], d->port);
        ck_assert(client_send(&c[i], all->text, all->ends[REQUESTS - 1]));
    }
    for (int i = 0; i < clients; i++) {
        size_t answered = 0;
        while (answered < REQUESTS && client_wait_bytes(&c[i], c[i].n + 1, WAIT_MS))
            answered += count_replies(&c[i]);
        ck_assert_uint_eq(answered, REQUESTS);
        client_close(&c[i]);
    }
}

void flood_run(struct flood *f, const struct demo *d, uint64_t seed)
{
    struct requests all;
    struct client c;
    uint64_t state = seed;
    make_requests(&all, f->length, &state);
    warm_up(d, &all);
    const long before = demo_memory_kib(d);
    if (f->receive_buffer)
        client_open_small(&c, d->port, f->receive_buffer);
    else
        client_open(&c, d->port);
    fill_up(f, d, &c, &all, before);
    if (!is_one_connection_a_worker(d->engine))
        expect_alive(d->port, WAIT_MS);
    read_until(f, d, &c, &all, f->tops_up ? f->most : whole_in(&all, f->sent), &state);
    /* The one that was cut short by then, and one more. */
    const size_t want = f->answered + 2;
    while (f->sent < bytes_of(&all, want))
        f->sent += send_some(&c, &all, f->sent, bytes_of(&all, want));
    read_until(f, d, &c, &all, want, &state);
    expect_memory(f, d, before, f->sent);
    client_close(&c);
    free(all.text);
}
