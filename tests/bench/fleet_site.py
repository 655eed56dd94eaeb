"""A believable site of N hosts, as an operator's own export would write it: plain hosts, the rest said once."""

from __future__ import annotations

import random
from ipaddress import IPv4Network
from pathlib import Path

SITES = ("den", "ams", "sin", "gru")
ROLES = {  # role: share of the fleet in 20ths, packages, a filesystem of its own
    "web": (7, "httpd, mod_ssl", ""),
    "app": (6, "java-17-openjdk-headless", ""),
    "db": (3, "mariadb-server", "mysql: {mount: /var/lib/mysql, size: 40GiB}"),
    "cache": (2, "memcached", ""),
    "batch": (1, "at, parallel", "scratch: {mount: /scratch, size: 20GiB}"),
    "mon": (1, "rrdtool", ""),
}
ENVIRONMENTS = ("prod", "prod", "prod", "qa", "dev")


def write_fleet(root: Path, count: int) -> Path:
    """A site below ``root`` with ``count`` hosts, the same ones every time; a file of hosts for each site and role."""
    chance = random.Random(count)
    files = {"site.yaml": _settings(), "rules.yaml": _RULES, "keys/ops.pub": _KEY}
    for role, (_, packages, filesystem) in ROLES.items():
        text = (
            f'nics: {{lan: {{network: "{{site}}-lan"}}, mgmt: {{network: "{{site}}-bmc"}}}}\npackages: [{packages}]\n'
        )
        files[f"roles/{role}.yaml"] = text + (f"filesystems:\n  {filesystem}\n" if filesystem else "")
    shares = [role for role, (share, *_) in ROLES.items() for _ in range(share)]
    numbers: dict[tuple[str, str, str], int] = {}
    for index in range(count):
        site, role, env = SITES[index % len(SITES)], chance.choice(shares), chance.choice(ENVIRONMENTS)
        number = numbers[site, role, env] = numbers.get((site, role, env), 0) + 1
        text = _host(f"{role}{number:03}.{env}.{site}.example.com", index, role)
        name = f"hosts/{site}-{role}.yaml"
        files[name] = files.get(name, "") + text
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return root


def _host(name: str, index: int, role: str) -> str:
    place, inside = index % len(SITES), index // len(SITES)
    lan = IPv4Network(f"10.{place}.0.0/16")[256 + inside]
    bmc = IPv4Network(f"10.{100 + place}.0.0/16")[256 + inside]
    mac = ":".join(f"{octet:02x}" for octet in (2 * index).to_bytes(3, "big"))
    bmc_mac = ":".join(f"{octet:02x}" for octet in (2 * index + 1).to_bytes(3, "big"))
    vm = "  vm: {disks: {xvda: {backing: /dev/vg_guests/" + name + "}}}\n" if role in ("app", "mon") else ""
    disk = "  disks: {system: {path: /dev/nvme0n1}}\n" if role == "db" else ""
    return (
        f"{name}:\n"
        f"  serial: SN{index:07}\n"
        f"  nics:\n"
        f"    lan: {{mac: 00:16:3e:{mac}, address: {lan}}}\n"
        f"    mgmt: {{mac: 00:14:4f:{bmc_mac}, address: {bmc}}}\n"
        f"{disk}{vm}"
    )


def _settings() -> str:
    networks = "".join(
        f"  {site}-lan:\n"
        f"    {{site: {site}, subnet: 10.{place}.0.0/16, gateway: 10.{place}.0.1, dns: [10.{place}.0.2],"
        f" server: http://10.{place}.0.5, bridge: xenbr0}}\n"
        f"  {site}-bmc: {{site: {site}, subnet: 10.{100 + place}.0.0/16, bridge: xenbr1}}\n"
        for place, site in enumerate(SITES)
    )
    return f"""schema: 1
environments: {{prod: {{}}, qa: {{}}, dev: {{}}}}
names: ["{{role}}{{n:int}}.{{env}}.{{site}}.example.com"]
networks:
{networks}secrets: {{root_hash: {{env: BOOTFORGE_ROOT_HASH}}}}
defaults:
  profile: rocky9
  layout: lvm
  ntp: [10.0.0.5, 10.0.0.6]
  root_password: {{secret: root_hash}}
  authorized_keys: {{root: [keys/ops.pub]}}
"""


_RULES = """assign:
  - {name: guests, when: role_app | role_mon, virt: xen}
  - {name: old-batch, when: role_batch, profile: alma8}
  - {name: new-web, when: role_web & !env_prod, profile: rocky10}
rules:
  - {name: tools, when: env_qa | env_dev, packages: [strace, gdb]}
  - {name: xen-disk, when: virt_xen, disks: {system: {path: /dev/xvda}}}
  - {name: time-sin, when: site_sin, timezone: Asia/Singapore}
  - {name: time-ams, when: site_ams, timezone: Europe/Amsterdam}
  - {name: metal, when: virt_metal, packages: [smartmontools, ipmitool]}
"""

_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIDK8mGnano6PWNSuVWs7npokg9yYdMvtFHJ0+3tH4unx ops@example.com\n"
