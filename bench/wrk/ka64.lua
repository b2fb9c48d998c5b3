-- SPDX-License-Identifier: MIT
-- Two-line request, one at a time on each connection: wrk's own request has the request line and Host only.

local here = debug.getinfo(1, "S").source:match("^@(.*/)") or "./"
dofile(here .. "report.lua")
