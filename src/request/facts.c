/* SPDX-License-Identifier: MIT
 *
 * Facts about a request and its reply that few programs ask for. A text is made at the first call that asks for it, and kept.
 */
#include "request/request.h"

struct cnc_facts {
    const char *peer_address, *local; /* NULL: not asked for yet */
    unsigned peer_port;
};

static struct cnc_facts *facts_of(concur_request *r)
{
    if (r->facts)
        return r->facts;
    struct cnc_facts *facts = cnc_arena_alloc(&r->arena, sizeof *facts);
    if (facts)
        *facts = (struct cnc_facts){ 0 };
    r->facts = facts;
    return facts;
}

/* ---- what the head says ---- */

const char *concur_request_target(concur_request *r)
{
    return CNC_REQUEST_IS_MINE(r) ? cnc_request_text(r, r->target) : NULL;
}

/* If query.len is 0, the target's last byte tells an empty query, which has a "?", from none. */
const char *concur_request_query(concur_request *r)
{
    if (!CNC_REQUEST_IS_MINE(r))
        return NULL;
    if (r->query.len)
        return cnc_request_text(r, r->query);
    bool is_empty = r->target.len && r->head[r->target.at + r->target.len - 1] == '?';
    return is_empty ? "" : NULL;
}

/* For an absolute target, dispatch.c has replaced the field's value by the target's host (RFC 9112 §3.2.2). */
const char *concur_request_host(concur_request *r)
{
    if (!CNC_REQUEST_IS_MINE(r))
        return NULL;
    for (size_t i = 0; i < r->field_count; i++)
        if (r->fields[i].id == CNC_HTTP_NAME_HOST)
            return cnc_request_text(r, (struct cnc_http_span){ r->fields[i].value, r->fields[i].value_len });
    return "";
}

int concur_request_version(concur_request *r)
{
    if (!CNC_REQUEST_IS_MINE(r))
        return CONCUR_E_HOME;
    return r->minor ? CONCUR_HTTP_1_1 : CONCUR_HTTP_1_0;
}

/* ---- who speaks with whom ---- */

/* peer: "192.0.2.1:50000", "[2001:db8::1]:50000" or "unix:". */
static void split_peer(concur_request *r, struct cnc_facts *facts, const char *peer)
{
    const char *colon = strrchr(peer, ':'), *at = peer;
    if (!colon || strncmp(peer, "unix:", 5) == 0) {
        facts->peer_address = peer;
        return;
    }
    size_t n = (size_t)(colon - peer);
    if (*at == '[' && n >= 2) {
        at++;
        n -= 2;
    }
    facts->peer_address = cnc_arena_copy(&r->arena, at, n);
    for (const char *p = colon + 1; *p; p++)
        facts->peer_port = facts->peer_port * 10 + (unsigned)(*p - '0');
}

static const struct cnc_facts *facts_of_peer(concur_request *r)
{
    struct cnc_facts *facts = facts_of(r);
    const char *peer = concur_request_peer(r);
    if (facts && !facts->peer_address && *peer)
        split_peer(r, facts, peer);
    return facts;
}

const char *concur_request_peer_address(concur_request *r)
{
    if (!CNC_REQUEST_IS_MINE(r))
        return NULL;
    const struct cnc_facts *facts = facts_of_peer(r);
    return facts && facts->peer_address ? facts->peer_address : "";
}

int concur_request_peer_port(concur_request *r)
{
    if (!CNC_REQUEST_IS_MINE(r))
        return CONCUR_E_HOME;
    const struct cnc_facts *facts = facts_of_peer(r);
    return facts ? (int)facts->peer_port : 0;
}

/* The local address of every connection, if the server listens on a single address that is not a wildcard. NULL: connections
 * may differ. */
static const char *facts_only_address(const concur_server *server)
{
    if (server->socket_count != 1)
        return NULL;
    const char *text = server->sockets[0].text;
    bool is_any = strncmp(text, "0.0.0.0:", 8) == 0 || strncmp(text, "[::]:", 5) == 0;
    return is_any ? NULL : text;
}

static const char *make_local(concur_request *r)
{
    char text[CNC_ADDRESS_TEXT_MAX];
    const char *only = facts_only_address(r->server);
    if (only)
        return only;
    size_t n = r->stream.carrier && r->stream.down->local ? r->stream.down->local(&r->stream, text, sizeof text) : 0;
    return n ? cnc_arena_copy(&r->arena, text, n) : NULL;
}

const char *concur_request_local(concur_request *r)
{
    if (!CNC_REQUEST_IS_MINE(r))
        return NULL;
    struct cnc_facts *facts = facts_of(r);
    if (facts && !facts->local)
        facts->local = make_local(r);
    return facts && facts->local ? facts->local : "";
}

void cnc_facts_before_move(concur_request *r)
{
    if (!facts_only_address(r->server))
        (void)concur_request_local(r);
}

/* ---- the reply ---- */

int concur_reply_status(concur_request *r)
{
    return CNC_REQUEST_IS_MINE(r) ? r->status : CONCUR_E_HOME;
}

int64_t concur_reply_sent(concur_request *r)
{
    return CNC_REQUEST_IS_MINE(r) ? r->sent : CONCUR_E_HOME;
}
