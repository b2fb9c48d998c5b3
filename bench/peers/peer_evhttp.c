/* SPDX-License-Identifier: MIT
 *
 * libevent's own HTTP server with one handler. Ends on SIGTERM.
 */
#include <arpa/inet.h>
#include <event2/buffer.h>
#include <event2/event.h>
#include <event2/http.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

static void answer(struct evhttp_request *request, void *arg)
{
    struct evbuffer *body = evbuffer_new();

    (void) arg;
    if (body == NULL) {
        evhttp_send_error(request, HTTP_INTERNAL, NULL);
        return;
    }
    evbuffer_add(body, "Hello, World!", 13);
    evhttp_add_header(evhttp_request_get_output_headers(request), "Content-Type", "text/plain");
    evhttp_send_reply(request, HTTP_OK, "OK", body);
    evbuffer_free(body);
}

static void end(evutil_socket_t number, short what, void *base)
{
    (void) number;
    (void) what;
    event_base_loopexit(base, NULL);
}

int main(void)
{
    struct event_base *base = event_base_new();
    struct evhttp *http = base != NULL ? evhttp_new(base) : NULL;
    struct evhttp_bound_socket *bound = http != NULL ? evhttp_bind_socket_with_handle(http, "127.0.0.1", 0) : NULL;
    struct event *term = base != NULL ? evsignal_new(base, SIGTERM, end, base) : NULL;
    struct sockaddr_in at;
    socklen_t len = sizeof(at);

    if (bound == NULL || term == NULL || evsignal_add(term, NULL) < 0 ||
        getsockname(evhttp_bound_socket_get_fd(bound), (struct sockaddr *) &at, &len) < 0) {
        perror("peer_evhttp");
        return 1;
    }
    evhttp_set_gencb(http, answer, NULL);
    printf("listening on 127.0.0.1:%d engine=evhttp pid=%d\n", ntohs(at.sin_port), (int) getpid());
    fflush(stdout);
    event_base_dispatch(base);
    event_free(term);
    evhttp_free(http);
    event_base_free(base);
    return 0;
}
