"""DHCP configuration for Kea (kea-dhcp4), which is JSON and no template."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any

from bootforge.render.dhcp import ARCHITECTURES, LEASE_TIME, Boot, Lease, Subnet

_IPXE = "_ipxe"

Json = dict[str, Any]


def render_kea(subnets: Iterable[Subnet]) -> str:
    """A configuration for kea-dhcp4: of Kea 2.2, whose names of settings Kea 3.0 takes as well.

    What a client boots depends on its network and on what it is, so each network has classes that it alone asks for
    (``require-client-classes``). Names begin with the network's, which has no underscore."""
    subnets = tuple(subnets)
    several = any(len(lease.cards) > 1 and lease.address for subnet in subnets for lease in subnet.leases)
    return json.dumps({"Dhcp4": _server(subnets, several)}, indent=2) + "\n"


def _server(subnets: tuple[Subnet, ...], several: bool) -> Json:
    classes = [*_kinds()]
    for subnet in subnets:
        classes += _boots(subnet)
    return {
        # At boot Kea may be there before the links are; without retries it would stay deaf.
        "interfaces-config": {
            "interfaces": ["*"],
            "service-sockets-max-retries": 60,
            "service-sockets-retry-wait-time": 5000,
        },
        "authoritative": True,
        # Firmware, installer and system are one machine, and call themselves by different client ids.
        "match-client-id": False,
        "valid-lifetime": LEASE_TIME,
        "host-reservation-identifiers": ["hw-address"],
        "reservations-in-subnet": True,
        "reservations-out-of-pool": True,
        # Each MAC address of a bond has a reservation of the one address.
        **({"ip-reservations-unique": False} if several else {}),
        "client-classes": classes,
        "subnet4": [_subnet(subnet) for subnet in subnets],
    }


def _kinds() -> Iterator[Json]:
    """What a client says that it is."""
    yield {"name": _IPXE, "test": "option[175].exists"}
    for one in ARCHITECTURES:
        yield {"name": one.name, "test": f"option[93].hex == 0x{one.number:04x}"}
    yield {
        "name": "_http",
        "test": f"substring(option[60].hex, 0, 10) == 'HTTPClient' and not member('{_IPXE}')",
        "option-data": [{"code": 60, "data": "HTTPClient", "always-send": True}],
    }


def _boots(subnet: Subnet) -> Iterator[Json]:
    """What a client of a network boots: iPXE its script, firmware the file of its kind or of the host that it is."""
    name = subnet.network.name
    others = f" and not member('{name}_own')" if subnet.own else ""
    if subnet.own:
        yield {"name": f"{name}_own"}
    yield _class(f"{name}{_IPXE}", f"member('{_IPXE}'){others}", subnet.script)
    for boot in subnet.boot:
        yield _class(f"{name}{boot.architecture.name}", f"{_firmware(boot)}{others}", boot.file)
    for lease in subnet.own:
        yield {"name": lease.key}
        for boot in lease.own:
            mine, kind = f" and member('{lease.key}')", f"{lease.key}{boot.architecture.name}"
            if boot.own:
                yield _class(kind, f"member('{boot.architecture.name}'){mine}", boot.file)
            else:
                yield _class(kind, f"{_firmware(boot)}{mine}", boot.file)
                ipxe = f"member('{boot.architecture.name}') and member('{_IPXE}'){mine}"
                yield _class(f"{kind}{_IPXE}", ipxe, subnet.script)


def _firmware(boot: Boot) -> str:
    return f"member('{boot.architecture.name}') and not member('{_IPXE}')"


def _class(name: str, test: str, file: str) -> Json:
    return {"name": name, "only-if-required": True, "test": test, "boot-file-name": file}


def _subnet(subnet: Subnet) -> Json:
    network = subnet.network
    pools = [{"pool": f"{network.range[0]} - {network.range[1]}"}] if network.range else []
    options = [{"name": "routers", "data": str(network.gateway)}] if network.gateway else []
    if subnet.dns:
        options.append({"name": "domain-name-servers", "data": ", ".join(map(str, subnet.dns))})
    return {
        # The same for as long as the subnet is: leases are kept under it.
        "id": int(subnet.first),
        "subnet": str(network.subnet),
        "pools": pools,
        "next-server": subnet.address,
        "option-data": options,
        "require-client-classes": [one["name"] for one in _boots(subnet) if "test" in one],
        "reservations": [one for lease in subnet.leases for one in _reservations(lease, network.name)],
    }


def _reservations(lease: Lease, network: str) -> Iterator[Json]:
    for card in lease.cards:
        yield {
            "hw-address": card.mac.text,
            **({"user-context": {"machine": lease.key}} if lease.others else {}),
            **({"ip-address": str(lease.address)} if lease.address else {}),
            **({"hostname": lease.label} if lease.label else {}),
            **({"client-classes": [f"{network}_own", lease.key]} if lease.own else {}),
        }
