"""Erasure (删除): what is past its term or demanded back becomes unreadable, unless a case holds it."""
