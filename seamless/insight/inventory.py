"""What lies in a buffer directory: the size and last use of every buffer. Looks at names and states, reads no bytes."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import NamedTuple

from seamless.insight.place import Place
from seamless.stores.layout import LENGTH, Layout, buffer_of, is_temporary

Notify = Callable[[int], object]


class Item(NamedTuple):
    """The files of a buffer: bytes on disk, and seconds since the epoch when it was last written or read."""

    size: int
    used: float
    stored: float


class Inventory(NamedTuple):
    """All buffers of a place by checksum (bytes), and the bytes of other files that belong to the store."""

    items: dict[bytes, Item]
    other: int  # bytes of temporary, damaged and length files

    @property
    def size(self) -> int:
        """Bytes of all files of buffers."""
        return sum(item.size for item in self.items.values())


def take_inventory(place: Place, notify: Notify = lambda n: None) -> Inventory:
    """Return what is in the buffer directory now. Sizes are those on disk as `ls` shows them."""
    items: dict[bytes, Item] = {}
    other = 0
    layout = Layout(place.buffers, create=False)
    for directory in layout.directories():
        count = 0
        with os.scandir(directory) as entries:
            for entry in entries:
                name = buffer_of(entry.name)
                if name is None and not _ours(entry.name):
                    continue
                try:
                    status = entry.stat(follow_symlinks=False)
                except FileNotFoundError:
                    continue
                if name is None:
                    other += status.st_size
                    continue
                key = bytes.fromhex(name)
                item = Item(status.st_size, max(status.st_mtime, status.st_atime), status.st_mtime)
                before = items.get(key)
                items[key] = item if before is None else _both(before, item)
                count += 1
        notify(count)
    return Inventory(items, other)


def is_unused(layout: Layout, checksum: str, item: Item) -> bool:
    """Tell whether a buffer is as it was when the inventory was taken: neither read nor written since."""
    from seamless.stores.layout import FORMS

    states = []
    for form in FORMS:
        try:
            states.append(os.stat(layout.base(checksum) + form, follow_symlinks=False))
        except FileNotFoundError:
            continue
    return bool(states) and max(max(s.st_mtime, s.st_atime) for s in states) <= item.used


def _both(one: Item, two: Item) -> Item:
    return Item(one.size + two.size, max(one.used, two.used), min(one.stored, two.stored))


def _ours(name: str) -> bool:
    return is_temporary(name) or ".CORRUPT" in name or name.endswith(LENGTH)
