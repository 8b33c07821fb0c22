"""Doorcode: a self-hosted GraphQL identity service that turns a signed code into a session."""
