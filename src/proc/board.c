/* SPDX-License-Identifier: MIT */
#include "proc/board.h"

#include "base/sys.h"

#define WORDS (CNC_BOARD_SLOTS / 64)

struct cnc_board {
    /* written by the master */
    atomic_ullong requests, accepted, stalls;  /* sums of processes that have ended */
    atomic_int engine;                         /* of the generation that serves */
    atomic_uint generation;
    atomic_int result;                         /* the master's, once has_ended */
    atomic_bool has_ended;
    /* written by any process */
    atomic_llong stop_at;
    atomic_bool reload_wanted;
    atomic_uint used[CNC_BOARD_GENERATIONS]; /* rows from this one on were never used */
    /* a bit for each slot */
    _Alignas(64) atomic_ullong idle[CNC_BOARD_GENERATIONS][WORDS];
    _Alignas(64) atomic_ullong poked[CNC_BOARD_GENERATIONS][WORDS];
    _Alignas(64) atomic_ullong untaken[CNC_BOARD_GENERATIONS][WORDS];
    struct cnc_board_row rows[CNC_BOARD_GENERATIONS][CNC_BOARD_SLOTS];
};

_Static_assert(CNC_BOARD_SLOTS % 64 == 0, "a bit for each slot");

/* The kernel provides a page of memory only when it is used, so unused rows cost nothing. */
struct cnc_board *cnc_board_create(void)
{
    struct cnc_board *board = cnc_sys_map_shared(sizeof *board);
    if (board)
        atomic_store(&board->stop_at, INT64_MAX);
    return board;
}

void cnc_board_destroy(struct cnc_board **board)
{
    if (*board)
        cnc_sys_unmap(*board, sizeof(struct cnc_board));
    *board = NULL;
}

struct cnc_board_row *cnc_board_row(struct cnc_board *board, unsigned page, unsigned slot)
{
    CNC_ASSERT(page < CNC_BOARD_GENERATIONS && slot < CNC_BOARD_SLOTS);
    return &board->rows[page][slot];
}

static unsigned long long board_take(atomic_ullong *n)
{
    return atomic_exchange_explicit(n, 0, memory_order_relaxed);
}

static void board_add(atomic_ullong *to, unsigned long long n)
{
    (void)atomic_fetch_add_explicit(to, n, memory_order_relaxed);
}

void cnc_board_fold(struct cnc_board *board, unsigned page, unsigned slot)
{
    struct cnc_board_row *row = cnc_board_row(board, page, slot);
    board_add(&board->requests, board_take(&row->requests));
    board_add(&board->accepted, board_take(&row->accepted));
    board_add(&board->stalls, board_take(&row->stalls));
    atomic_store(&row->connections, 0);
    atomic_store(&row->threads, 0);
    atomic_store(&row->threads_idle, 0);
    atomic_store(&row->queued, 0);
    atomic_store(&row->free, 0);
    atomic_store(&row->lendable, 0);
    atomic_store(&row->busy_since, 0);
    atomic_store(&row->pid, 0);
    atomic_store(&row->group, 0);
    atomic_store(&row->number, 0);
    atomic_store(&row->role, 0);
    atomic_store(&row->state, CNC_BOARD_NONE);
    atomic_store(&row->since, 0);
    cnc_board_set_idle(board, page, slot, false);
    (void)cnc_board_was_poked(board, page, slot);
}

static unsigned long long get(const atomic_ullong *n)
{
    return atomic_load_explicit(n, memory_order_relaxed);
}

static unsigned get_now(const atomic_uint *n)
{
    return atomic_load_explicit(n, memory_order_relaxed);
}

void cnc_board_use(struct cnc_board *board, unsigned page, unsigned slot)
{
    atomic_uint *used = &board->used[page];
    if (slot >= atomic_load(used))
        atomic_store(used, slot + 1);
}

/* The number of rows in use, with a bound: a faulty worker may have written anything there. */
static unsigned used_rows(const struct cnc_board *board, unsigned page)
{
    unsigned n = get_now(&board->used[page]);
    return n < CNC_BOARD_SLOTS ? n : CNC_BOARD_SLOTS;
}

void cnc_board_sum(const struct cnc_board *board, struct cnc_board_sum *out)
{
    *out = (struct cnc_board_sum){ .requests = get(&board->requests), .accepted = get(&board->accepted),
                                   .stalls = get(&board->stalls) };
    for (unsigned g = 0; g < CNC_BOARD_GENERATIONS; g++)
        for (unsigned i = 0, n = used_rows(board, g); i < n; i++) {
            const struct cnc_board_row *row = &board->rows[g][i];
            out->requests += get(&row->requests);
            out->accepted += get(&row->accepted);
            out->stalls += get(&row->stalls);
            out->connections += get_now(&row->connections);
            out->threads += get_now(&row->threads);
            out->threads_idle += get_now(&row->threads_idle);
            out->queued += get_now(&row->queued);
        }
}

void cnc_board_enter(struct cnc_board_row *row, unsigned group, unsigned number, int role, int64_t now)
{
    atomic_store(&row->group, group);
    atomic_store(&row->number, number);
    atomic_store(&row->role, role);
    cnc_board_set_state(row, CNC_BOARD_STARTING, now);
    atomic_store(&row->pid, (int)getpid());
}

void cnc_board_set_state(struct cnc_board_row *row, enum cnc_board_state state, int64_t now)
{
    atomic_store(&row->since, now);
    atomic_store(&row->state, state);
}

const char *cnc_board_state_name(unsigned state)
{
    static const char *const names[CNC_BOARD_STATES] = {
        [CNC_BOARD_NONE] = "none",
        [CNC_BOARD_STARTING] = "starting",
        [CNC_BOARD_SERVING] = "serving",
        [CNC_BOARD_DRAINING] = "draining",
    };
    return state < CNC_BOARD_STATES ? names[state] : "?"; /* a process may have written anything there */
}

void cnc_board_set_serving(struct cnc_board *board, int engine, unsigned generation)
{
    atomic_store(&board->engine, engine);
    atomic_store(&board->generation, generation);
}

int cnc_board_engine(const struct cnc_board *board)
{
    return atomic_load(&board->engine);
}

void cnc_board_ask_stop(struct cnc_board *board, int64_t at)
{
    long long before = atomic_load(&board->stop_at);
    while (at < before && !atomic_compare_exchange_weak(&board->stop_at, &before, at))
        ;
}

int64_t cnc_board_stop_at(const struct cnc_board *board)
{
    return atomic_load(&board->stop_at);
}

void cnc_board_ask_reload(struct cnc_board *board)
{
    atomic_store(&board->reload_wanted, true);
}

bool cnc_board_take_reload(struct cnc_board *board)
{
    return atomic_exchange(&board->reload_wanted, false);
}

void cnc_board_ask_look(struct cnc_board *board, unsigned page, unsigned slot)
{
    (void)atomic_fetch_or(&board->untaken[page][slot / 64], 1ull << slot % 64);
}

int cnc_board_take_look(struct cnc_board *board, unsigned page)
{
    for (unsigned i = 0; i < WORDS; i++) {
        unsigned long long bits = get(&board->untaken[page][i]);
        if (!bits)
            continue;
        int bit = __builtin_ctzll(bits);
        (void)atomic_fetch_and(&board->untaken[page][i], ~(1ull << bit));
        return (int)(i * 64) + bit;
    }
    return -1;
}

void cnc_board_set_result(struct cnc_board *board, int rc)
{
    atomic_store(&board->result, rc);
    atomic_store(&board->has_ended, true);
}

int cnc_board_result(const struct cnc_board *board)
{
    return atomic_load(&board->has_ended) ? atomic_load(&board->result) : CONCUR_AGAIN;
}

unsigned cnc_board_generation(const struct cnc_board *board)
{
    return atomic_load(&board->generation);
}

void cnc_board_each(const struct cnc_board *board, void (*fn)(const struct cnc_board_row *, void *), void *arg)
{
    for (unsigned g = 0; g < CNC_BOARD_GENERATIONS; g++)
        for (unsigned i = 0, n = used_rows(board, g); i < n; i++)
            if (atomic_load(&board->rows[g][i].pid))
                fn(&board->rows[g][i], arg);
}

void cnc_board_set_idle(struct cnc_board *board, unsigned page, unsigned slot, bool is_idle)
{
    atomic_ullong *word = &board->idle[page][slot / 64];
    unsigned long long bit = 1ull << slot % 64;
    if (is_idle)
        (void)atomic_fetch_or(word, bit);
    else
        (void)atomic_fetch_and(word, ~bit);
}

bool cnc_board_is_idle(const struct cnc_board *board, unsigned page, unsigned slot)
{
    return get(&board->idle[page][slot / 64]) >> slot % 64 & 1;
}

void cnc_board_poke(struct cnc_board *board, unsigned page, unsigned slot)
{
    (void)atomic_fetch_or(&board->poked[page][slot / 64], 1ull << slot % 64);
}

CNC_HOT bool cnc_board_was_poked(struct cnc_board *board, unsigned page, unsigned slot)
{
    atomic_ullong *word = &board->poked[page][slot / 64];
    unsigned long long bit = 1ull << slot % 64;
    if (CNC_LIKELY(!(get(word) & bit)))
        return false;
    (void)atomic_fetch_and(word, ~bit);
    return true;
}

CNC_HOT bool cnc_board_has_idle(const struct cnc_board *board, unsigned page)
{
    const atomic_ullong *words = board->idle[page];
    for (unsigned i = 0; i < WORDS; i++)
        if (get(&words[i]))
            return true;
    return false;
}
