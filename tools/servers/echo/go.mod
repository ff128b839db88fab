module sluice/tools/servers/echo

go 1.25.0
