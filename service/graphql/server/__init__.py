"""A GraphQL-over-HTTP server for any Strawberry schema.

It knows nothing of sign-in. From the service it imports `service.errors` and the default page size of `service.paging`.
"""
