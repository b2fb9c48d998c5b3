# SPDX-License-Identifier: MIT
#
# The tables of docs/performance.md, from the raw figures of one run of scripts/bench. `part` says what a file holds:
# paired (as in figures.awk), block, exact, idle or workers. `peers`: "nginx=event h2o=event ...", whose rival each is.

function title(server) {
    if (server == "floor_epoll") return "the floor"
    if (sub(/^peer_/, "", server)) gsub(/_/, " ", server)
    return server
}

function line_once(set, list, name) {
    if (!(name in set)) { set[name] = 1; list[++list[0]] = name }
}

BEGIN {
    n = split(peers, pair, " ")
    for (i = 1; i <= n; i++) {
        split(pair[i], half, "=")
        rival_of["peer_" half[1]] = half[2]
    }
}

# ---- processor time ----

# ratio[] has the rounds without a failure in a row, at[] those of their number, so that two servers can be paired.
function note(server, workload, round, mine, floor,   key) {
    key = server " " workload
    if (mine == 0 || floor == 0) return
    ratio[key, ++good[key]] = at[key, round] = mine / floor
}

part == "paired" {
    line_once(is_workload, workloads, $2)
    if ($3 in rival_of) line_once(is_peer, peer_list, $3)
    else line_once(is_server, servers, $3)
    key = $3 " " $2
    round = ++rounds[key]
    errors[key] += $12
    measured[key] = 1
    note($3, $2, round, cost(8), cost(4))
    if ($4 != "-") {
        raw_of[key] = $4
        if (cost(4) > 0 && cost(12) > 0) form[key, ++form_good[key]] = cost(12) / cost(4)
        if (cost(8) > 0 && cost(12) > 0) own[key, ++own_good[key]] = cost(8) / cost(12)
    }
}

function spread(table, key, count,   m) {
    if (count == 0) return "no round without a failure"
    m = median(table, key, count)
    return sprintf("%.2f (%.2f-%.2f)", m, least, most)
}

function to_floor(server, workload,   key) {
    key = server " " workload
    return spread(ratio, key, good[key]) (errors[key] > 0 ? ", " errors[key] " errors" : "")
}

# The chance that of n fair coins k or more fall on one side.
function chance(k, n,   i, j, ways, sum) {
    for (i = k; i <= n; i++) {
        ways = 1
        for (j = 1; j <= i; j++) ways = ways * (n - j + 1) / j
        sum += ways
    }
    return sum / 2 ^ n
}

# What the peer costs of what the engine does, round by round. Sets `pairs`, and `cheaper`, those in which it is less.
function pair_up(engine, peer, workload,   i, a, b) {
    pairs = cheaper = 0
    for (i = 1; i <= rounds[engine " " workload]; i++) {
        a = at[engine " " workload, i]
        b = at[peer " " workload, i]
        if (a == 0 || b == 0) continue
        quotient["pair", ++pairs] = b / a
        cheaper += b < a
    }
    return pairs > 0 ? spread(quotient, "pair", pairs) : ""
}

function rivals(engine, workload,   i, peer, text, against, words) {
    for (i = 1; i <= peer_list[0]; i++) {
        peer = peer_list[i]
        if (rival_of[peer] != engine || !((peer " " workload) in measured)) continue
        words = title(peer) " " to_floor(peer, workload)
        against = pair_up(engine, peer, workload)
        if (against != "") {
            against = sprintf("%s, %s: %s costs %s of it, less in %d of %d rounds", workload, engine, title(peer),
                              against, cheaper, pairs)
            if (chance(cheaper, pairs) <= 0.05) {
                words = "**" words "**"
                ahead[++ahead_count] = against
            } else if (chance(pairs - cheaper, pairs) > 0.05)
                tied[++tied_count] = against
        }
        text = text (text == "" ? "" : "; ") words
    }
    return text == "" ? "-" : text
}

# An engine whose model is the floor's has no other raw form.
function forms(server, workload,   key) {
    key = server " " workload
    if (key in raw_of)
        return raw_of[key] " " spread(form, key, form_good[key]) " | " spread(own, key, own_good[key])
    return server ~ /^floor_/ ? "- | -" : "the floor | the same"
}

function paired_table(workload,   i, server) {
    printf "\n### %s\n\n", workload
    print "| server | ratio to the floor | raw form of its model, ratio to the floor | ratio to that form | its peers |"
    print "|---|---|---|---|---|"
    for (i = 1; i <= servers[0]; i++) {
        server = servers[i]
        if (!((server " " workload) in measured)) continue
        printf "| %s | %s | %s | %s |\n", server == "floor_epoll" ? "the floor against itself" : title(server),
            to_floor(server, workload), forms(server, workload), rivals(server, workload)
    }
}

function paired_tables(   i) {
    if (workloads[0] == 0) return
    print "\n## Processor time, as a ratio to the floor\n"
    print "Median, least and most of the rounds. The floor against itself is the noise of the run. A peer in bold is"
    print "ahead of the engine of its model: it cost less in so many rounds that chance would do it once in 20 times at"
    print "most (sign test)."
    for (i = 1; i <= workloads[0]; i++) paired_table(workloads[i])
    if (peer_list[0] == 0) return
    print "\n### Where a peer is ahead\n"
    for (i = 1; i <= ahead_count; i++) print "- " ahead[i]
    if (ahead_count == 0) print "Nowhere in this run."
    if (tied_count == 0) return
    print "\nNo difference that this run could tell:\n"
    for (i = 1; i <= tied_count; i++) print "- " tied[i]
}

# ---- the others: a row a line ----

function get(name,   i) {
    for (i = 1; i <= NF; i++) if (index($i, name "=") == 1) return substr($i, length(name) + 2)
}

part == "block" {
    blocked[++blocked[0]] = sprintf("| %s | %d | %.1f %% | %.1f %% | %d |", title($1), $2, 100 * $3, 100 * $4, $6)
}
part == "exact" {
    line_once(is_exact, exact_servers, $1)
    line_once(is_exact_workload, exact_workloads, $2)
    exact[$1, $2] = sprintf("%d / %.2f", $3, $4)
}
part == "idle" {
    idle[++idle[0]] = sprintf("| %s | %s of %s | %s | %s | %s | %s |", title(get("engine")), get("answered"),
                              get("connections"), get("rss_bytes"), get("pss_bytes"), get("new_ms"), get("woken"))
}
part == "workers" {
    n = get("processes") - 1
    workers[++workers[0]] = sprintf("| %s | %d | %.1f |", title(get("engine")), n,
                                    get("pss_bytes") / 1024 / (n > 0 ? n : 1))
}

# Numbers stand to the right.
function table(heading, text, columns, rows,   i, column) {
    if (rows[0] == 0) return
    printf "\n## %s\n\n%s\n\n%s\n|---", heading, text, columns
    for (i = split(columns, column, "|") - 3; i > 0; i--) printf "|---:"
    print "|"
    for (i = 1; i <= rows[0]; i++) print rows[i]
}

function exact_rows(   i, j, server, workload) {
    exact_columns = "| server |"
    exact_list[0] = exact_servers[0]
    for (i = 1; i <= exact_servers[0]; i++) exact_list[i] = "| " title(exact_servers[i]) " |"
    for (j = 1; j <= exact_workloads[0]; j++) {
        workload = exact_workloads[j]
        exact_columns = exact_columns " " workload " |"
        for (i = 1; i <= exact_servers[0]; i++) {
            server = exact_servers[i]
            exact_list[i] = exact_list[i] " " ((server, workload) in exact ? exact[server, workload] : "-") " |"
        }
    }
}

END {
    paired_tables()
    table("Calls that block", "64 connections, each request a call that blocks for 20 ms: 3,200 a second at best.",
          "| server | requests/s | of the ideal | of floor_queue | errors |", blocked)
    exact_rows()
    table("Exact figures per request", "User instructions (cachegrind, one connection) / system calls (strace, 64).",
          exact_columns, exact_list)
    table("Memory of an idle connection", "Growth of the server's process tree in bytes, and the next client's wait.",
          "| server | connections | resident | proportional | new client, ms | woken |", idle)
    table("Where a connection has a process", "The proportional set of the tree for each worker, after load.",
          "| server | workers | KiB each |", workers)
}
