"""Rotation of the gateway's keys: what it signs with, and what keeps things secret at rest."""
