"""The schema of networks and of what hosts have on them: nics and routes."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from bootforge.site.kinds import Model
from bootforge.site.scalars import AsSet, Bool, Count, FactsName, Name, Word, one_of
from bootforge.site.scalars_network import (
    Address,
    Address6,
    Addressing,
    AnyAddress,
    Interface,
    MacText,
    Mtu,
    NicAddress,
    NicAddress6,
    OptionName,
    OptionValue,
    Prefix,
    Range,
    Server,
    Subnet,
    Subnet6,
    VlanId,
)


class RouteSpec(Model):
    """A route, keyed by its destination, as in 10.50.0.0/16. Written into the nic's profile."""

    via: AnyAddress = Field(description="The router, in the nic's own subnet.")
    metric: Count | None = Field(None, description="The route's metric; lower is preferred.")


class NicSpec(Model):
    """A network interface of a host."""

    kind: one_of("physical", "bond", "vlan", "bridge", "bmc") = Field(  # type: ignore[valid-type]
        "physical", description="What it is; bond and bridge have 'ports', a vlan a 'parent', a bmc is only reserved."
    )
    mac: MacText | None = Field(None, description="The MAC address on the nic's label.")
    device: Interface | None = Field(
        None,
        description="The name that the kernel gives it, as in eno1. Default: a bond's or bridge's own name, PARENT.ID"
        " for a vlan; a port or parent without one is given its nic's name. EL5's installer knows nics by it alone.",
    )
    network: FactsName | None = Field(
        None, description="The network that it is on; a port needs none, it is on that of its bond or bridge."
    )
    address: NicAddress | None = Field(
        None, description="A fixed IPv4 address, dhcp or none. Default: dhcp on a network with an IPv4 subnet."
    )
    address6: NicAddress6 = Field(Addressing("none"), description="A fixed IPv6 address, auto (SLAAC), dhcp or none.")
    ports: Annotated[tuple[Name, ...], *AsSet] = Field((), description="The nics that a bond or bridge is made of.")
    parent: Name | None = Field(None, description="The nic whose frames a vlan tags.")
    vlan: VlanId | None = Field(None, description="The tag of a vlan. Default: the network's.")
    options: dict[OptionName, OptionValue] = Field(
        {}, description="Options of a bond (mode, miimon, ...) or bridge (stp, ...), as the kernel names them."
    )
    mtu: Mtu | None = Field(None, description="MTU in bytes. Default: the network's.")
    ethtool: dict[OptionName, OptionValue] = Field({}, description="Settings of ethtool(8) -s, as in 'wol: g'.")
    routes: dict[Prefix, RouteSpec] = Field({}, description="Routes besides the default one, by destination.")
    boot: Bool | None = Field(
        None, description="Whether the host boots from it. Default: the only nic whose network has a server."
    )
    install: Bool | None = Field(
        None, description="Whether the installer uses it. Default: the nic that boots, or what is made of it."
    )
    default_route: Bool | None = Field(None, description="Whether the default route is here. Default: as 'install'.")
    iscsi: Bool = Field(False, description="Whether iSCSI runs over it.")


class NetworkSpec(Model):
    """A network: one broadcast domain with one subnet of IPv4, of IPv6 or of each."""

    site: Name | None = Field(None, description="The site it is at; such names are the alphabet of {site}.")
    subnet: Subnet | None = Field(None, description="The IPv4 subnet.")
    gateway: Address | None = Field(None, description="The default router.")
    subnet6: Subnet6 | None = Field(None, description="The IPv6 subnet.")
    gateway6: Address6 | None = Field(None, description="The default router for IPv6.")
    dns: tuple[AnyAddress, ...] = Field((), description="Name servers.")
    ntp: tuple[Word, ...] = Field((), description="Time servers, for hosts installed over it that name none.")
    range: Range | None = Field(None, description="Addresses that DHCP may give to unknown machines.")
    server: Server | None = Field(None, description="This server's URL as seen from the network.")
    vlan: VlanId | None = Field(None, description="The tag of its frames where they are tagged.")
    mtu: Mtu | None = Field(None, description="MTU of every nic on it, in bytes.")
    bridge: Interface | None = Field(None, description="The dom0 bridge that guests on it are plugged into.")
