/* SPDX-License-Identifier: MIT */
#include "e2e/crowd.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const mixture[] = { "/whoami", "/hello/load", "/sleep/10", "/block/3" };

long json_number(const char *json, const char *name)
{
    char key[64];
    snprintf(key, sizeof key, "\"%s\":", name);
    const char *p = strstr(json, key);
    ck_assert_msg(p != NULL, "no %s in %s", name, json);
    return strtol(p + strlen(key), NULL, 10);
}

static const char *draw_target(struct crowd *l, const struct user *u)
{
    if (l->targets)
        return l->targets[random_next(&l->seed) % (uint64_t)l->target_count];
    return mixture[u->asked ? random_next(&l->seed) % COUNT(mixture) : 0];
}

/* What cannot be sent has met the connection's end: reading tells which. */
static void ask_next(struct crowd *l, struct user *u)
{
    char request[160];
    if (u->c.fd < 0) {
        client_open(&u->c, l->port);
        u->asked = 0;
        u->pid = 0;
        u->mark = 0;
    }
    snprintf(request, sizeof request, "GET %s HTTP/1.1\r\nHost: e2e\r\n%s\r\n", draw_target(l, u),
             u->keeps ? "" : "Connection: close\r\n");
    u->asked++;
    u->asked_at = now_ms();
    (void)client_text(&u->c, request);
}

static void take_reply(struct crowd *l, struct user *u)
{
    struct reply r;
    client_read(&u->c, &r, false, WAIT_MS);
    u->answered++;
    u->waited += now_ms() - u->asked_at;
    if (r.kind == REPLY_OK && strstr(r.body, "\"pid\":"))
        u->pid = json_number(r.body, "pid");
    l->on_end(l, u, &r);
    const bool stays = u->keeps && r.kind == REPLY_OK && !r.says_close && u->asked != l->most;
    reply_free(&r);
    if (!stays)
        client_close(&u->c);
}

/* Returns how many had something to read. */
static int look(struct crowd *l, int ms, bool goes_on)
{
    struct pollfd fds[CROWD_MAX];
    for (int i = 0; i < l->count; i++)
        fds[i] = (struct pollfd){ .fd = l->users[i].c.fd, .events = POLLIN };
    int ready = poll(fds, (nfds_t)l->count, ms);
    const int64_t now = now_ms();
    if (now - l->looked_at >= STALL_MS)
        l->stalled_at = now;
    l->looked_at = now;
    for (int i = 0; i < l->count; i++) {
        struct user *u = &l->users[i];
        if (fds[i].fd < 0)
            continue;
        if (ready > 0 && fds[i].revents) {
            take_reply(l, u);
            if (goes_on)
                ask_next(l, u);
            else
                client_close(&u->c);
        }
        ck_assert_msg(u->c.fd < 0 || now_ms() - u->asked_at < slow(WAIT_MS), "silence%s", demo_end());
    }
    return ready;
}

void crowd_start(struct crowd *l)
{
    l->count = l->kept + l->fresh;
    ck_assert_int_le(l->count, CROWD_MAX);
    l->looked_at = now_ms();
    for (int i = 0; i < l->count; i++) {
        l->users[i] = (struct user){ .c.fd = -1, .keeps = i < l->kept };
        ask_next(l, &l->users[i]);
    }
}

void crowd_run(struct crowd *l, unsigned ms)
{
    const int64_t until = now_ms() + ms;
    for (int64_t left; (left = until - now_ms()) > 0;)
        look(l, (int)left, true);
}

static bool is_under_way(const struct crowd *l)
{
    for (int i = 0; i < l->count; i++)
        if (l->users[i].c.fd >= 0)
            return true;
    return false;
}

void crowd_stop(struct crowd *l)
{
    while (is_under_way(l))
        look(l, 100, false);
}

void crowd_drop(struct crowd *l)
{
    for (int i = 0; i < l->count; i++)
        client_close(&l->users[i].c);
}
