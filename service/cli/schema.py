"""`doorcode schema`: the SDL."""

from service.cli.running import print_result


def print_schema() -> None:
    """Print the GraphQL schema as SDL."""
    from service.graphql.schema import schema  # noqa: PLC0415  # other commands start quicker without it

    print_result(schema.as_str())
