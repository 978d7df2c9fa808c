"""The HTTP room: signatures, problems and, one file per noun, the JSON API.

Importing this package imports nothing: `gateway.http.signature` and `gateway.http.problems` are pure and
serve the client as well, which must never pull in the server.
"""
