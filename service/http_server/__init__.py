"""Around uvicorn: bounds on connections, an end that loses no request, and the parent of several server processes.

It imports no other module of the service."""

from service.http_server.connections import PARSER_BUFFER, http_protocol, raise_file_limit
from service.http_server.server import OnlyServer
from service.http_server.systemd import notify
from service.http_server.workers import Workers

__all__ = ["PARSER_BUFFER", "OnlyServer", "Workers", "http_protocol", "notify", "raise_file_limit"]
