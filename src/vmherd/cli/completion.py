"""The command that prints a shell's completion script."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class


@click.command("completion")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion_command(ctx: click.Context, shell: str) -> None:
    """Print the completion script of a shell.

    \b
    bash:  vmherd completion bash > ~/.local/share/bash-completion/completions/vmherd
    zsh:   vmherd completion zsh > "${fpath[1]}/_vmherd"
    fish:  vmherd completion fish > ~/.config/fish/completions/vmherd.fish
    """
    found = get_completion_class(shell)
    assert found is not None  # click knows each of the choices
    click.echo(found(ctx.find_root().command, {}, "vmherd", "_VMHERD_COMPLETE").source())
