/* SPDX-License-Identifier: MIT
 *
 * The exchange's two state tables, which docs/states.md shows too. A pair of state and event that is missing is a bug:
 * debug builds assert, release builds ignore the event.
 */
#include "conn/exchange.h"

#define BODY(state) (1 + CNC_EXCHANGE_BODY_##state) /* 0 is left for pairs that are bugs */
#define REPLY(state) (1 + CNC_EXCHANGE_REPLY_##state)

const uint8_t cnc_exchange_body_table[CNC_EXCHANGE_BODY_STATES][CNC_EXCHANGE_BODY_EVENTS] = {
    [CNC_EXCHANGE_BODY_UNREAD] = {
        [CNC_EXCHANGE_ON_WANT] = BODY(WANTED),
        [CNC_EXCHANGE_ON_RESUME] = BODY(UNREAD),
        [CNC_EXCHANGE_ON_REFUSE] = BODY(UNREAD),
        [CNC_EXCHANGE_ON_SKIP] = BODY(REST),
    },
    [CNC_EXCHANGE_BODY_WANTED] = {
        [CNC_EXCHANGE_ON_WANT] = BODY(WANTED),
        [CNC_EXCHANGE_ON_PIECE] = BODY(PAUSED),
        [CNC_EXCHANGE_ON_RESUME] = BODY(WANTED),
        [CNC_EXCHANGE_ON_REFUSE] = BODY(UNREAD),
        [CNC_EXCHANGE_ON_COMPLETE] = BODY(TOLD),
        [CNC_EXCHANGE_ON_SKIP] = BODY(REST),
    },
    [CNC_EXCHANGE_BODY_PAUSED] = {
        [CNC_EXCHANGE_ON_WANT] = BODY(PAUSED),
        [CNC_EXCHANGE_ON_RESUME] = BODY(WANTED),
        [CNC_EXCHANGE_ON_REFUSE] = BODY(UNREAD),
        [CNC_EXCHANGE_ON_SKIP] = BODY(REST),
    },
    [CNC_EXCHANGE_BODY_TOLD] = {
        [CNC_EXCHANGE_ON_WANT] = BODY(TOLD),
        [CNC_EXCHANGE_ON_RESUME] = BODY(TOLD),
    },
    [CNC_EXCHANGE_BODY_REST] = {
        [CNC_EXCHANGE_ON_RESUME] = BODY(REST), /* the request has ended its reply while it got a piece */
        [CNC_EXCHANGE_ON_REFUSE] = BODY(REST),
    },
};

const uint8_t cnc_exchange_reply_table[CNC_EXCHANGE_REPLY_STATES][CNC_EXCHANGE_REPLY_EVENTS] = {
    [CNC_EXCHANGE_REPLY_NONE] = {
        [CNC_EXCHANGE_ON_BEGIN] = REPLY(BEGUN),
        [CNC_EXCHANGE_ON_END] = REPLY(ENDED), /* head and body in one call */
        [CNC_EXCHANGE_ON_ABORT] = REPLY(ABORTED),
    },
    [CNC_EXCHANGE_REPLY_BEGUN] = {
        [CNC_EXCHANGE_ON_END] = REPLY(ENDED),
        [CNC_EXCHANGE_ON_ABORT] = REPLY(ABORTED),
    },
    [CNC_EXCHANGE_REPLY_ENDED] = { 0 },
    [CNC_EXCHANGE_REPLY_ABORTED] = { 0 },
};

const char *cnc_exchange_body_name(int state)
{
    static const char *const names[CNC_EXCHANGE_BODY_STATES] = {
        [CNC_EXCHANGE_BODY_UNREAD] = "unread", [CNC_EXCHANGE_BODY_WANTED] = "wanted", [CNC_EXCHANGE_BODY_PAUSED] = "paused",
        [CNC_EXCHANGE_BODY_TOLD] = "told",     [CNC_EXCHANGE_BODY_REST] = "rest",
    };
    return state >= 0 && state < CNC_EXCHANGE_BODY_STATES ? names[state] : "?";
}

const char *cnc_exchange_reply_name(int state)
{
    static const char *const names[CNC_EXCHANGE_REPLY_STATES] = {
        [CNC_EXCHANGE_REPLY_NONE] = "none",
        [CNC_EXCHANGE_REPLY_BEGUN] = "begun",
        [CNC_EXCHANGE_REPLY_ENDED] = "ended",
        [CNC_EXCHANGE_REPLY_ABORTED] = "aborted",
    };
    return state >= 0 && state < CNC_EXCHANGE_REPLY_STATES ? names[state] : "?";
}
