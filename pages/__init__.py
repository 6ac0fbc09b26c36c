"""The dashboard's pages; a package, so that no other `pages` on the machine stands in for it."""
