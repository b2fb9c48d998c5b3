/* SPDX-License-Identifier: MIT */
#include "conn/desk.h"

#define DATE_MS 250 /* how long a loop does not read the wall clock */

struct cnc_block {
    struct cnc_task home_coming; /* first member: posts a block to its origin. Its next is also the link of free blocks */
    struct cnc_desk *origin;
    max_align_t data[];
};

_Static_assert(sizeof(void *) != 8 || sizeof(struct cnc_block) + CNC_DESK_BLOCK == 4096, "a block wastes memory");

static void free_blocks(struct cnc_desk *desk)
{
    while (desk->blocks) {
        struct cnc_block *b = desk->blocks;
        desk->blocks = (struct cnc_block *)b->home_coming.next;
        cnc_free(b);
    }
    desk->blocks_kept = 0;
}

static void on_desk_emptied(struct cnc_home *home)
{
    struct cnc_desk *desk = cnc_desk_of(home);
    cnc_free(desk->in);
    cnc_free(desk->out);
    cnc_free(desk->fields);
    desk->in = desk->out = NULL;
    desk->fields = NULL;
    free_blocks(desk);
    cnc_chunks_free(&desk->chunks);
}

/* Frees the free chunks if none was used since the last look. Else it looks again later. */
static void on_desk_chunks(struct cnc_tick *tick)
{
    struct cnc_desk *desk = CNC_CONTAINER(tick, struct cnc_desk, chunks_tick);
    if (desk->chunks.uses == desk->chunks_used && cnc_depot_uses(desk->depot) == desk->depot_used) {
        cnc_chunks_free(&desk->chunks);
        cnc_depot_rest(desk->depot, desk->depot_used);
        return;
    }
    desk->chunks_used = desk->chunks.uses;
    desk->depot_used = cnc_depot_uses(desk->depot);
    cnc_tick_at(desk->home.loop, tick, cnc_loop_now(desk->home.loop) + CNC_DESK_REST_MS);
}

int cnc_desk_create(struct cnc_home **out, const struct cnc_clock *clock, unsigned fields_max, bool blocking)
{
    struct cnc_home *home;
    int rc = cnc_home_create(&home, clock, sizeof(struct cnc_desk), blocking);
    if (rc < 0)
        return rc;
    struct cnc_desk *desk = cnc_desk_of(home);
    home->emptied = on_desk_emptied;
    desk->date_s = desk->date_at = INT64_MIN;
    cnc_link_init(&desk->requests);
    if (home->loop)
        cnc_tick_init(home->loop, &desk->chunks_tick, on_desk_chunks);
    desk->fields = cnc_calloc(fields_max, sizeof *desk->fields);
    if (!desk->fields) {
        cnc_home_close(&home);
        return CONCUR_E_NOMEM;
    }
    *out = home;
    return CONCUR_OK;
}

static void update_date(struct cnc_desk *desk)
{
    int64_t s = cnc_clock_wall(desk->home.clock);
    if (CNC_LIKELY(s == desk->date_s))
        return;
    cnc_http_date(desk->date, s);
    desk->date_s = s;
}

/* On a loop the time of the turn says when to read the wall clock again. A blocking thread has no turns: it reads it
 * each time. */
CNC_HOT struct cnc_slice cnc_desk_date(struct cnc_home *home)
{
    struct cnc_desk *desk = cnc_desk_of(home);
    if (home->blocking) {
        update_date(desk);
    } else if (CNC_UNLIKELY(cnc_loop_now(home->loop) >= desk->date_at)) {
        update_date(desk);
        desk->date_at = cnc_loop_now(home->loop) + DATE_MS;
    }
    return (struct cnc_slice){ desk->date, CNC_HTTP_DATE_LEN };
}

CNC_HOT int cnc_desk_need_scratch(struct cnc_home *home)
{
    struct cnc_desk *desk = cnc_desk_of(home);
    if (!desk->in)
        desk->in = cnc_malloc(CNC_DESK_SCRATCH);
    if (!desk->out)
        desk->out = cnc_malloc(CNC_DESK_SCRATCH);
    return desk->in && desk->out ? CONCUR_OK : CONCUR_E_NOMEM;
}

CNC_HOT void *cnc_desk_block_get(struct cnc_home *home)
{
    struct cnc_desk *desk = cnc_desk_of(home);
    struct cnc_block *b = desk->blocks;
    if (CNC_LIKELY(b != NULL)) {
        desk->blocks = (struct cnc_block *)b->home_coming.next;
        desk->blocks_kept--;
        return b->data;
    }
    b = cnc_malloc(sizeof *b + CNC_DESK_BLOCK);
    if (!b)
        return NULL;
    b->origin = desk;
    return b->data;
}

static void keep_block(struct cnc_desk *desk, struct cnc_block *b)
{
    if (desk->blocks_kept >= CNC_DESK_BLOCKS_KEPT) {
        cnc_free(b);
        return;
    }
    b->home_coming.next = (struct cnc_task *)desk->blocks;
    desk->blocks = b;
    desk->blocks_kept++;
}

static void on_desk_home_coming(struct cnc_task *t)
{
    struct cnc_block *b = (struct cnc_block *)t;
    keep_block(b->origin, b);
}

CNC_HOT void cnc_desk_block_put(struct cnc_home *here, void *block)
{
    struct cnc_block *b = CNC_CONTAINER(block, struct cnc_block, data);
    if (CNC_LIKELY(b->origin == cnc_desk_of(here))) {
        keep_block(b->origin, b);
        return;
    }
    b->home_coming.run = on_desk_home_coming;
    if (cnc_home_post(&b->origin->home, &b->home_coming) < 0)
        cnc_free(b);
}

/* Starts the tick that frees unused chunks. A blocking thread has none: the pool calls desk_rest() for it. */
void cnc_desk_chunk_put(struct cnc_home *home, void *chunk)
{
    struct cnc_desk *desk = cnc_desk_of(home);
    cnc_chunk_put(&desk->chunks, desk->depot, chunk);
    if (!home->blocking && desk->chunks_tick.at == INT64_MAX)
        cnc_tick_at(home->loop, &desk->chunks_tick, cnc_loop_now(home->loop) + CNC_DESK_REST_MS);
}

/* ---- on the threads of a pool ---- */

static int desk_make(struct cnc_home **out, const struct cnc_pool_config *cfg)
{
    const struct cnc_desk_kind *kind = cfg->homes_arg;
    int rc = cnc_desk_create(out, cfg->clock, kind->fields_max, true);
    if (rc == CONCUR_OK)
        cnc_desk_of(*out)->depot = kind->depot;
    return rc;
}

static void desk_idle(struct cnc_home *home)
{
    struct cnc_desk *desk = cnc_desk_of(home);
    desk->depot_used = cnc_depot_uses(desk->depot);
}

/* Frees memory that the next request would allocate again. */
static void desk_rest(struct cnc_home *home)
{
    struct cnc_desk *desk = cnc_desk_of(home);
    cnc_chunks_free(&desk->chunks);
    cnc_depot_rest(desk->depot, desk->depot_used);
    free_blocks(desk);
    cnc_free(desk->in);
    cnc_free(desk->out);
    desk->in = desk->out = NULL;
}

void cnc_desk_for_threads(struct cnc_pool_config *cfg, const struct cnc_desk_kind *kind)
{
    static const struct cnc_pool_homes homes = { .make = desk_make, .idle = desk_idle, .rest = desk_rest,
                                                 .rest_ms = CNC_DESK_REST_MS, .served = cnc_desk_served };
    cfg->homes = &homes;
    cfg->homes_arg = kind;
}
