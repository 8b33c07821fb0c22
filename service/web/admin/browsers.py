"""The names of browsers in the panel: "Chrome on macOS" instead of a user agent string."""

import asyncio
from collections.abc import Iterable, Mapping

_SYSTEMS = {"Mac OS X": "macOS"}


async def browser_names(user_agents: Iterable[str | None]) -> Mapping[str, str]:
    """Return a name for each user agent. A thread finds them: loading the rules of ua-parser takes half a second."""
    return await asyncio.to_thread(lambda: {agent: browser_name(agent) for agent in set(user_agents) if agent})


def browser_name(user_agent: str) -> str:
    """Return the name of the browser and its system, or the start of a user agent that is not known."""
    # Loaded at the first use: most processes never show a page with sessions, and the rules take 7 MB.
    from ua_parser import parse  # noqa: PLC0415

    found = parse(user_agent)
    if found.user_agent is None:
        return user_agent[:60]
    if found.os is None:
        return found.user_agent.family
    return f"{found.user_agent.family} on {_SYSTEMS.get(found.os.family, found.os.family)}"
