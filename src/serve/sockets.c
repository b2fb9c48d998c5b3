/* SPDX-License-Identifier: MIT */
#include "serve/sockets.h"

#include "base/error.h"
#include "base/sys.h"
#include "net/listener.h"

static int open_one(concur_server *server, unsigned i, const struct cnc_listener_options *options, bool alone)
{
    char why[CNC_ADDRESS_ERROR_MAX];
    struct cnc_server_socket *s = &server->sockets[i];
    s->fd = s->copy = -1;
    if (cnc_address_parse(&s->address, server->setup->cfg.listen.items[i], why, sizeof why) < 0)
        return cnc_error_set(CONCUR_E_LISTEN, "%s", why);
    int rc = cnc_listener_open(&s->fd, &s->file, &s->address, options);
    if (rc < 0)
        return rc;
    (void)cnc_listener_text(s->fd, s->text, sizeof s->text);
    s->inherits = s->address.kind == CNC_ADDRESS_IPV4 || s->address.kind == CNC_ADDRESS_IPV6;
    s->nodelay = options->nodelay;
    s->receive_wait_ms = options->receive_wait_ms;
    if (!alone)
        return CONCUR_OK;
    s->copy = cnc_sys_copy(s->fd);
    if (s->copy >= 0)
        return CONCUR_OK;
    return cnc_error_set(CONCUR_E_SYS, "cannot listen: %s", cnc_files_why(why, sizeof why, errno, CNC_FILES_PROCESS));
}

/* Options of the listening sockets are not changed, since all generations share these. A generation with other options sets
 * them on each socket that it accepts. */
struct cnc_accept cnc_sockets_accept_how(const concur_server *server, unsigned i, bool blocking)
{
    const struct cnc_server_socket *s = &server->sockets[i];
    const struct cnc_setup *setup = server->setup;
    int64_t wait = blocking ? setup->receive_wait_ms : 0;
    bool is_tcp = s->address.kind != CNC_ADDRESS_UNIX;
    return (struct cnc_accept){
        .non_blocking = !blocking,
        .sets_nodelay = is_tcp && !(s->inherits && s->nodelay == setup->cfg.tcp_nodelay),
        .nodelay = setup->cfg.tcp_nodelay,
        .sets_wait = blocking && wait != (s->inherits ? s->receive_wait_ms : 0),
        .receive_wait_ms = wait,
        .factory = setup->factories[i],
    };
}

int cnc_sockets_open(concur_server *server, bool alone)
{
    const struct cnc_config *cfg = &server->setup->cfg;
    struct cnc_listener_options options = { .backlog = (int)cfg->backlog, .nodelay = cfg->tcp_nodelay,
                                            .receive_wait_ms = server->setup->receive_wait_ms };
    size_t n = cfg->listen.count;
    int rc = CONCUR_OK;
    if (n == 0)
        return cnc_error_set(CONCUR_E_LISTEN, "no address to listen on");
    server->sockets = cnc_calloc(n, sizeof *server->sockets);
    if (!server->sockets)
        return CONCUR_E_NOMEM;
    while (rc == CONCUR_OK && server->socket_count < n) {
        rc = open_one(server, server->socket_count, &options, alone);
        server->socket_count++;
    }
    if (rc < 0)
        cnc_sockets_close(server);
    return rc;
}

void cnc_sockets_shut(concur_server *server)
{
    for (unsigned i = 0; i < server->socket_count; i++) {
        struct cnc_server_socket *s = &server->sockets[i];
        if (s->fd >= 0 && s->address.kind == CNC_ADDRESS_UNIX && !server->place.is_child && server->place.link < 0)
            cnc_listener_unlink(&s->address, &s->file);
        cnc_sys_close(&s->fd);
        cnc_sys_close(&s->copy);
    }
}

void cnc_sockets_close(concur_server *server)
{
    cnc_sockets_shut(server);
    cnc_free(server->sockets);
    server->sockets = NULL;
    server->socket_count = 0;
}
