-- SPDX-License-Identifier: MIT
-- A task of no length through offload, one request at a time on each connection.

local here = debug.getinfo(1, "S").source:match("^@(.*/)") or "./"
dofile(here .. "report.lua")
dofile(here .. "raw.lua")
request = requests("offload64.http", 1)
