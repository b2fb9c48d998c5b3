/* SPDX-License-Identifier: MIT */
#include "measure/app.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "load/worker.h"
#include "measure/fetch.h"

enum {
    LOOK_NS = 5000000,
    STABLE_LOOKS = 4,
    STABLE_LOOKS_MAX = 200,
    PATIENCE_MS = 2000,
    ADDRESSES_MAX = 16,
    PICKY_MS = 500
};

static const char address_setting[] = "CONCUR_LISTEN=127.0.0.1:0";

/* The environment of the program. */

const char *app_setting(const struct workload *w, const char *engine, const char *option)
{
    const char *value = NULL;
    bool is_own = false;
    for (size_t i = 0; i < w->setting_count; i++) {
        const struct workload_setting *s = &w->settings[i];
        bool is_for_all = !s->engine;
        if (strcmp(s->option, option) != 0 || (!is_for_all && strcmp(s->engine, engine) != 0) || (is_for_all && is_own))
            continue;
        value = s->value;
        is_own = !is_for_all;
    }
    return value;
}

static char *make_setting(const char *option, const char *value)
{
    char *text = NULL;
    if (asprintf(&text, "CONCUR_%s=%s", option, value) < 0)
        return NULL;
    for (char *p = text; *p != '='; p++)
        *p = (char)toupper((unsigned char)*p);
    return text;
}

static bool is_there(char **list, const char *setting)
{
    for (; *list; list++)
        if (strcmp(*list, setting) == 0)
            return true;
    return false;
}

char **app_settings(const struct workload *w, const char *engine)
{
    char **list = calloc(w->setting_count + 3, sizeof *list);
    size_t n = 0;
    if (!list)
        return NULL;
    list[n++] = make_setting("engine", engine);
    list[n++] = strdup(address_setting);
    bool is_whole = list[0] && list[1];
    for (size_t i = 0; is_whole && i < w->setting_count; i++) {
        const char *value = app_setting(w, engine, w->settings[i].option);
        char *text = value ? make_setting(w->settings[i].option, value) : NULL;
        is_whole = !value || text;
        if (text && !is_there(list, text))
            list[n++] = text;
        else
            free(text);
    }
    if (is_whole)
        return list;
    app_settings_free(list);
    return NULL;
}

void app_settings_free(char **settings)
{
    for (char **p = settings; p && *p; p++)
        free(*p);
    free(settings);
}

const struct workload_request *app_first_request(const struct workload *w)
{
    for (size_t i = 0; i < w->group_count; i++)
        if (w->groups[i].request_count)
            return &w->groups[i].requests[0];
    return NULL;
}

/* What the program has printed. */

static void last_line(int fd, char *out, size_t room)
{
    char text[1024];
    off_t end = lseek(fd, 0, SEEK_END), from = end > (off_t)sizeof text - 1 ? end - (off_t)sizeof text + 1 : 0;
    ssize_t n = pread(fd, text, sizeof text - 1, from);
    text[n > 0 ? n : 0] = '\0';
    for (size_t len = strlen(text); len && text[len - 1] == '\n'; len--)
        text[len - 1] = '\0';
    const char *line = strrchr(text, '\n');
    snprintf(out, room, "%.390s", line ? line + 1 : text);
}

static int say_end(struct app *a, char *error, size_t error_len)
{
    char line[400];
    int status = a->guard.status;
    last_line(a->log_fd, line, sizeof line);
    snprintf(error, error_len, "it ended at once (%s %d)%s%s", WIFSIGNALED(status) ? "signal" : "status",
             WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status), *line ? ": " : "", line);
    return -ECHILD;
}

static void set_target(struct load_target *t, const struct sockaddr_storage *address)
{
    char name[INET6_ADDRSTRLEN] = "";
    memset(t, 0, sizeof *t);
    t->address = *address;
    strcpy(t->path, "/");
    if (address->ss_family == AF_INET) {
        const struct sockaddr_in *in = (const struct sockaddr_in *)address;
        t->address_len = sizeof *in;
        inet_ntop(AF_INET, &in->sin_addr, name, sizeof name);
        snprintf(t->host, sizeof t->host, "%s:%d", name, ntohs(in->sin_port));
    } else {
        const struct sockaddr_in6 *in = (const struct sockaddr_in6 *)address;
        t->address_len = sizeof *in;
        inet_ntop(AF_INET6, &in->sin6_addr, name, sizeof name);
        snprintf(t->host, sizeof t->host, "[%s]:%d", name, ntohs(in->sin6_port));
    }
}

/* Finds the program's address. If it listens on several, it is the one that gives the expected answer; after a while,
 * any that answers in HTTP. */
static bool find(struct app *a, const struct app_start *s, bool is_picky)
{
    struct sockaddr_storage all[ADDRESSES_MAX];
    const struct workload_request *request = app_first_request(s->workload);
    struct proctree tree;
    struct answer answer;
    proctree_read(&tree, "/proc", a->guard.program, 0);
    size_t n = proctree_listening(&tree, "/proc", all, ADDRESSES_MAX);
    bool is_found = false;
    for (size_t i = 0; !is_found && i < n; i++) {
        set_target(&a->target, &all[i]);
        if (!request || fetch(&a->target, request, s->workload->timeout_ms, &answer, NULL) < 0)
            continue;
        is_found = answer.status == request->status || !is_picky;
        answer_free(&answer);
    }
    proctree_free(&tree);
    return is_found;
}

/* Waits until the number of its processes does not change, since some may still be starting. */
static void wait_until_stable(const struct app *a)
{
    const struct timespec look = { 0, LOOK_NS };
    size_t last = 0;
    for (int same = 0, i = 0; same < STABLE_LOOKS && i < STABLE_LOOKS_MAX; i++) {
        struct proctree tree;
        proctree_read(&tree, "/proc", a->guard.program, 0);
        same = tree.count == last ? same + 1 : 0;
        last = tree.count;
        proctree_free(&tree);
        nanosleep(&look, NULL);
    }
}

static int wait_until_it_serves(struct app *a, const struct app_start *s, char *error, size_t error_len)
{
    const struct timespec look = { 0, LOOK_NS };
    int64_t began = clock_now(), now = began;
    for (; now < began + (int64_t)s->timeout_ms * 1000000; now = clock_now()) {
        if (s->stop && *s->stop)
            return -EINTR;
        if (guard_has_ended(&a->guard))
            return say_end(a, error, error_len);
        if (find(a, s, now < began + PICKY_MS * 1000000LL)) {
            wait_until_stable(a);
            return 0;
        }
        nanosleep(&look, NULL);
    }
    snprintf(error, error_len, "it answered on no TCP port within %u s", s->timeout_ms / 1000);
    return -ETIMEDOUT;
}

int app_start(struct app *a, const struct app_start *s, char *error, size_t error_len)
{
    *a = (struct app){ .log_fd = memfd_create("log", MFD_CLOEXEC) };
    char **settings = app_settings(s->workload, s->engine);
    int rc = a->log_fd < 0 || !settings ? -ENOMEM : 0;
    snprintf(error, error_len, "out of memory");
    if (rc == 0)
        rc = guard_start(&a->guard, s->argv, settings, a->log_fd, error, error_len);
    if (rc == 0)
        rc = wait_until_it_serves(a, s, error, error_len);
    app_settings_free(settings);
    if (rc < 0)
        app_stop(a);
    return rc;
}

void app_stop(struct app *a)
{
    guard_stop(&a->guard, PATIENCE_MS);
    if (a->log_fd >= 0)
        close(a->log_fd);
    a->log_fd = -1;
}
