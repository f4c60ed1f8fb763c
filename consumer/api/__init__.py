"""The HTTP API in the process of `run`: for the agency platform, for people, and for probes."""
