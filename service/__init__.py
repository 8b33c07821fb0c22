"""Doorcode: a self-hosted GraphQL identity service that turns a signed code into a session.

`README.md` beside this file is the map: the layers, which module holds which rule, and what may import what.
"""
