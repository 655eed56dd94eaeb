"""Definitions for xm, which executes them as Python: read as Python 2 and 3 read them alike, and compared with the
plan.

Only assignments of numbers, strings and lists of strings are allowed: nothing in them means anything else to Python 2.
"""

from __future__ import annotations

import ast

import pytest

from bootforge.model import DomainPlan
from tests.guests.matrix import boot_files, definitions, extra

ALL = list(definitions("xm"))
Value = str | int | list[str]


def read_xm(text: str) -> dict[str, Value]:
    """What xm would know after it executed the file. Raises ValueError for anything but assignments, each once."""
    text.encode("ascii")  # Python 2 refuses anything else without a declaration (PEP 263)
    found: dict[str, Value] = {}
    for node in ast.parse(text).body:
        if not isinstance(node, ast.Assign) or len(node.targets) != 1 or not isinstance(node.targets[0], ast.Name):
            raise ValueError(f"line {node.lineno} is no assignment")
        name = node.targets[0].id
        if name in found:
            raise ValueError(f"{name} is said twice")
        found[name] = _value(node.value)
    return found


def _value(node: ast.expr) -> Value:
    match node:
        case ast.Constant(value=bool()):
            raise ValueError("True and False are not in every Python 2")
        case ast.Constant(value=int() | str() as value):
            return value
        case ast.List(elts=elements):
            return [word for one in elements if isinstance(word := _value(one), str)]
    raise ValueError(f"line {node.lineno} is no plain value")


def test_what_is_not_plain_is_refused() -> None:
    for bad in (
        "import os\n",
        "a = b\n",
        "a = 1\na = 2\n",
        "a = True\n",
        "a = 'x' + 'y'\n",
        'a = f"{1}"\n',
        "a = [1.5]\n",
    ):
        with pytest.raises(ValueError):
            read_xm(bad)


@pytest.mark.parametrize(("domain", "install", "text"), [one[1:] for one in ALL], ids=[one[0] for one in ALL])
def test_it_says_what_the_plan_says(domain: DomainPlan, install: bool, text: str) -> None:
    settings = read_xm(text)
    hvm = domain.type == "hvm"
    again = "destroy" if install else "restart"
    expected: dict[str, Value] = {
        "name": domain.name,
        "uuid": domain.uuid or "",
        "memory": domain.memory,
        "vcpus": domain.vcpus,
        "on_poweroff": "destroy",
        "on_reboot": again,
        "on_crash": again,
    }
    ioemu = "type=ioemu," if hvm else ""
    expected["vif"] = [f"{ioemu}mac={nic.mac},bridge={nic.bridge}" for nic in domain.nics]
    if hvm:
        hd = {"xvda": "hda", "xvdb": "hdb"}
        expected["disk"] = [f"phy:{disk.backing},{hd[disk.vdev]},w" for disk in domain.disks]
        expected["boot"] = "n" if install else "nc" if domain.network_first else "c"
        expected |= {"builder": "hvm", "kernel": "/usr/lib/xen/boot/hvmloader", "serial": "pty"}
        expected |= {"device_model": "/usr/lib64/xen/bin/qemu-dm", "acpi": 1, "apic": 1, "pae": 1, "vnc": 1, "sdl": 0}
    else:
        expected["disk"] = [f"phy:{disk.backing},{disk.vdev},w" for disk in domain.disks]
        if install:
            expected["kernel"], expected["ramdisk"] = boot_files(domain)
            expected["extra"] = extra(domain)
        else:
            expected["bootloader"] = "/usr/bin/pygrub"
    if not domain.uuid:
        del expected["uuid"]
    assert settings == expected


def test_there_are_some() -> None:
    assert {domain.type for _, domain, _, _ in ALL} == {"pv", "hvm"} and len(ALL) > 20
