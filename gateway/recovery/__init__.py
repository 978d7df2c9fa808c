"""Backups, and the two ways back of a database that was put back behind its own log."""
