"""Postgres: migrations, named queries, and the functions that run them.

Every function takes a pool or a connection, returns frozen records and raises only
the errors of :mod:`db.errors`. Nothing here decides what becomes of a sync.
"""
