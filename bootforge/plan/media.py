"""Where trees are that the server gives out itself: at the server's URL as the host sees it."""

from __future__ import annotations

from bootforge.model import Nic

Nics = tuple[Nic, ...]


def tree_url(url: str, nics: Nics) -> str:
    """``media:NAME/PATH`` as the URL that the host can fetch; every other URL as it is."""
    if not url.startswith("media:"):
        return url
    ordered = [*(nic for nic in nics if nic.install), *(nic for nic in nics if nic.boot)]
    server = next((nic.network.server for nic in ordered if nic.network and nic.network.server), "")
    return f"{server}/media/{url.removeprefix('media:')}"
