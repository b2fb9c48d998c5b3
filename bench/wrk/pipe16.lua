-- SPDX-License-Identifier: MIT
-- The two-line request, 16 of them in one write.

local here = debug.getinfo(1, "S").source:match("^@(.*/)") or "./"
dofile(here .. "report.lua")
dofile(here .. "raw.lua")
request = requests("ka64.http", 16)
