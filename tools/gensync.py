"""Generate the blocking API, src/vmherd/api/sync.py, from the asynchronous one.

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

_HEAD = '''"""The blocking API: hosts and domains, over any driver.

Generated from aio.py by tools/gensync.py; do not edit.
"""

from __future__ import annotations

'''

#: What a coroutine's result becomes; every other one stays as it is.
_TWINS = ("Host", "Domain", "Console")

Method = ast.FunctionDef | ast.AsyncFunctionDef


def generate() -> str:
    """The text of sync.py, formatted."""
    tree = ast.parse((API / "aio.py").read_text())
    blocks = [_HEAD + "\n".join(_imports(tree))]
    for node in tree.body:
        if isinstance(node, ast.AsyncFunctionDef):
            blocks.append(_function(node, "aio", "bridge.loop()"))
        elif isinstance(node, ast.ClassDef):
            blocks.append(_class(node))
    return _formatted("\n\n\n".join(blocks) + "\n")


def _imports(tree: ast.Module) -> Iterator[str]:
    """Those of aio.py that the signatures need, told apart by ruff afterwards, and our own."""
    yield "from collections.abc import Generator"
    yield "from typing import Self"
    yield "from vmherd.api import aio, bridge"
    yield "from vmherd.api.bridge import Console"
    for node in tree.body:
        if isinstance(node, ast.ImportFrom) and node.module != "__future__":
            names = [alias.name for alias in node.names if alias.name not in ("Console", "AsyncGenerator", "Self")]
            if names:
                yield f"from {node.module} import {', '.join(names)}"


def _class(node: ast.ClassDef) -> str:
    lines = [f"class {node.name}:", _docstring(node, 4), ""]
    for method in node.body:
        if isinstance(method, Method):
            lines += [_method(node.name, method), ""]
    return "\n".join(lines).rstrip()


def _method(owner: str, method: Method) -> str:
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
        case name if isinstance(method, ast.AsyncFunctionDef):
            return _indented(_function(method, "self._wrapped", "self._loop"))
        case name:
            returns = ast.unparse(method.returns) if method.returns else "None"
            return f"    @property\n    def {name}(self) -> {returns}:\n        return self._wrapped.{name}"


def _public_fields(init: Method) -> Iterator[str]:
    for node in ast.walk(init):
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store) and not node.attr.startswith("_"):
            yield node.attr


def _function(node: ast.AsyncFunctionDef, target: str, loop: str) -> str:
    """A blocking function with the signature and the docstring of a coroutine of ``target``."""
    arguments, returns = ast.unparse(node.args), ast.unparse(node.returns) if node.returns else "None"
    call = f"{target}.{node.name}({_passed_on(node.args)})"
    if returns.startswith("AsyncGenerator["):
        item = returns.removeprefix("AsyncGenerator[").partition(",")[0]
        returns, body = f"Generator[{item}, None, None]", f"return {loop}.iterate({call})"
    elif returns in _TWINS:
        body = f"return {returns}({loop}.run({call}))"
    else:
        body = f"{'' if returns == 'None' else 'return '}{loop}.run({call})"
    return f"def {node.name}({arguments}) -> {returns}:\n{_docstring(node, 4)}\n    {body}"


def _passed_on(arguments: ast.arguments) -> str:
    positional = [each.arg for each in arguments.args if each.arg != "self"]
    return ", ".join([*positional, *(f"{each.arg}={each.arg}" for each in arguments.kwonlyargs)])


def _docstring(node: ast.ClassDef | ast.AsyncFunctionDef, indent: int) -> str:
    text = ast.get_docstring(node)
    if text is None:
        raise SystemExit(f"{node.name} has no docstring")
    lines = text.splitlines()
    end = '\n"""' if len(lines) > 1 else '"""'
    return _indented(f'"""{text}{end}', indent)


def _indented(text: str, by: int = 4) -> str:
    return "\n".join(" " * by + line if line else "" for line in text.splitlines())


def _formatted(text: str) -> str:
    for command in (["check", "--fix", "--select", "F401,I", "--quiet"], ["format", "--quiet"]):
        argv = [sys.executable, "-m", "ruff", *command, "--stdin-filename", str(API / "sync.py"), "-"]
        text = subprocess.run(argv, input=text, text=True, capture_output=True, check=True).stdout
    return text


def main() -> int:
    path = API / "sync.py"
    text = generate()
    if "--check" in sys.argv[1:]:
        if path.read_text() != text:
            print(f"{path} is out of date: run 'python tools/gensync.py'", file=sys.stderr)
            return 1
    else:
        path.write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
