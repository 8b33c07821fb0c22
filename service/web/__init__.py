"""The HTTP routes beside GraphQL: sign-in pages, the widget, forward auth, probes, static files, and the middleware.

It may import every feature, the instance, the authority and the credentials. It does not import `service.graphql`: the
admin panel alone runs GraphQL operations in process.
"""
