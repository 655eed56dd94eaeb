"""Our own rules over kickstarts: each finds what is planted, and nothing in what we render."""

from __future__ import annotations

import pytest

from bootforge.lint.kickstart import complaints
from bootforge.releases import RELEASES

GOOD = """\
# a comment with a { brace
text
reboot
url --url=http://m/x
lang en_US.UTF-8
keyboard us
timezone Etc/UTC --utc
network --device=eth0 --bootproto=static --ip=10.0.0.5 --netmask=255.255.255.0 --gateway=10.0.0.1
network --device=bond0 --bondslaves=eth1,eth2 --bondopts=mode=active-backup,miimon=100 --bootproto=dhcp --nodefroute
rootpw --iscrypted $6$abc$def
bootloader --boot-drive=sda
clearpart --all
part /boot --size=500
logvol / --vgname=a --name=b --size=100
logvol swap --vgname=a --name=c --size=100 --fstype=swap
%packages
@core
%end
%post
echo 100%
%end
"""


def test_a_good_kickstart_has_no_complaint() -> None:
    assert list(complaints(GOOD, RELEASES["el9"])) == []
    without_end = "".join(line for line in GOOD.splitlines(keepends=True) if line != "%end\n")
    assert list(complaints(without_end, RELEASES["el5"])) == []


@pytest.mark.parametrize(
    "old,new,words",
    [
        ("text\n", "text\r\n", "line 1: carriage returns"),
        ("rootpw --iscrypted $6$abc$def\n", "rootpw --iscrypted secret\n", "line 10: --iscrypted"),
        ("lang en", "rootpw --lock\nlang en", "rootpw again; line 5"),
        ("lang en", "selinux --enforcing\nselinux --disabled\nlang en", "line 6: selinux again"),
        ("lang en", "nfs --server=a --dir=/b\nlang en", "line 5: nfs again; line 4 has an install source already"),
        ("lang en", "multipath --name=a\nlang en", "line 5: multipath"),
        ("lang en", "volgroup {{ vg }} pv.01\nlang en", "line 5: what is left of a template"),
        ("bootloader --boot-drive=sda\n", "", "no bootloader"),
        ("clearpart --all\n", "", "neither clearpart"),
        ("reboot\n", "", "neither reboot"),
        ("url --url=http://m/x\n", "", "no install source"),
        ("timezone Etc/UTC --utc\n", "", "no timezone"),
        ("rootpw --iscrypted $6$abc$def\n", "", "no rootpw"),
        ("logvol / ", "logvol /x ", "nothing is mounted at /"),
        ("logvol swap ", "logvol / ", "line 15: / again; line 14"),
        ("--gateway=10.0.0.1", "--gateway=10.0.1.1", "line 8: gateway 10.0.1.1 is not in 10.0.0.0/24"),
        ("--ip=10.0.0.5", "--ip=10.0.0.300", "line 8: "),
        ("--netmask=255.255.255.0", "--netmask=255.255.255.1", "line 8: "),
        ("dhcp --nodefroute", "static --ip=10.1.0.5 --netmask=255.255.255.0 --gateway=10.1.0.1", "a second default"),
        ("eth1,eth2", "eth1,eth1", "line 9: a nic stands twice"),
        ("mode=active-backup", "mode=activebackup", "line 9: 'activebackup' is no mode"),
        ("echo 100%\n", "%include /x\n", "line 20: %include"),
        ("@core\n%end\n", "@core\n", "line 18: %post inside %packages"),
        ("echo 100%\n%end\n", "echo 100%\n", "line 19: %post has no %end"),
        ("%post\n", "%addon com_example_x\n", "line 19: addon 'com_example_x'"),
        ("%post\n", "%postt\n", "line 19: %postt is no section"),
        ("@core\n", "@core\na-b\n-a-b  # not this\n", "line 19: a-b is left out, and line 18 wants it"),
    ],
)
def test_what_is_planted_is_found(old: str, new: str, words: str) -> None:
    assert old in GOOD
    assert words in "\n".join(complaints(GOOD.replace(old, new, 1), RELEASES["el9"]))


@pytest.mark.parametrize("release,section", [("el5", "%end"), ("el5", "%onerror"), ("el6", "%addon com_redhat_kdump")])
def test_old_parsers_know_fewer_sections(release: str, section: str) -> None:
    text = GOOD if release != "el5" else GOOD.replace("%end\n", "")
    found = "\n".join(complaints(f"{text}{section}\n", RELEASES[release]))
    assert section.split()[0] in found
    assert section == "%end" or not any(
        section in line for line in complaints(f"{GOOD}{section}\n%end\n", RELEASES["el7"])
    )
