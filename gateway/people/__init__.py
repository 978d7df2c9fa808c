"""Persons (信息主体): found by blind index only, keyed in the ledger by a random tag."""
