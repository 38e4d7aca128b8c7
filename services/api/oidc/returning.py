"""Where a login leads back to. The reference leads anywhere that a link names, and hands over the tokens there."""

from collections.abc import Collection
from urllib.parse import parse_qsl, urlencode, urlsplit

_FIRST = "/"


def may_return(target: str, own_host: str, hosts: Collection[str]) -> bool:
    """Whether it is a path of ours, or an address on our host or on one that the settings name."""
    if not target.isprintable() or not target.isascii() or "\\" in target or " " in target:
        return False
    try:
        parts = urlsplit(target)
        port = parts.port
    except ValueError:
        return False
    if not parts.scheme and not parts.netloc:
        return target.startswith(_FIRST) and not target.startswith("//")
    if parts.scheme not in ("http", "https") or parts.username is not None or not parts.hostname:
        return False
    names = {parts.netloc.lower()} | ({parts.hostname} if port is None else set())
    return bool(names & {own_host.lower(), *hosts})


def with_value(url: str, name: str, value: str) -> str:
    """The address with one more value in its query."""
    parts = urlsplit(url)
    query = urlencode([*parse_qsl(parts.query, keep_blank_values=True), (name, value)])
    return parts._replace(query=query).geturl()
