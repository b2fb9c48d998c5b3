# SPDX-License-Identifier: MIT
#
# The table of paired rounds, for people; figures.awk says what the input is. Each raw form gets a row of its own from
# the same rounds, unless it has been measured as a row (`rows`, names between blanks). Also writes the figures, one row
# a line, to `summary`.

function add(name, workload, raw, f, floor, own,   key, i) {
    key = name " " workload
    if (!(key in n)) { order[++keys] = key; n[key] = 0; raw_of[key] = raw }
    errors[key] += $(f + 4)
    if (cost(f) == 0 || floor == 0 || (raw != "-" && own == 0)) return
    i = ++n[key]
    ratio[key, i] = cost(f) / floor
    own_ratio[key, i] = raw != "-" ? cost(f) / own : 0
    us[key, i] = cost(f)
    rate[key, i] = $(f + 1) * 1e6 / $(f + 3)
}

function goals(list, set,   i, k, part) {
    k = split(list, part, " ")
    for (i = 1; i < k; i += 3) set[part[i] " " part[i + 1]] = part[i + 2]
}

function goal_of(set, key) { return key in set ? sprintf("%.2f", set[key]) : "-" }

BEGIN {
    goals("event ka64 1.08 event hdr64 1.15 event close64 1.05 event pipe16 1.6 thread ka64 1.55 thread close64 1.2 " \
          "process-event ka64 1.1 process-event close64 1.05 process-event pipe16 1.6 event-pool ka64 1.1 " \
          "event-pool offload64 1.35", goal)
    goals("prefork ka64 1.05 prefork hdr64 1.05 prefork pipe16 1.05 prefork close64 1.05 process-thread ka64 1.1 " \
          "process-thread close64 1.1", own_goal)
    printf "%-23s %-9s %6s %12s %5s  %-13s %6s %12s %5s %8s %9s %6s\n", "engine", "workload", "ratio", "min..max",
        "goal", "its raw form", "ratio", "min..max", "goal", "us/req", "req/s", "errors"
}

$1 == "paired" {
    add($3, $2, $4, 8, cost(4), cost(12))
    if ($4 != "-" && index(rows, " " $4 " ") == 0) add($4, $2, "-", 12, cost(4), 0)
}

END {
    for (k = 1; k <= keys; k++) {
        key = order[k]
        split(key, part, " ")
        c = n[key]
        if (c == 0) {
            printf "%-23s %-9s no round without a failure, %d errors\n", part[1], part[2], errors[key]
            continue
        }
        m = median(ratio, key, c)
        json = sprintf("%.4f %.4f %.4f", m, least, most)
        printf "%-23s %-9s %6.3f %5.2f..%-5.2f %5s  ", part[1], part[2], m, least, most, goal_of(goal, key)
        raw = raw_of[key]
        if (raw == "-") {
            printf "%-13s %6s %12s %5s", "-", "-", "-", "-"
            json = json " - 0 0 0"
        } else {
            m = median(own_ratio, key, c)
            json = json sprintf(" %s %.4f %.4f %.4f", raw, m, least, most)
            sub(/^floor_/, "", raw)
            printf "%-13s %6.3f %5.2f..%-5.2f %5s", raw, m, least, most, goal_of(own_goal, key)
        }
        printf " %8.2f %9.0f %6d\n", median(us, key, c), median(rate, key, c), errors[key]
        printf "%s %s %s %.3f %.0f %d %d\n", part[1], part[2], json, median(us, key, c), median(rate, key, c),
            errors[key], c > summary
    }
}
