/* SPDX-License-Identifier: MIT */
#include "server/shared.h"

#include "base/error.h"
#include "base/sys.h"

#define COUNTERS_SIZE (CNC_COUNTERS_MAX * sizeof(struct concur_counter))

/* All names that it allows are valid in the usual formats of statistics too. */
bool cnc_shares_is_name(const char *name)
{
    size_t n = 0;
    for (; name[n]; n++)
        if (n == CNC_SHARED_NAME_MAX || !(cnc_is_alpha(name[n]) || name[n] == '_' || (n > 0 && cnc_is_digit(name[n]))))
            return false;
    return n > 0;
}

static int check_name(const char *what, const char *name)
{
    if (!name)
        return cnc_error_set(CONCUR_E_INVAL, "%s: no name", what);
    if (!cnc_shares_is_name(name))
        return cnc_error_set(CONCUR_E_INVAL, "%s \"%.80s\": a name has 1 to %d letters, digits and _, and does not begin "
                             "with a digit",
                             what, name, CNC_SHARED_NAME_MAX);
    return CONCUR_OK;
}

/* ---- counters ---- */

static int add_counter(struct cnc_shares *s, const char *name, const char *help)
{
    if (s->counter_count == CNC_COUNTERS_MAX)
        return cnc_error_set(CONCUR_E_LIMIT, "counter \"%s\": at most %d", name, CNC_COUNTERS_MAX);
    if (!s->counters && !(s->counters = cnc_sys_map_shared(COUNTERS_SIZE)))
        return cnc_error_set(CONCUR_E_NOMEM, "counter \"%s\": mmap: %s", name, strerror(errno));
    char *copy = cnc_strdup(help ? help : "");
    struct cnc_counter_name *grown = copy ? cnc_realloc(s->names, (s->counter_count + 1) * sizeof *grown) : NULL;
    if (!grown) {
        cnc_free(copy);
        return cnc_error_set(CONCUR_E_NOMEM, "counter \"%s\": out of memory", name);
    }
    s->names = grown;
    struct cnc_counter_name *entry = &s->names[s->counter_count];
    memcpy(entry->name, name, strlen(name) + 1);
    entry->help = copy;
    atomic_init(&s->counters[s->counter_count].value, 0);
    s->counter_count++;
    return CONCUR_OK;
}

int cnc_shares_counter(struct cnc_shares *s, const char *name, const char *help, struct concur_counter **out)
{
    int rc = check_name("counter", name);
    if (rc < 0)
        return rc;
    unsigned i = 0;
    while (i < s->counter_count && strcmp(s->names[i].name, name) != 0)
        i++;
    if (i == s->counter_count)
        rc = add_counter(s, name, help);
    if (rc == CONCUR_OK)
        *out = &s->counters[i];
    return rc;
}

/* ---- memory ---- */

/* 0, or an error number. */
static int init_lock(pthread_mutex_t *mu)
{
    pthread_mutexattr_t attr;
    int err = pthread_mutexattr_init(&attr);
    if (err)
        return err;
    if (!(err = pthread_mutexattr_setpshared(&attr, PTHREAD_PROCESS_SHARED)) &&
        !(err = pthread_mutexattr_setrobust(&attr, PTHREAD_MUTEX_ROBUST)) &&
        !(err = pthread_mutexattr_settype(&attr, PTHREAD_MUTEX_ERRORCHECK)))
        err = pthread_mutex_init(mu, &attr);
    pthread_mutexattr_destroy(&attr);
    return err;
}

static int make_region(struct concur_shared *shared)
{
    size_t n = sizeof *shared->region + shared->size;
    shared->region = cnc_sys_map_shared(n);
    if (!shared->region)
        return cnc_error_set(CONCUR_E_NOMEM, "shared memory \"%s\": mmap: %s", shared->name, strerror(errno));
    int err = init_lock(&shared->region->mu);
    if (!err)
        return CONCUR_OK;
    cnc_sys_unmap(shared->region, n);
    return cnc_error_set(CONCUR_E_SYS, "shared memory \"%s\": no lock: %s", shared->name, strerror(err));
}

static int add_region(struct cnc_shares *s, const char *name, size_t size, struct concur_shared **out)
{
    if (size == 0 || size > CNC_REGION_SIZE_MAX)
        return cnc_error_set(CONCUR_E_INVAL, "shared memory \"%s\": %zu bytes: must be 1 to %zu", name, size,
                             CNC_REGION_SIZE_MAX);
    if (s->region_count == CNC_REGIONS_MAX)
        return cnc_error_set(CONCUR_E_LIMIT, "shared memory \"%s\": at most %d", name, CNC_REGIONS_MAX);
    struct concur_shared *shared = cnc_calloc(1, sizeof *shared);
    if (!shared)
        return cnc_error_set(CONCUR_E_NOMEM, "shared memory \"%s\": out of memory", name);
    memcpy(shared->name, name, strlen(name) + 1);
    shared->size = size;
    int rc = make_region(shared);
    if (rc < 0) {
        cnc_free(shared);
        return rc;
    }
    shared->next = s->regions;
    s->regions = shared;
    s->region_count++;
    *out = shared;
    return CONCUR_OK;
}

int cnc_shares_region(struct cnc_shares *s, const char *name, size_t size, struct concur_shared **out)
{
    int rc = check_name("shared memory", name);
    if (rc < 0)
        return rc;
    struct concur_shared *shared = s->regions;
    while (shared && strcmp(shared->name, name) != 0)
        shared = shared->next;
    if (!shared)
        return add_region(s, name, size, out);
    if (shared->size != size)
        return cnc_error_set(CONCUR_E_INVAL, "shared memory \"%s\": %zu bytes, but it was made with %zu", name, size,
                             shared->size);
    *out = shared;
    return CONCUR_OK;
}

/* The mutexes are not destroyed, since a process of the server that still runs may have locked one. */
void cnc_shares_deinit(struct cnc_shares *s)
{
    for (unsigned i = 0; i < s->counter_count; i++)
        cnc_free(s->names[i].help);
    cnc_free(s->names);
    if (s->counters)
        cnc_sys_unmap(s->counters, COUNTERS_SIZE);
    while (s->regions) {
        struct concur_shared *shared = s->regions;
        s->regions = shared->next;
        cnc_sys_unmap(shared->region, sizeof *shared->region + shared->size);
        cnc_free(shared);
    }
    *s = (struct cnc_shares){ 0 };
}
