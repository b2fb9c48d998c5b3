/* SPDX-License-Identifier: MIT */
#include "server/topics.h"

#include "base/error.h"
#include "base/sys.h"
#include "server/server.h"

#define CELLS_SIZE (CNC_TOPICS_MAX * sizeof(struct cnc_topic_cell))

static int need_cells(struct cnc_topics *topics)
{
    char why[128];
    if (!topics->cells && !(topics->cells = cnc_sys_map_shared(CELLS_SIZE)))
        return cnc_error_set(CONCUR_E_NOMEM, "topic: mmap: %s", strerror(errno));
    if (topics->fd < 0 && (topics->fd = cnc_sys_eventfd()) < 0)
        return cnc_error_set(CONCUR_E_SYS, "topic: eventfd: %s", cnc_files_why(why, sizeof why, errno, CNC_FILES_PROCESS));
    return CONCUR_OK;
}

int cnc_topics_add(concur_server *server, const char *name, struct concur_topic **out)
{
    struct cnc_topics *topics = &server->topics;
    if (!name || !cnc_shares_is_name(name))
        return cnc_error_set(CONCUR_E_INVAL, "topic \"%.80s\": a name is 1 to %d letters, digits and _, no digit first",
                             name ? name : "", CNC_TOPIC_NAME_MAX);
    for (unsigned i = 0; i < topics->count; i++)
        if (strcmp(topics->items[i]->name, name) == 0) {
            *out = topics->items[i];
            return CONCUR_OK;
        }
    if (topics->count == CNC_TOPICS_MAX)
        return cnc_error_set(CONCUR_E_LIMIT, "topic \"%s\": at most %d", name, CNC_TOPICS_MAX);
    int rc = need_cells(topics);
    if (rc < 0)
        return rc;
    struct concur_topic *topic = cnc_calloc(1, sizeof *topic);
    if (!topic)
        return cnc_error_set(CONCUR_E_NOMEM, "topic \"%s\": out of memory", name);
    topic->server = server;
    topic->cell = &topics->cells[topics->count];
    memcpy(topic->name, name, strlen(name) + 1);
    topics->items[topics->count++] = topic;
    *out = topic;
    return CONCUR_OK;
}

void cnc_topics_deinit(struct cnc_topics *topics)
{
    for (unsigned i = 0; i < topics->count; i++)
        cnc_free(topics->items[i]);
    if (topics->cells)
        cnc_sys_unmap(topics->cells, CELLS_SIZE);
    cnc_sys_close(&topics->fd);
    *topics = (struct cnc_topics){ .fd = -1 };
}

int64_t concur_topic_publish(concur_topic *topic)
{
    if (!topic)
        return 0;
    int64_t count = atomic_fetch_add(&topic->cell->count, 1) + 1; /* before the wake-up, so that woken loops see it */
    (void)cnc_sys_eventfd_raise(topic->server->topics.fd);
    return count;
}

int64_t concur_topic_count(const concur_topic *topic)
{
    return topic ? cnc_topic_count(topic) : 0;
}
