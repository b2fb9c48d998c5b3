-- SPDX-License-Identifier: MIT
-- A browser-like request, 11 headers and 640 bytes, one at a time on each connection.

local here = debug.getinfo(1, "S").source:match("^@(.*/)") or "./"
dofile(here .. "report.lua")
dofile(here .. "raw.lua")
request = requests("hdr64.http", 1)
