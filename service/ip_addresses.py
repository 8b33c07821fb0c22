"""IP addresses: the form in which they are stored, and the networks that a rate limit counts."""

import ipaddress
from functools import lru_cache

IPV6_NETWORK = 64  # bits: one household or host has a /64 and may use any address in it
IPV6_SITE = 48  # bits: one customer of a provider may have a /48, which holds 65,536 networks (RFC 6177, section 2)
NO_ADDRESS = "none"
"""The network of all clients without a usable address. They share one allowance, because no limit would be worse."""


@lru_cache(maxsize=1_024)
def parse_address(host: str) -> str | None:
    """Return the address in its usual form, IPv4 if it is mapped into IPv6, and without its zone, or None if `host` is not an IP address.

    The sender chooses the zone freely, and it has a meaning on the sender's machine only (RFC 4007, section 11).
    """
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return None
    return str((address.version == 6 and address.ipv4_mapped) or address)


@lru_cache(maxsize=1_024)
def network_of(ip_address: str | None) -> str:
    """Return the network that rate limits count: an IPv4 address, the /64 of an IPv6 address, or `NO_ADDRESS`."""
    if ip_address is None:
        return NO_ADDRESS
    address = ipaddress.ip_address(ip_address)
    if address.version == 4:
        return str(address)
    if address.ipv4_mapped:
        return str(address.ipv4_mapped)
    return str(ipaddress.ip_network((address, IPV6_NETWORK), strict=False))


def site_of(network: str) -> str | None:
    """Return the /48 of an IPv6 network, which has a larger allowance of its own. None for every other network."""
    if ":" not in network:
        return None
    return str(ipaddress.ip_network(network).supernet(new_prefix=IPV6_SITE))
