/* SPDX-License-Identifier: MIT
 *
 * What the program can ask about a server: addresses, status, engine, worker, texts.
 */
#include <stdio.h>

#include "api/api.h"
#include "base/sys.h"
#include "proc/board.h"
#include "server/route_notes.h"

/* mu held: another thread may close and free the sockets otherwise. */
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
    if (cnc_server_is_copy(s))
        return CONCUR_E_FORKED;
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

/* Copies text if it fits. *len: in: bytes of out; out: the length of text, whether it fits or not. */
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

/* mu held. Fills *out with the sums over all processes. Returns the number of open connections. */
static unsigned report_look(concur_server *s, struct cnc_engine_stats *out)
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

/* The engine that serves. A reload may have changed it: in a host or a master the board says which one serves now, while the
 * set-up of a host stays the first one. */
static int engine_of(const concur_server *s)
{
    bool asks_board = s->place.board && !s->place.is_child && cnc_board_engine(s->place.board);
    return asks_board ? cnc_board_engine(s->place.board) : s->setup->cfg.engine;
}

/* ---- status ---- */

#define HEAD_ROOM 512
#define PROCESS_ROOM 192

struct text {
    char *p; /* owned */
    size_t n, room;
    int64_t now;
    const char *comma;
};

static void count_process(const struct cnc_board_row *row, void *arg)
{
    (void)row;
    *(unsigned *)arg += 1;
}

/* Appends a process. A sick worker may have written anything into its row, so the text gets only numbers and our own names. */
static void add_process(const struct cnc_board_row *row, void *arg)
{
    struct text *t = arg;
    int64_t since = atomic_load(&row->since);
    if (t->room - t->n < PROCESS_ROOM)
        return; /* the process began after they were counted */
    t->n += (size_t)snprintf(t->p + t->n, t->room - t->n,
                             "%s{\"kind\":\"%s\",\"number\":%u,\"pid\":%d,\"state\":\"%s\",\"ms\":%lld,"
                             "\"connections\":%u,\"requests\":%llu}",
                             t->comma, cnc_role_name(atomic_load(&row->role)), atomic_load(&row->number),
                             atomic_load(&row->pid), cnc_board_state_name(atomic_load(&row->state)),
                             (long long)(since > 0 && since < t->now ? t->now - since : 0), atomic_load(&row->connections),
                             atomic_load(&row->requests));
    t->comma = ",";
}

static void add_head(const concur_server *s, unsigned connections, const struct cnc_engine_stats *stats, struct text *t)
{
    long master = atomic_load(&s->place.master);
    int n = snprintf(t->p, t->room,
                     "{\"engine\":\"%s\",\"pid\":%ld,\"stopping\":%s,\"connections\":%u,\"accepted\":%llu,"
                     "\"requests\":%llu,\"stalls\":%llu,\"threads\":%u,\"threads_idle\":%u,\"queued\":%u",
                     cnc_engine_name(engine_of(s)), master ? master : (long)getpid(),
                     atomic_load(&s->draining) ? "true" : "false", connections, stats->accepted, stats->requests,
                     stats->stalls, stats->threads, stats->threads_idle, stats->queued);
    t->n = n > 0 ? (size_t)n : 0;
}

/* mu held: without a master this asks the engine, which another thread may close otherwise. NULL: out of memory. */
static char *write_status_locked(concur_server *s)
{
    struct cnc_engine_stats stats = { 0 };
    unsigned connections = report_look(s, &stats), processes = 0;
    if (s->place.board)
        cnc_board_each(s->place.board, count_process, &processes);
    struct text t = { .room = HEAD_ROOM + processes * PROCESS_ROOM + 8, .now = cnc_clock_now(s->clock), .comma = "" };
    t.p = cnc_malloc(t.room);
    if (!t.p)
        return NULL;
    add_head(s, connections, &stats, &t);
    if (s->place.board) {
        t.n += (size_t)snprintf(t.p + t.n, t.room - t.n, ",\"generation\":%u,\"processes\":[",
                                cnc_board_generation(s->place.board));
        cnc_board_each(s->place.board, add_process, &t);
        t.p[t.n++] = ']';
    }
    memcpy(t.p + t.n, "}", 2);
    return t.p;
}

int concur_server_status(concur_server *s, char *json, size_t *len)
{
    char *text = NULL;
    if (!s || !len || (!json && *len))
        return CONCUR_E_INVAL;
    if (cnc_server_is_copy(s))
        return CONCUR_E_FORKED;
    pthread_mutex_lock(&s->mu);
    bool running = atomic_load(&s->state) == CNC_SERVER_RUNNING;
    if (running)
        text = write_status_locked(s);
    pthread_mutex_unlock(&s->mu);
    if (!running)
        return CONCUR_E_STATE;
    if (!text)
        return CONCUR_E_NOMEM;
    int rc = hand_out(text, json, len);
    cnc_free(text);
    return rc;
}

int concur_server_engine(const concur_server *s)
{
    if (!s)
        return CONCUR_E_INVAL;
    concur_server *own = (concur_server *)(uintptr_t)s; /* not const: keeps the set-up that it makes, which no caller can see */
    if (cnc_api_is_set_up(own) && cnc_api_resolve(own) == CONCUR_E_NOMEM)
        return CONCUR_E_NOMEM;
    return engine_of(s);
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

struct lines {
    char *text; /* owned */
    size_t n;
    bool failed;
};

static void add_line(void *arg, int level, const char *line)
{
    struct lines *l = arg;
    size_t len = strlen(line);
    char *grown = l->failed ? NULL : cnc_realloc(l->text, l->n + len + 2);
    (void)level;
    l->failed = !grown;
    if (!grown)
        return;
    memcpy(grown + l->n, line, len);
    memcpy(grown + l->n + len, "\n", 2);
    l->text = grown;
    l->n += len + 1;
}

/* First the notes about options, then those about routes. */
static int hand_out_notes(concur_server *s, char *out, size_t *len)
{
    const char *of_options = cnc_options_notes(s->setup->options, CNC_NOTES_ALL);
    size_t n = strlen(of_options);
    struct lines l = { .text = cnc_malloc(n + 1), .n = n };
    l.failed = !l.text;
    if (l.text)
        memcpy(l.text, of_options, n + 1);
    cnc_route_notes(&s->routes, add_line, &l);
    int rc = l.failed ? CONCUR_E_NOMEM : hand_out(l.text, out, len);
    cnc_free(l.text);
    return rc;
}

int concur_server_text(concur_server *s, int what, char *out, size_t *len)
{
    if (!s || !len || (!out && *len))
        return CONCUR_E_INVAL;
    bool resolves = what == CONCUR_TEXT_DUMP || what == CONCUR_TEXT_NOTES;
    if (resolves && atomic_load(&s->state) == CNC_SERVER_SETUP && cnc_api_resolve(s) == CONCUR_E_NOMEM)
        return CONCUR_E_NOMEM;
    if (what == CONCUR_TEXT_NOTES)
        return hand_out_notes(s, out, len);
    if (what != CONCUR_TEXT_HELP && what != CONCUR_TEXT_DUMP)
        return CONCUR_E_INVAL;
    char *text = what == CONCUR_TEXT_HELP ? cnc_options_help() : cnc_options_dump(s->setup->options, &s->setup->cfg);
    if (!text)
        return CONCUR_E_NOMEM;
    int rc = hand_out(text, out, len);
    cnc_free(text);
    return rc;
}
