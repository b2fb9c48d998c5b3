/* SPDX-License-Identifier: MIT */
#include "engines/engine.h"

static const struct cnc_engine_ops *const engines[] = {
    [CONCUR_ENGINE_PREFORK] = &cnc_engine_prefork,
    [CONCUR_ENGINE_THREAD] = &cnc_engine_thread,
    [CONCUR_ENGINE_EVENT] = &cnc_engine_event,
    [CONCUR_ENGINE_PROCESS_THREAD] = &cnc_engine_process_thread,
    [CONCUR_ENGINE_PROCESS_EVENT] = &cnc_engine_process_event,
    [CONCUR_ENGINE_EVENT_POOL] = &cnc_engine_event_pool,
};

const struct cnc_engine_ops *cnc_engine_find(int id)
{
    return id > 0 && (size_t)id < CNC_COUNT(engines) ? engines[id] : NULL;
}
