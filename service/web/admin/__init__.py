"""The admin panel: server-rendered pages that work without JavaScript.

A page reads and changes data only by the named GraphQL operations in `service.web.admin.operations`. It may import the
helpers of `service.web` and the credentials.
"""
