module syncrollout.io/testbed/pause

go 1.26
