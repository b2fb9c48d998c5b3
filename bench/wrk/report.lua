-- SPDX-License-Identifier: MIT
-- One line at the end of a wrk run that a script can read: durations and latencies in microseconds.

function done(summary, latency)
    local e = summary.errors
    io.write(string.format(
        "wrk requests=%d duration_us=%d p50_us=%d p99_us=%d max_us=%d connect=%d read=%d write=%d status=%d timeout=%d\n",
        summary.requests, summary.duration, latency:percentile(50), latency:percentile(99), latency.max,
        e.connect, e.read, e.write, e.status, e.timeout))
end
