/* SPDX-License-Identifier: MIT
 *
 * Pointers that the program keeps with a request, one for each key.
 */
#include "request/request.h"

/* In the arena. One whose data is NULL stays in the list, for the next pointer with its key. */
struct cnc_data {
    struct cnc_data *next;
    const void *key;
    void *data;
    concur_free_fn free;
};

static struct cnc_data *data_of(const concur_request *r, const void *key)
{
    struct cnc_data *d = r->data;
    while (d && d->key != key)
        d = d->next;
    return d;
}

static void data_drop(struct cnc_data *d)
{
    concur_free_fn free_fn = d->free;
    void *data = d->data;
    d->data = NULL;
    d->free = NULL;
    if (free_fn && data)
        free_fn(data);
}

static struct cnc_data *data_add(concur_request *r, const void *key)
{
    struct cnc_data *d = cnc_arena_alloc(&r->arena, sizeof *d);
    if (!d)
        return NULL;
    *d = (struct cnc_data){ .next = r->data, .key = key };
    r->data = d;
    return d;
}

int concur_request_set_data(concur_request *r, const void *key, void *data, concur_free_fn free_fn)
{
    if (!CNC_REQUEST_IS_MINE(r))
        return CONCUR_E_HOME;
    struct cnc_data *d = data_of(r, key);
    if (r->flags & CNC_REQ_ENDING)
        return CONCUR_E_STATE;
    if (!d && data && !(d = data_add(r, key)))
        return CONCUR_E_NOMEM;
    if (d && d->data != data)
        data_drop(d);
    if (d) {
        d->data = data;
        d->free = free_fn;
    }
    return CONCUR_OK;
}

void *concur_request_data(concur_request *r, const void *key)
{
    if (!CNC_REQUEST_IS_MINE(r))
        return NULL;
    const struct cnc_data *d = data_of(r, key);
    return d ? d->data : NULL;
}

/* The key that was added last comes first, as with on_end functions. */
void cnc_request_free_data(concur_request *r)
{
    for (struct cnc_data *d = r->data; d; d = d->next)
        data_drop(d);
    r->data = NULL;
}
