module sluice/tools/servers/pause

go 1.25.0
