/* SPDX-License-Identifier: MIT
 *
 * A server with an echo protocol, to which requests give their connection. No interface of the library has upgrades yet, so this is
 * linked with its insides.
 *
 *   GET /echo         Upgrade: echo. Sends back what it gets, until the client shuts its side
 *     ?limit=N        ends by itself after N bytes
 *     ?flood=N        the first bytes are answered with N others; then it ends
 *     ?stay=1         does not heed the server's stop
 *     ?pid=1          the first bytes are answered with the process' id and a line end; then it echoes
 *   GET /later        the same, decided by a timer
 *   GET /blocking     the same, of a route that blocks
 *   POST /whole       the same, with a body that is read before
 *   POST /stream      an upgrade that comes before the body was read: 500
 *   GET /counts       how many upgrades began, ended, were told of a stop, and callbacks that a poller called
 *   GET /hold         holds its thread until the client leaves
 *   GET /             "Hello, World!"
 *
 * Every option of the library is a flag, --NAME VALUE; --check only looks at them. It says on stdout where it listens.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <concur/concur.h>

#include "request/upgrade.h"

static concur_counter *begun, *ended, *stops, *astray;

struct echo {
    struct cnc_stream stream;
    concur_server *server;
    size_t limit, flood, done;
    bool stays, tells_pid, waits;
    atomic_bool is_called; /* one callback at a time */
};

static struct echo *enter(struct cnc_stream *stream)
{
    struct echo *e = CNC_CONTAINER(stream, struct echo, stream);
    if (atomic_exchange(&e->is_called, true))
        abort();
    if (cnc_home_here()->owner != e->server)
        concur_counter_add(astray, 1);
    return e;
}

static void leave(struct echo *e)
{
    atomic_store(&e->is_called, false);
}

static void end(struct echo *e)
{
    concur_counter_add(ended, 1);
    free(e);
}

/* False: it is over. */
static bool put(struct echo *e, const char *p, size_t n, bool last)
{
    struct cnc_piece piece = { .p = p, .n = n };
    int rc = e->stream.down->data(&e->stream, &piece, last);
    if (rc < 0)
        e->stream.down->abort(&e->stream);
    if (rc < 0 || last) {
        end(e);
        return false;
    }
    e->done += n;
    if (rc == CONCUR_AGAIN) {
        e->waits = true;
        e->stream.down->want_drain(&e->stream, false);
    }
    return true;
}

/* Bytes whose value follows from their place. */
static void flood(struct echo *e)
{
    char bytes[1000];
    while (!e->waits) {
        size_t n = e->flood - e->done < sizeof bytes ? e->flood - e->done : sizeof bytes;
        for (size_t i = 0; i < n; i++)
            bytes[i] = (char)((e->done + i) * 31 >> 3);
        if (!put(e, bytes, n, e->done + n == e->flood))
            return;
    }
    leave(e);
}

static int on_echo_body(struct cnc_stream *stream, const char *p, size_t n)
{
    struct echo *e = enter(stream);
    if (e->waits) {
        leave(e);
        return CONCUR_AGAIN;
    }
    if (e->flood) {
        flood(e);
        return CONCUR_E_CANCELLED;
    }
    if (e->tells_pid) {
        char text[24];
        e->tells_pid = false;
        if (!put(e, text, (size_t)snprintf(text, sizeof text, "%ld\n", (long)getpid()), false))
            return CONCUR_OK;
    }
    bool last = e->limit && e->done + n >= e->limit;
    if (put(e, p, last ? e->limit - e->done : n, last))
        leave(e);
    return CONCUR_OK;
}

static void on_echo_body_end(struct cnc_stream *stream)
{
    (void)put(enter(stream), "", 0, true);
}

static void on_echo_drain(struct cnc_stream *stream)
{
    struct echo *e = enter(stream);
    e->waits = false;
    if (e->flood) {
        flood(e);
        return;
    }
    stream->down->resume_body(stream);
    leave(e);
}

static void on_echo_stop(struct cnc_stream *stream)
{
    struct echo *e = enter(stream);
    concur_counter_add(stops, 1);
    if (e->stays)
        leave(e);
    else
        (void)put(e, "bye\n", 4, true);
}

static void on_echo_gone(struct cnc_stream *stream, int reason)
{
    (void)reason;
    end(enter(stream));
}

static const struct cnc_stream_ops echo_ops = {
    .body = on_echo_body, .body_end = on_echo_body_end, .drain = on_echo_drain, .gone = on_echo_gone, .stop = on_echo_stop
};

static size_t number(concur_request *r, const char *name)
{
    const char *text = concur_request_get(r, CONCUR_IN_QUERY, name);
    return text ? (size_t)strtoull(text, NULL, 10) : 0;
}

static int upgrade(concur_request *r, void *arg)
{
    struct echo *e = calloc(1, sizeof *e);
    (void)arg;
    if (!e)
        return CONCUR_E_NOMEM;
    e->stream.up = &echo_ops;
    e->server = concur_request_server(r);
    e->limit = number(r, "limit");
    e->flood = number(r, "flood");
    e->stays = number(r, "stay") != 0;
    e->tells_pid = number(r, "pid") != 0;
    concur_counter_add(begun, 1); /* before: it may end at once, elsewhere */
    int rc = cnc_request_upgrade(r, "echo", &e->stream);
    if (rc < 0)
        end(e);
    return rc;
}

static int later(concur_request *r, void *arg)
{
    return concur_request_after(r, 1, upgrade, arg);
}

static int counts(concur_request *r, void *arg)
{
    (void)arg;
    return concur_reply_printf(r, 200, NULL, "%lld %lld %lld %lld\n", (long long)concur_counter_get(begun),
                               (long long)concur_counter_get(ended), (long long)concur_counter_get(stops),
                               (long long)concur_counter_get(astray));
}

static int hold(concur_request *r, void *arg)
{
    (void)arg;
    while (!concur_request_gone(r)) {
        struct timespec left = { 0, 1000000 };
        while (nanosleep(&left, &left) < 0 && errno == EINTR)
            continue;
    }
    return CONCUR_E_GONE;
}

static int hello(concur_request *r, void *arg)
{
    (void)arg;
    return concur_reply_text(r, 200, "Hello, World!");
}

static int on_event(concur_server *server, int what, const char *detail, void *arg)
{
    char address[128] = "";
    (void)what, (void)arg;
    if (strcmp(detail, "ready") != 0)
        return CONCUR_OK;
    concur_server_address(server, 0, address, sizeof address);
    printf("listening on %s engine=%s pid=%ld\n", address, concur_engine_name(concur_server_engine(server)), (long)getpid());
    fflush(stdout);
    return CONCUR_OK;
}

static void add_routes(concur_server *server)
{
    concur_server_route(server, "GET /", 0, hello, NULL);
    concur_server_route(server, "GET /echo", 0, upgrade, NULL);
    concur_server_route(server, "GET /later", 0, later, NULL);
    concur_server_route(server, "GET /blocking", CONCUR_ROUTE_BLOCKING, upgrade, NULL);
    concur_server_route(server, "POST /whole", 0, upgrade, NULL);
    concur_server_route(server, "POST /stream", CONCUR_ROUTE_STREAM, upgrade, NULL);
    concur_server_route(server, "GET /counts", 0, counts, NULL);
    concur_server_route(server, "GET /hold", CONCUR_ROUTE_BLOCKING, hold, NULL);
}

int main(int argc, char **argv)
{
    concur_server *server = concur_server_new(CONCUR_ENGINE_EVENT, NULL);
    concur_server_listen(server, "127.0.0.1:8080");
    bool checks = false;
    for (char **at = argv + (argc > 0); !checks && at[0]; at += 2) {
        checks = strcmp(at[0], "--check") == 0;
        if (!checks && !at[1])
            break;
        if (!checks)
            concur_server_override(server, NULL, at[0] + 2, at[1]);
    }
    begun = concur_server_counter(server, "begun", "Upgrades");
    ended = concur_server_counter(server, "ended", "Upgraded connections that have ended");
    stops = concur_server_counter(server, "stops", "Upgraded connections that were told of a stop");
    astray = concur_server_counter(server, "astray", "Callbacks where no handler may run");
    concur_server_hook(server, CONCUR_HOOK_EVENT, on_event, NULL);
    add_routes(server);
    int rc = checks ? concur_server_check(server) : concur_server_run(server);
    if (rc < 0)
        fprintf(stderr, "echo: %s\n%s", concur_strerror(rc), concur_server_error(server));
    concur_server_free(server);
    return rc < 0;
}
