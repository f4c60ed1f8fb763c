"""The contracts: events in, results out, and the documents generated from them."""
