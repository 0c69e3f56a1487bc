"""Generate the blocking API, src/vmherd/api/sync/, from the asynchronous one in src/vmherd/api/aio/.

python tools/gensync.py            write it
python tools/gensync.py --check    fail if it is not what would be written
"""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

API = Path(__file__).resolve().parent.parent / "src" / "vmherd" / "api"

_NOTE = "Generated from aio/{name} by tools/gensync.py; do not edit."

Method = ast.FunctionDef | ast.AsyncFunctionDef


def generate() -> dict[str, str]:
    """Every module of the blocking API by file name, formatted."""
    modules = {path.name: ast.parse(path.read_text()) for path in sorted((API / "aio").glob("*.py"))}
    twins = {node.name for tree in modules.values() for node in tree.body if isinstance(node, ast.ClassDef)}
    return {name: _module(name, tree, twins | {"Console"}) for name, tree in modules.items()}


def _module(name: str, tree: ast.Module, twins: set[str]) -> str:
    """``twins`` are the classes that have a blocking counterpart; all other results stay as they are."""
    head = (ast.get_docstring(tree) or "").splitlines()[0].replace("asynchronous", "blocking")
    blocks = [f'"""{head}\n\n{_NOTE.format(name=name)}\n"""\n\nfrom __future__ import annotations\n']
    blocks[0] += "\n".join(_imports(tree, own=name != "__init__.py"))
    for node in tree.body:
        if isinstance(node, ast.AsyncFunctionDef):
            blocks.append(_function(node, "aio", "bridge.loop()", twins))
        elif isinstance(node, ast.ClassDef):
            blocks.append(_class(node, twins))
        elif isinstance(node, ast.Assign) and name == "__init__.py":
            blocks.append(ast.unparse(node))
    return _formatted("\n\n\n".join(blocks) + "\n", name)


def _imports(tree: ast.Module, *, own: bool) -> Iterator[str]:
    """Those of the module that the signatures need, told apart by ruff afterwards, and our own."""
    if own:
        yield "from collections.abc import Generator"
        yield "from typing import Self"
        yield "from vmherd.api import aio, bridge"
        yield "from vmherd.api.bridge import Console"
    for node in tree.body:
        if isinstance(node, ast.ImportFrom) and node.module != "__future__":
            names = [alias.name for alias in node.names if alias.name not in ("Console", "AsyncGenerator", "Self")]
            module = str(node.module).replace("vmherd.api.aio", "vmherd.api.sync")
            if names:
                yield f"from {module} import {', '.join(names)}"


def _class(node: ast.ClassDef, twins: set[str]) -> str:
    lines = [f"class {node.name}:", _docstring(node, 4), ""]
    for method in node.body:
        if isinstance(method, Method):
            lines += [_method(node.name, method, twins), ""]
    return "\n".join(lines).rstrip()


def _method(owner: str, method: Method, twins: set[str]) -> str:
    match method.name:
        case "__init__":
            fields = "".join(f"\n        self.{name} = wrapped.{name}" for name in _public_fields(method))
            own = "\n        self._wrapped = wrapped\n        self._loop = bridge.loop()"
            return f"    def __init__(self, wrapped: aio.{owner}) -> None:{own}{fields}"
        case "__aenter__":
            return "    def __enter__(self) -> Self:\n        return self"
        case "__aexit__":
            body = "if not self._loop.inherited:\n            self.close()"
            return f"    def __exit__(self, *_: object) -> None:\n        {body}"
        case name if name.startswith("_"):
            return ""
        case _ if isinstance(method, ast.AsyncFunctionDef):
            return _indented(_function(method, "self._wrapped", "self._loop", twins))
        case _:
            return _indented(_property(method, twins))


def _property(method: Method, twins: set[str]) -> str:
    returns = ast.unparse(method.returns) if method.returns else "None"
    value = f"self._wrapped.{method.name}"
    body = f"return {returns}({value})" if returns in twins else f"return {value}"
    text = f"{_docstring(method, 4)}\n" if ast.get_docstring(method) else ""
    return f"@property\ndef {method.name}(self) -> {returns}:\n{text}    {body}"


def _public_fields(init: Method) -> Iterator[str]:
    for node in ast.walk(init):
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store) and not node.attr.startswith("_"):
            yield node.attr


def _function(node: ast.AsyncFunctionDef, target: str, loop: str, twins: set[str]) -> str:
    """A blocking function with the signature and the docstring of a coroutine of ``target``."""
    arguments, returns = ast.unparse(node.args), ast.unparse(node.returns) if node.returns else "None"
    call = f"{target}.{node.name}({_passed_on(node.args, twins)})"
    if returns.startswith("AsyncGenerator["):
        item = returns.removeprefix("AsyncGenerator[").partition(",")[0]
        returns, body = f"Generator[{item}, None, None]", f"return {loop}.iterate({call})"
    elif returns in twins:
        body = f"return {returns}({loop}.run({call}))"
    else:
        body = f"{'' if returns == 'None' else 'return '}{loop}.run({call})"
    return f"def {node.name}({arguments}) -> {returns}:\n{_docstring(node, 4)}\n    {body}"


def _passed_on(arguments: ast.arguments, twins: set[str]) -> str:
    positional = [_unwrapped(each, twins) for each in arguments.args if each.arg != "self"]
    rest = [f"*{arguments.vararg.arg}"] if arguments.vararg else []
    named = (f"{each.arg}={_unwrapped(each, twins)}" for each in arguments.kwonlyargs)
    return ", ".join([*positional, *rest, *named])


def _unwrapped(argument: ast.arg, twins: set[str]) -> str:
    """An argument as the asynchronous API takes it."""
    name, kind = argument.arg, ast.unparse(argument.annotation) if argument.annotation else ""
    if kind.removesuffix(" | None") not in twins:
        return name
    return f"{name}._wrapped if {name} else None" if kind.endswith(" | None") else f"{name}._wrapped"


def _docstring(node: ast.ClassDef | Method, indent: int) -> str:
    text = ast.get_docstring(node)
    if text is None:
        raise SystemExit(f"{node.name} has no docstring")
    lines = text.splitlines()
    end = '\n"""' if len(lines) > 1 else '"""'
    return _indented(f'"""{text}{end}', indent)


def _indented(text: str, by: int = 4) -> str:
    return "\n".join(" " * by + line if line else "" for line in text.splitlines())


def _formatted(text: str, name: str) -> str:
    for command in (["check", "--fix", "--select", "F401,I", "--quiet"], ["format", "--quiet"]):
        argv = [sys.executable, "-m", "ruff", *command, "--stdin-filename", str(API / "sync" / name), "-"]
        text = subprocess.run(argv, input=text, text=True, capture_output=True, check=True).stdout
    return text


def main() -> int:
    folder, wanted = API / "sync", generate()
    if "--check" in sys.argv[1:]:
        present = {path.name: path.read_text() for path in folder.glob("*.py")}
        if present != wanted:
            print(f"{folder} is out of date: run 'python tools/gensync.py'", file=sys.stderr)
            return 1
        return 0
    for path in folder.glob("*.py"):
        path.unlink()
    folder.mkdir(exist_ok=True)
    for name, text in wanted.items():
        (folder / name).write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
