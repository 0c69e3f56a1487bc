"""The command validate: everything that is wrong with documents, with lines and advice."""

from __future__ import annotations

import asyncio
from typing import BinaryIO

import click
import msgspec

from vmherd.api.aio import connect
from vmherd.cli.command import json_option
from vmherd.cli.failure import FAILED
from vmherd.cli.settings import Settings, uri_option
from vmherd.cli.table import show_json
from vmherd.conf.documents import KNOWN
from vmherd.conf.inspection import Finding, Inspection
from vmherd.errors import DocumentError

#: Bytes that are read at most; a document may have half of that.
_LARGEST = 16 << 20


@click.command("validate", epilog=f"Documents are known by their root: {', '.join(f'<{name}>' for name in KNOWN)}.")
@click.argument("files", metavar="FILE...", nargs=-1, required=True, type=click.File("rb"))
@json_option
@uri_option
@click.pass_context
def validate_command(ctx: click.Context, files: tuple[BinaryIO, ...], as_json: bool) -> int:
    """Tell everything that is wrong with XML documents.

    Each problem comes with its line and what to do about it.  An element or attribute that nobody would read is a
    warning.  With -c, domain documents are also completed for that host and held against what its hypervisor can
    do; nothing is kept there.  The file "-" is standard input.

    \b
    vmherd validate web.xml
    vmherd validate -c qemu:///session *.xml
    """
    uri = ctx.ensure_object(Settings).uri
    inspected = [(file.name, _inspect(file, uri)) for file in files]
    if as_json:
        show_json([_summary(name, inspection) for name, inspection in inspected])
    else:
        for name, inspection in inspected:
            _show(name, inspection)
    return 0 if all(inspection.is_valid for _, inspection in inspected) else FAILED


def _inspect(file: BinaryIO, uri: str) -> Inspection:
    text = file.read(_LARGEST)
    inspection = Inspection(text)
    if uri and inspection.kind == "domain":
        try:
            asyncio.run(_ask(uri, text.decode()))
        except UnicodeDecodeError:
            inspection.refuse(DocumentError("a host takes documents in UTF-8 only", hint="save it as UTF-8"))
        except DocumentError as problem:
            inspection.refuse(problem)
    return inspection


async def _ask(uri: str, text: str) -> None:
    """Let a driver complete and check a document."""
    async with await connect(uri, readonly=True) as host:
        await host.validate(text)


def _summary(name: str, inspection: Inspection) -> dict[str, object]:
    findings: object = msgspec.to_builtins(inspection.findings)
    return {"file": name, "kind": inspection.kind, "valid": inspection.is_valid, "findings": findings}


def _show(name: str, inspection: Inspection) -> None:
    if not inspection.findings:
        click.echo(f"{name}: a good {inspection.kind} document")
    for each in inspection.findings:
        _show_finding(name, each)


def _show_finding(name: str, finding: Finding) -> None:
    where = f"{name}:{finding.line}" if finding.line else name
    place = f"{finding.place}: " if finding.place else ""
    click.echo(f"{where}: {finding.severity}: {place}{finding.text}")
    if finding.hint:
        click.echo(f"    hint: {finding.hint}")
