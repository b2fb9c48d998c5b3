-- SPDX-License-Identifier: MIT
-- A blocking route that waits 20 ms, one request at a time on each connection.

local here = debug.getinfo(1, "S").source:match("^@(.*/)") or "./"
dofile(here .. "report.lua")
dofile(here .. "raw.lua")
request = requests("block64.http", 1)
