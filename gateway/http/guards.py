"""Every route and its guard: who must have signed before the view runs.

Invariant: a view is reached only through `Api.route`, which takes a guard and a description and has a default
for neither; tests walk the URL map. An address that sends bad signatures without end is turned away before
any key is looked up.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from functools import wraps
from typing import TYPE_CHECKING, Any

from flask import Flask, g, request
from werkzeug.wrappers import Response

from gateway import tracing
from gateway.http.auth import authenticate_citizen, authenticate_operator, signed_as_citizen
from gateway.http.express import RULED, Unsaid
from gateway.http.flood import Flood, TooManyBadSignatures
from gateway.http.operation import Operation
from gateway.http.signature import SignatureRefused, parse_signature

if TYPE_CHECKING:
    from gateway.house import House
    from gateway.people.citizens import Citizen
    from gateway.publishing import PublishingThread
    from gateway.query.request import Signer
    from gateway.transaction import Nonce


class Guard(Enum):
    """Who may call a route."""

    PUBLIC = "anyone: nothing personal is said"
    PROOF = "anyone who holds a document that the citizen's own key signed; the view verifies it"
    OPERATOR = "an institution's operator"
    CITIZEN = "a citizen, by their enrolled key"
    PARTY = "an operator or a citizen: the view shows only what is theirs"


@dataclass(frozen=True, slots=True)
class Route:
    """One registered route: method, rule, guard, and what the API document says of it."""

    method: str
    rule: str
    guard: Guard
    operation: Operation


@dataclass(frozen=True, slots=True)
class Api:
    """What views are handed: the house, its publisher, and the way to register a route."""

    app: Flask
    house: House
    publishing: PublishingThread
    flood: Flood
    routes: list[Route] = field(default_factory=list)

    def route(
        self, rule: str, methods: list[str], guard: Guard, operation: Operation
    ) -> Callable[[Callable[..., Response]], None]:
        """Register a view behind its guard, which hands it whom it found as its first argument."""

        def register(view: Callable[..., Response]) -> None:
            guarded = self._guarded(view, guard)
            endpoint = f"{view.__module__.rpartition('.')[2]}.{view.__name__}"
            self.app.add_url_rule(rule, endpoint, guarded, methods=methods, provide_automatic_options=False)
            self.routes.extend(Route(method, rule, guard, operation) for method in methods)

        return register

    def operator(self) -> Signer:
        """The operator who signed this request, counted as such. `SignatureRefused` or `UnknownKey`."""
        ruled: Unsaid | None = request.environ.get(RULED)
        if ruled is not None:
            g.keyid = ruled.signer.nonce.key
            return ruled.signer
        self._admit()
        with tracing.span("authenticate"):
            signer = authenticate_operator(self.house, request)
        g.keyid = signer.nonce.key
        return signer

    def citizen(self) -> tuple[Citizen, Nonce]:
        """The citizen who signed this request, counted as such. `SignatureRefused` or `UnknownKey`."""
        self._admit()
        with tracing.span("authenticate"):
            citizen, nonce = authenticate_citizen(self.house, request)
        g.keyid = nonce.key
        return citizen, nonce

    def _guarded(self, view: Callable[..., Response], guard: Guard) -> Callable[..., Response]:
        @wraps(view)
        def call(**arguments: Any) -> Response:
            match guard:
                case Guard.PUBLIC:
                    return view(**arguments)
                case Guard.PROOF:
                    self._admit()
                    g.proves = True
                    return view(**arguments)
                case Guard.OPERATOR:
                    return view(self.operator(), **arguments)
                case Guard.CITIZEN:
                    return view(self.citizen(), **arguments)
                case Guard.PARTY:
                    self._admit()
                    return view(
                        self.citizen() if signed_as_citizen(request) else self.operator(), **arguments
                    )

        call.__dict__["guard"] = guard
        return call

    def _admit(self) -> None:
        """`TooManyBadSignatures` if the address sent too many, unless its key was valid there lately."""
        retry_after = self.flood.over(g.source)
        if retry_after is None:
            return
        try:
            keyid = parse_signature(request.method, request.headers).keyid
        except SignatureRefused:
            keyid = ""
        if not self.flood.lately_valid(g.source, keyid):
            raise TooManyBadSignatures(retry_after)
        g.flooded = True
