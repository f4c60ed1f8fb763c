"""The demo: a fake Sedna, servers of its own, and a world to show the service in."""
