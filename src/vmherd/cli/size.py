"""Sizes as people write them on a command line."""

from __future__ import annotations

import re

import click

_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([kmgt]?)(i?b)?", re.IGNORECASE)
_POWERS = {"": 0, "k": 1, "m": 2, "g": 3, "t": 4}


class SizeType(click.ParamType[int]):
    """``512M``, ``2G``, ``1.5GiB``: bytes, in powers of 1024 as qemu-img and vm-bhyve count them."""

    name = "size"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> int:
        if isinstance(value, int):
            return value
        found = _SIZE.fullmatch(str(value).strip())
        if found is None:
            self.fail(f"{value!r} is no size; write it like 512M or 20G", param, ctx)
        size = int(float(found[1]) * 1024 ** _POWERS[found[2].lower()])
        if not 0 < size < 1 << 63:
            self.fail(f"{value!r} is out of range", param, ctx)
        return size


SIZE = SizeType()
