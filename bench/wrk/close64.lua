-- SPDX-License-Identifier: MIT
-- A new connection for each request: the reply to `Connection: close` ends it.

local here = debug.getinfo(1, "S").source:match("^@(.*/)") or "./"
dofile(here .. "report.lua")
dofile(here .. "raw.lua")
request = requests("close64.http", 1)
