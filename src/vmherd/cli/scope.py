"""What a change reaches: the options --live, --config and --current, as virsh has them."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import click

from vmherd.driver.types import Scope


def scope_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """The running guest, the definition, or both, as ``scope``; by default whatever there is."""

    @click.option("--live", is_flag=True, help="The running guest.")
    @click.option("--config", is_flag=True, help="How it starts next time.")
    @click.option("--current", is_flag=True, help="The running guest, or the definition of one that is shut off.")
    @functools.wraps(function)
    def run(*args: Any, live: bool, config: bool, current: bool, **kwargs: Any) -> Any:
        if current and (live or config):
            raise click.UsageError("--current is neither --live nor --config")
        return function(*args, scope=Scope(live=live, config=config), **kwargs)

    return run
