/* SPDX-License-Identifier: MIT
 *
 * The same loop as floor_epoll on raw libevent events: a persistent read event stays armed, a write event is added only
 * while a peer does not take its replies. The difference to floor_epoll is what libevent itself costs.
 */
#include <event2/event.h>
#include <event2/event_struct.h>

#include "floor.h"

enum { ACCEPTS = 64 };

struct client {
    struct floor_conn conn;
    struct event event;
};

static struct floor_scratch scratch;

static void on_ready(evutil_socket_t fd, short what, void *arg);

static void watch(struct event_base *base, struct client *c, short events)
{
    if (event_assign(&c->event, base, c->conn.fd, (short) (events | EV_PERSIST), on_ready, c) < 0 ||
        event_add(&c->event, NULL) < 0) {
        floor_fail("event_add");
    }
}

static void on_ready(evutil_socket_t fd, short what, void *arg)
{
    struct client *c = arg;
    bool was_writing = c->conn.out != NULL;
    enum floor_next next = floor_turn(&c->conn, &scratch);
    struct event_base *base;

    (void) fd;
    (void) what;
    if (next == FLOOR_CLOSE) {
        event_del(&c->event);
        floor_conn_close(&c->conn);
        free(c);
    } else if ((next == FLOOR_WRITE) != was_writing) {
        base = event_get_base(&c->event);
        event_del(&c->event);
        watch(base, c, next == FLOOR_WRITE ? EV_WRITE : EV_READ);
    }
}

static void on_connect(evutil_socket_t listener, short what, void *arg)
{
    (void) what;
    for (int i = 0; i < ACCEPTS; i++) {
        int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        struct client *c;

        if (fd < 0) {
            return;
        }
        c = calloc(1, sizeof(*c));
        if (c == NULL) {
            close(fd);
            return;
        }
        c->conn.fd = fd;
        watch(arg, c, EV_READ);
    }
}

int main(int argc, char **argv)
{
    int listener = floor_listen(argc, argv, SOCK_NONBLOCK);
    struct event_base *base = event_base_new();
    struct event accepting;

    if (base == NULL || event_assign(&accepting, base, listener, EV_READ | EV_PERSIST, on_connect, base) < 0 ||
        event_add(&accepting, NULL) < 0) {
        floor_fail("event_base");
    }
    floor_ready(listener, "floor-libevent");
    return event_base_dispatch(base) < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
