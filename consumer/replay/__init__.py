"""Reading topics again: `sedna-sync replay`."""
