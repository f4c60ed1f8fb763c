"""Everything that knows how Sedna speaks: matching, wire format, session, client."""
