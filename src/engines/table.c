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

const char *cnc_role_name(int role)
{
    static const char *const names[CNC_ROLES] = { [CNC_ROLE_WORKER] = "worker",
                                                  [CNC_ROLE_FRONT] = "front",
                                                  [CNC_ROLE_REFUSER] = "helper",
                                                  [CNC_ROLE_HEADS] = "heads" };
    return role >= 0 && role < CNC_ROLES ? names[role] : "?";
}

const struct cnc_engine_ops *cnc_engine_find(int id)
{
    return id > 0 && (size_t)id < CNC_COUNT(engines) ? engines[id] : NULL;
}
