"""Machines that are network namespaces of this one, with cables that can be cut; needs root.

Each host has an address of its own behind a bridge. A cut between two hosts swallows what they send each other without
a word, as a broken switch does: connections stay open and nothing arrives.
"""

from __future__ import annotations

import os
import secrets
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Self

NOWHERE = "02:00:00:00:00:99"  # a hardware address that nobody has


def reason_why_not() -> str | None:
    """Say why there can be no namespaces here; None where there can be."""
    if os.geteuid() != 0:
        return "network namespaces need root"
    if shutil.which("ip") is None:
        return "network namespaces need the program `ip` (package iproute2)"
    tried = f"try{secrets.token_hex(3)}"
    made = subprocess.run(["ip", "netns", "add", tried], capture_output=True, text=True, check=False)
    if made.returncode:
        return f"network namespaces cannot be made here: {made.stderr.strip()}"
    _ip("netns", "del", tried)
    return None


@dataclass
class Network:
    """Hosts on one bridge; use it in a `with` block."""

    tag: str = field(default_factory=lambda: secrets.token_hex(3))
    hosts: dict[str, str] = field(default_factory=dict)  # name: address

    def __enter__(self) -> Self:
        self.bridge = f"lab{self.tag}"
        number = int(self.tag, 16)
        self.net = f"10.{200 + number % 50}.{number // 50 % 250}"
        _ip("link", "add", self.bridge, "type", "bridge")
        _ip("addr", "add", f"{self.net}.1/24", "dev", self.bridge)
        _ip("link", "set", self.bridge, "up")
        return self

    def __exit__(self, *_: object) -> None:
        for name in self.hosts:
            _ip("netns", "del", self._space(name))
        _ip("link", "del", self.bridge)

    def host(self, name: str) -> str:
        """Add a host and give its address."""
        space, cable = self._space(name), f"{self.tag}c{len(self.hosts)}"
        address = f"{self.net}.{len(self.hosts) + 2}"
        _ip("netns", "add", space)
        self.hosts[name] = address
        _ip("link", "add", cable, "type", "veth", "peer", "name", "eth0", "netns", space)
        _ip("link", "set", cable, "master", self.bridge, "up")
        _ip("-n", space, "addr", "add", f"{address}/24", "dev", "eth0")
        for device in ("eth0", "lo"):
            _ip("-n", space, "link", "set", device, "up")
        return address

    def inside(self, name: str) -> Sequence[str]:
        """Give what a command is put behind so that it runs on a host."""
        return ("ip", "netns", "exec", self._space(name))

    def cut(self, one: str, other: str) -> None:
        """Let nothing pass between two hosts."""
        for here, there in ((one, other), (other, one)):
            entry = (self.hosts[there], "lladdr", NOWHERE, "dev", "eth0", "nud", "permanent")
            _ip("-n", self._space(here), "neigh", "replace", *entry)

    def mend(self, one: str, other: str) -> None:
        """Undo `cut`."""
        for here, there in ((one, other), (other, one)):
            _ip("-n", self._space(here), "neigh", "del", self.hosts[there], "dev", "eth0")

    def unplug(self, name: str) -> None:
        """Pull the cable of a host."""
        _ip("link", "set", self._cable(name), "down")

    def plug(self, name: str) -> None:
        """Put the cable back."""
        _ip("link", "set", self._cable(name), "up")

    def pids(self, name: str) -> list[int]:
        """Give everything that runs on a host."""
        return [int(word) for word in _ip("netns", "pids", self._space(name)).split()]

    def _space(self, name: str) -> str:
        return f"lab{self.tag}-{name}"

    def _cable(self, name: str) -> str:
        return f"{self.tag}c{list(self.hosts).index(name)}"


def _ip(*words: str) -> str:
    return subprocess.run(["ip", *words], capture_output=True, text=True, check=True).stdout
