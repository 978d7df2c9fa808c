"""Bytes, signatures, encryption and the custody of keys. Imports nothing of ours; everything else imports it.

Invariant: nothing here reads a clock, a global or a setting, and no function returns plaintext or a payload
that was not authenticated.
"""
