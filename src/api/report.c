/* SPDX-License-Identifier: MIT
 *
 * What a server tells about itself.
 */
#include <stdio.h>

#include "api/api.h"
#include "base/sys.h"
#include "proc/board.h"

/* mu held: sockets close and go while others look. */
static int address_locked(concur_server *s, unsigned i, char *text, size_t n, size_t *len)
{
    if (atomic_load(&s->state) != CNC_SERVER_RUNNING)
        return CONCUR_E_STATE;
    if (i >= s->socket_count)
        return CONCUR_E_INVAL;
    *len = strlen(s->sockets[i].text);
    memcpy(text, s->sockets[i].text, *len < n ? *len + 1 : 0);
    return *len ? CONCUR_OK : CONCUR_E_STATE;
}

int concur_server_address(concur_server *s, unsigned i, char *out, size_t n)
{
    char text[CNC_ADDRESS_TEXT_MAX];
    size_t len = 0;
    if (!s || !out)
        return CONCUR_E_INVAL;
    pthread_mutex_lock(&s->mu);
    int rc = address_locked(s, i, text, sizeof text, &len);
    pthread_mutex_unlock(&s->mu);
    if (rc < 0)
        return rc;
    if (len >= n)
        return CONCUR_E_LIMIT;
    memcpy(out, text, len + 1);
    return CONCUR_OK;
}

/* Copies text, len becoming its length whether it fits or not. */
static int hand_out(const char *text, char *out, size_t *len)
{
    size_t room = *len, n = strlen(text);
    *len = n;
    if (n < room) {
        memcpy(out, text, n + 1);
        return CONCUR_OK;
    }
    if (room)
        out[0] = '\0';
    return CONCUR_E_LIMIT;
}

/* Of all processes together. mu held. Returns the number of open connections. */
static unsigned look(concur_server *s, struct cnc_engine_stats *out)
{
    struct cnc_board_sum sum;
    if (!s->place.board) {
        s->setup->ops->worker.stats(s, out);
        return atomic_load(&s->connections);
    }
    cnc_board_sum(s->place.board, &sum);
    *out = (struct cnc_engine_stats){ .threads = sum.threads, .threads_idle = sum.threads_idle, .queued = sum.queued,
                                      .requests = sum.requests, .accepted = sum.accepted, .stalls = sum.stalls };
    return sum.connections;
}

int concur_server_status(concur_server *s, char *json, size_t *len)
{
    char text[512];
    struct cnc_engine_stats stats = { 0 };
    if (!s || !len || (!json && *len))
        return CONCUR_E_INVAL;
    pthread_mutex_lock(&s->mu);
    bool running = atomic_load(&s->state) == CNC_SERVER_RUNNING;
    unsigned connections = running ? look(s, &stats) : 0;
    pthread_mutex_unlock(&s->mu);
    if (!running)
        return CONCUR_E_STATE;
    int n = snprintf(text, sizeof text,
                     "{\"engine\":\"%s\",\"pid\":%ld,\"stopping\":%s,\"connections\":%u,\"accepted\":%llu,"
                     "\"requests\":%llu,\"stalls\":%llu,\"threads\":%u,\"threads_idle\":%u,\"queued\":%u}",
                     s->setup->ops->name, s->place.master ? s->place.master : (long)getpid(),
                     atomic_load(&s->draining) ? "true" : "false", connections, stats.accepted, stats.requests, stats.stalls, stats.threads,
                     stats.threads_idle, stats.queued);
    return n < 0 ? CONCUR_E_NOMEM : hand_out(text, json, len);
}

int concur_server_worker(const concur_server *s)
{
    if (!s)
        return CONCUR_E_INVAL;
    if (atomic_load(&s->state) != CNC_SERVER_RUNNING || (s->place.board && !s->place.is_child))
        return CONCUR_E_STATE;
    return s->place.is_child ? (int)s->place.number : 0;
}

int concur_server_generation(const concur_server *s)
{
    if (!s)
        return CONCUR_E_INVAL;
    return s->place.is_child ? (int)s->place.generation : 1;
}

int concur_server_text(concur_server *s, int what, char *out, size_t *len)
{
    if (!s || !len || (!out && *len))
        return CONCUR_E_INVAL;
    bool resolves = what == CONCUR_TEXT_DUMP || what == CONCUR_TEXT_NOTES;
    if (resolves && atomic_load(&s->state) == CNC_SERVER_SETUP && cnc_api_resolve(s) == CONCUR_E_NOMEM)
        return CONCUR_E_NOMEM;
    if (what == CONCUR_TEXT_NOTES)
        return hand_out(cnc_options_notes(s->setup->options), out, len);
    if (what != CONCUR_TEXT_HELP && what != CONCUR_TEXT_DUMP)
        return CONCUR_E_INVAL;
    char *text = what == CONCUR_TEXT_HELP ? cnc_options_help() : cnc_options_dump(s->setup->options, &s->setup->cfg);
    if (!text)
        return CONCUR_E_NOMEM;
    int rc = hand_out(text, out, len);
    cnc_free(text);
    return rc;
}
