/* SPDX-License-Identifier: MIT
 *
 * GNU libmicrohttpd with one handler, in one of its models: epoll (one loop), threads (one for each connection), pool
 * (four loops). Ends on SIGTERM.
 */
#include <arpa/inet.h>
#include <microhttpd.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const struct model {
    const char *name;
    unsigned flags, threads;
} models[] = {
    { "epoll", MHD_USE_EPOLL_INTERNAL_THREAD, 0 },
    { "threads", MHD_USE_THREAD_PER_CONNECTION | MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_POLL, 0 },
    { "pool", MHD_USE_EPOLL_INTERNAL_THREAD, 4 },
};

static struct MHD_Response *hello;

static enum MHD_Result answer(void *arg, struct MHD_Connection *connection, const char *url, const char *method,
                              const char *version, const char *data, size_t *size, void **state)
{
    static int seen;

    (void) arg;
    (void) url;
    (void) method;
    (void) version;
    (void) data;
    (void) size;
    if (*state == NULL) { /* the head has come; called again when the request is whole */
        *state = &seen;
        return MHD_YES;
    }
    return MHD_queue_response(connection, MHD_HTTP_OK, hello);
}

static struct MHD_Daemon *start(const char *name)
{
    for (size_t i = 0; i < sizeof(models) / sizeof(models[0]); i++) {
        const struct model *m = &models[i];

        if (strcmp(m->name, name) != 0) {
            continue;
        }
        if (m->threads > 0) {
            return MHD_start_daemon(m->flags, 0, NULL, NULL, answer, NULL, MHD_OPTION_CONNECTION_LIMIT, 15000U,
                                    MHD_OPTION_THREAD_POOL_SIZE, m->threads, MHD_OPTION_END);
        }
        return MHD_start_daemon(m->flags, 0, NULL, NULL, answer, NULL, MHD_OPTION_CONNECTION_LIMIT, 15000U,
                                MHD_OPTION_END);
    }
    return NULL;
}

int main(int argc, char **argv)
{
    const char *name = argc > 1 ? argv[1] : "epoll";
    static char body[] = "Hello, World!";
    sigset_t term;
    int number;

    sigemptyset(&term);
    sigaddset(&term, SIGTERM);
    sigprocmask(SIG_BLOCK, &term, NULL); /* before there are threads, which inherit it */
    hello = MHD_create_response_from_buffer(sizeof(body) - 1, body, MHD_RESPMEM_PERSISTENT);
    if (hello == NULL || MHD_add_response_header(hello, "Content-Type", "text/plain") != MHD_YES) {
        return 1;
    }
    struct MHD_Daemon *daemon = start(name);
    const union MHD_DaemonInfo *info = daemon != NULL ? MHD_get_daemon_info(daemon, MHD_DAEMON_INFO_BIND_PORT) : NULL;

    if (info == NULL) {
        fprintf(stderr, "peer_microhttpd: %s does not start\n", name);
        return 1;
    }
    printf("listening on 127.0.0.1:%d engine=microhttpd-%s pid=%d\n", info->port, name, (int) getpid());
    fflush(stdout);
    sigwait(&term, &number);
    MHD_stop_daemon(daemon);
    MHD_destroy_response(hello);
    return 0;
}
