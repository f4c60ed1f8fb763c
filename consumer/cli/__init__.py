"""The commands of `sedna-sync`."""
