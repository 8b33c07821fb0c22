"""The GraphQL schema, one file for each part, the context of a request, and the endpoint `/graphql`.

It may import every feature, the authority and the credentials. It holds no rule of its own: resolvers check the caller,
call a feature, and convert its result. The generic server is in `service.graphql.server`.
"""
