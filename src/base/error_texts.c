/* SPDX-License-Identifier: MIT */
#include <concur/error.h>

#include "base/base.h"

static const char *const texts[] = {
    [-CONCUR_E_INVAL] = "invalid argument",
    [-CONCUR_E_NOMEM] = "out of memory",
    [-CONCUR_E_SYS] = "the system refused",
    [-CONCUR_E_STATE] = "not possible in this state",
    [-CONCUR_E_OPTION] = "bad option",
    [-CONCUR_E_LISTEN] = "cannot listen",
    [-CONCUR_E_THREADS] = "the process has other threads",
    [-CONCUR_E_FORKED] = "used in a forked process",
    [-CONCUR_E_HOME] = "called on the wrong thread",
    [-CONCUR_E_UNSUPPORTED] = "not supported",
    [-CONCUR_E_GONE] = "the client has left",
    [-CONCUR_E_CANCELLED] = "cancelled",
    [-CONCUR_E_STOPPING] = "the server stops",
    [-CONCUR_E_FULL] = "full",
    [-CONCUR_E_TIMEOUT] = "timed out",
    [-CONCUR_E_UPSTREAM] = "the upstream failed",
    [-CONCUR_E_LIMIT] = "over a limit",
    [-CONCUR_E_BUSY] = "still busy",
};

const char *concur_strerror(int code)
{
    if (code == CONCUR_OK)
        return "ok";
    if (code == CONCUR_DECLINE)
        return "declined";
    if (code == CONCUR_AGAIN)
        return "again";
    if (code < 0 && (size_t)-(long)code < CNC_COUNT(texts))
        return texts[-code];
    return "unknown code";
}
