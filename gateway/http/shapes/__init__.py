"""The shapes of what the gateway replies: one struct a body, for the API document and whoever reads it.

Invariant: a reply has exactly the members of its shape, optional ones absent rather than null. Replies are
not made from these structs but tested against them, every endpoint, refusals included.
"""
