"""Every route and its guard: who must have signed before the view runs.

Invariant: a view is reached only through `Api.route`, which takes a guard and has no default; a test walks
the URL map.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from functools import wraps
from typing import TYPE_CHECKING, Any

from flask import Flask, request
from werkzeug.wrappers import Response

from gateway.http.auth import authenticate_citizen, authenticate_operator, signed_as_citizen

if TYPE_CHECKING:
    from gateway.house import House
    from gateway.publishing import PublishingThread


class Guard(Enum):
    """Who may call a route."""

    PUBLIC = "anyone: nothing personal is said"
    PROOF = "anyone who holds a document that the citizen's own key signed; the view verifies it"
    OPERATOR = "an institution's operator"
    CITIZEN = "a citizen, by their enrolled key"
    PARTY = "an operator or a citizen: the view shows only what is theirs"


@dataclass(frozen=True, slots=True)
class Api:
    """What views are handed: the house, its publisher, and the way to register a route."""

    app: Flask
    house: House
    publishing: PublishingThread

    def route(self, rule: str, methods: list[str], guard: Guard) -> Callable[[Callable[..., Response]], None]:
        """Register a view behind its guard, which hands it whom it found as its first argument."""

        def register(view: Callable[..., Response]) -> None:
            guarded = _guarded(self.house, view, guard)
            endpoint = f"{view.__module__.rpartition('.')[2]}.{view.__name__}"
            self.app.add_url_rule(rule, endpoint, guarded, methods=methods, provide_automatic_options=False)

        return register


def _guarded(house: House, view: Callable[..., Response], guard: Guard) -> Callable[..., Response]:
    @wraps(view)
    def call(**arguments: Any) -> Response:
        match guard:
            case Guard.PUBLIC | Guard.PROOF:
                return view(**arguments)
            case Guard.OPERATOR:
                return view(authenticate_operator(house, request), **arguments)
            case Guard.CITIZEN:
                return view(authenticate_citizen(house, request), **arguments)
            case Guard.PARTY:
                if signed_as_citizen(request):
                    return view(authenticate_citizen(house, request), **arguments)
                return view(authenticate_operator(house, request), **arguments)

    call.__dict__["guard"] = guard
    return call
