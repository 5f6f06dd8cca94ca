"""Find out, without importing anything, which files of `cmrlib` a piece of Python code depends on.

`from cmrlib.cca import CCA` depends on the module that defines CCA, not on `cmrlib/cca/__init__`,
so that a new class in the package leaves the chapters of the others alone.  Whatever is not
understood counts in full: executing once too often is harmless, once too rarely is not.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

PACKAGE = "cmrlib"


def find_module(root: Path, name: str) -> Path | None:
    """Return the file of a module or package of this repository."""
    base = root.joinpath(*name.split("."))
    candidates = (base / "__init__.py", base.parent / f"{base.name}.py")
    return next((path for path in candidates if path.is_file()), None)


def dependencies(code: str, root: Path) -> set[str]:
    """Return the modules of the package that code reaches by its imports, directly or not."""
    found: set[str] = set()
    _follow_imports(code, "", root, found)
    return found


def _follow_imports(code: str, package: str, root: Path, found: set[str]) -> None:
    bound = {}  # names that stand for a module of ours
    for node in _runtime_nodes(code):
        if isinstance(node, ast.Import):
            for alias in node.names:
                if _is_ours(alias.name):
                    _add_module(alias.name, root, found)
                    bound[alias.asname or PACKAGE] = alias.name if alias.asname else PACKAGE
        elif isinstance(node, ast.ImportFrom):
            module = _imported_from(node, package)
            for alias in node.names if _is_ours(module) else ():
                _add_name(module, alias.name, root, found)
                if find_module(root, f"{module}.{alias.name}"):
                    bound[alias.asname or alias.name] = f"{module}.{alias.name}"
    attributes = [node for node in _runtime_nodes(code) if isinstance(node, ast.Attribute)]
    inner = {node.value for node in attributes}  # a.b, where the code has a.b.c
    for node in attributes if bound else ():
        head, *names = ast.unparse(node).split(".")
        module = bound.get(head)
        if module and node not in inner and all(name.isidentifier() for name in names):
            while len(names) > 1 and find_module(root, f"{module}.{names[0]}"):
                module = f"{module}.{names.pop(0)}"
            _add_name(module, names[0], root, found)


def _add_module(name: str, root: Path, found: set[str]) -> None:
    path = find_module(root, name)
    if path and name not in found:
        found.add(name)
        package = name if path.name == "__init__.py" else name.rpartition(".")[0]
        _follow_imports(path.read_text("utf8"), package, root, found)


def _add_name(module: str, name: str, root: Path, found: set[str]) -> None:
    """Add what `from module import name` needs, looking through a package that re-exports it."""
    if find_module(root, f"{module}.{name}"):
        _add_module(f"{module}.{name}", root, found)
        return
    path = find_module(root, module)
    exports = _exports(path, module, root) if path and path.name == "__init__.py" else {}
    if name in exports:
        _add_name(*exports[name], root, found)
    else:
        _add_module(module, root, found)


def _exports(path: Path, package: str, root: Path) -> dict[str, tuple[str, str]]:
    """Return which name a package takes from which module: by import, or by a table of strings."""
    origin = {}
    for node in _runtime_nodes(path.read_text("utf8")):
        if isinstance(node, ast.ImportFrom) and _is_ours(_imported_from(node, package)):
            for alias in node.names:
                origin[alias.asname or alias.name] = (_imported_from(node, package), alias.name)
        elif isinstance(node, ast.Dict):
            for key, value in zip(node.keys, node.values, strict=True):
                if isinstance(key, ast.Constant) and isinstance(value, ast.Constant):
                    module = str(value.value)
                    if not _is_ours(module):
                        module = f"{package}.{module.lstrip('.')}"
                    if str(key.value).isidentifier() and find_module(root, module):
                        origin[str(key.value)] = (module, str(key.value))
    return origin


def _imported_from(node: ast.ImportFrom, package: str) -> str:
    if not node.level:
        return node.module or ""
    base = package.split(".")[: len(package.split(".")) - node.level + 1]
    return ".".join([*base, *([node.module] if node.module else [])])


def _is_ours(module: str) -> bool:
    return module.split(".")[0] == PACKAGE


@cache
def _runtime_nodes(code: str) -> tuple[ast.AST, ...]:
    """Return all nodes of the syntax tree but those that only a type checker sees."""

    def walk(node: ast.AST) -> Iterator[ast.AST]:
        yield node
        children = ast.iter_child_nodes(node)
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            children = iter(node.orelse)
        for child in children:
            yield from walk(child)

    return tuple(walk(ast.parse(code)))


def data_files(module: Path) -> list[Path]:
    """Return the data files of a module: `emoji.npz` and `emoji_*` beside `emoji.py`.

    A file that no module of its folder claims by its name counts for all of them.
    """
    folder = module.parent
    stems = {path.stem for path in folder.glob("*.py")}
    files = []
    for path in sorted(folder.rglob("*")):
        inside = path.relative_to(folder).parts
        parents = (folder.joinpath(*inside[:i]) for i in range(1, len(inside)))
        in_subpackage = any((parent / "__init__.py").is_file() for parent in parents)
        if in_subpackage or not path.is_file() or _is_code(path):
            continue
        owners = {s for s in stems if inside[0] == s or inside[0].startswith((f"{s}.", f"{s}_"))}
        if not owners or module.stem in owners:
            files.append(path)
    return files


def _is_code(path: Path) -> bool:
    return path.suffix in (".py", ".pyc", ".pyi") or path.name == "py.typed"
