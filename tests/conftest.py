"""What every test shares: how hard Hypothesis looks.

`HYPOTHESIS_PROFILE=thorough` looks longer. On a build machine (`CI` set) the examples are the same every
time, so that a change is never blamed for what another one did.
"""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

_CI = bool(os.environ.get("CI"))

settings.register_profile(
    "usual",
    deadline=None,  # two busy cores say nothing about the code
    max_examples=60,
    derandomize=_CI,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.register_profile("thorough", settings.get_profile("usual"), max_examples=2000, derandomize=False)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "usual"))
