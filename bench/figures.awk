# SPDX-License-Identifier: MIT
#
# What the tables of paired rounds have in common. A line of input is a round:
#
#     paired WORKLOAD ENGINE RAW  FLOOR...  ENGINE...  RAW...
#
# where each of the last three is requests, processor microseconds, run-time microseconds, errors. RAW is `-` with zeros
# when the engine has no raw form but floor_epoll itself.

function sort(v, n,   i, j, t) {
    for (i = 2; i <= n; i++) {
        t = v[i]
        for (j = i - 1; j >= 1 && v[j] > t; j--) v[j + 1] = v[j]
        v[j + 1] = t
    }
}

# Sets least and most, returns the median of the table's c values for a key.
function median(table, key, c,   i, v) {
    for (i = 1; i <= c; i++) v[i] = table[key, i]
    sort(v, c)
    least = v[1]
    most = v[c]
    return c % 2 ? v[(c + 1) / 2] : (v[c / 2] + v[c / 2 + 1]) / 2
}

# Microseconds per request; f: the figures begin behind field f.
function cost(f) { return $(f + 1) > 0 ? $(f + 2) / $(f + 1) : 0 }
