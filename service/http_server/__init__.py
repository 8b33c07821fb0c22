"""Bounds on the connections of uvicorn: size and time of requests, and their number.

It imports no other module of the service."""

from service.http_server.connections import PARSER_BUFFER, http_protocol, raise_file_limit

__all__ = ["PARSER_BUFFER", "http_protocol", "raise_file_limit"]
