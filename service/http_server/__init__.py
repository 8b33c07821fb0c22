"""What `doorcode serve` adds to uvicorn: connections within bounds. Imports nothing else of the service."""

from service.http_server.connections import PARSER_BUFFER, http_protocol, raise_file_limit

__all__ = ["PARSER_BUFFER", "http_protocol", "raise_file_limit"]
