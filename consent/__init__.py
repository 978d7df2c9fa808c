"""Consent: what a citizen signs, who the citizen is, what a purpose allows, and the decision over all of it.

Invariant: nothing here reads a clock, draws randomness, or touches a file but the policy data beside it.
"""
