/* SPDX-License-Identifier: MIT
 *
 * A stream of events that does not end by itself, but sends a last event when the server stops.
 *
 *     ./events & curl -N http://127.0.0.1:8080/events        then end the server with SIGTERM
 *
 * Without concur_request_on_stop() the stop would wait for the stream until its deadline, and then cut it off. The last event
 * tells the client that the end is intended, and when to connect again. A browser's EventSource does that by itself.
 */
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include <concur/concur.h>

struct events {
    unsigned next;
    bool over;
};

static int send(concur_request *r, const char *text)
{
    return concur_reply_write(r, text, strlen(text));
}

/* Once a second; if the client is slower, as often as it takes an event. */
static int tick(concur_request *r, void *arg)
{
    struct events *e = arg;
    char text[64];
    if (e->over)
        return CONCUR_OK; /* the stream has ended: sets no further timer */
    snprintf(text, sizeof text, "id: %u\ndata: tick\n\n", ++e->next);
    int rc = send(r, text);
    if (rc == CONCUR_AGAIN)
        return concur_reply_on_drain(r, tick, e);
    return rc < 0 ? rc : concur_request_after(r, 1000, tick, e); /* an error: the client has left, say */
}

static int say_goodbye(concur_request *r, void *arg)
{
    struct events *e = arg;
    e->over = true;
    send(r, "retry: 2000\nevent: bye\ndata: the server stops\n\n");
    return concur_reply_end(r);
}

static int handler(concur_request *r, void *arg)
{
    (void)arg;
    struct events *e = concur_request_alloc(r, sizeof *e);
    if (!e)
        return CONCUR_E_NOMEM;
    *e = (struct events){ 0 };
    concur_reply_header(r, "Cache-Control", "no-store");
    int rc = concur_request_on_stop(r, say_goodbye, e);
    if (rc == CONCUR_OK)
        rc = concur_reply_begin(r, 200, "text/event-stream");
    return rc < 0 ? rc : tick(r, e);
}

int main(void)
{
    concur_server *server = concur_server_new(CONCUR_ENGINE_EVENT, NULL);
    concur_server_listen(server, "127.0.0.1:8080");
    concur_server_route(server, "GET /events", 0, handler, NULL);
    int rc = concur_server_run(server);
    if (rc < 0)
        fprintf(stderr, "events: %s\n%s", concur_strerror(rc), concur_server_error(server));
    concur_server_free(server);
    return rc < 0;
}
