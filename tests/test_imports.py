"""Imports run one way (docs/adr/0001): drawn from the source, not from memory."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "olmo_anchor"

# Each module may import those on a lower level, and its own folder; nothing on its own level.
LEVELS = (
    ("errors", "terminal"),
    ("annotation", "manifest", "progress", "spans"),
    ("encoders", "given", "journal"),
    ("policy", "tokenizer", "engines"),
    ("chat",),
    ("corpus",),
    ("annotate", "training", "generation", "evaluation", "serving", "chatting"),
    ("report",),
    ("study", "quality", "suites"),
    ("commands",),
    ("cli",),
)
LEVEL = {name: level for level, names in enumerate(LEVELS) for name in names}
# At the ground, third-party imports are few.
ALLOWED = {
    "annotation": set(),
    "spans": {"numpy"},
    "given": {"numpy"},
    "policy": {"numpy"},
    "manifest": {"orjson"},
    "journal": {"orjson"},
}
HEAVY = {"torch", "vllm", "transformers", "datatrove", "matplotlib", "olmo_core", "scipy"}
# Modules about OLMo-core and torch: who imports them has paid for both. An engine is imported when
# it is opened.
MAY_LOAD_TORCH = {"training", "engines"}
# A class of vLLM's, which vLLM itself imports.
MAY_LOAD_VLLM = {"serving/reasoning.py"}


def unit(module: str) -> str | None:
    """``olmo_anchor.corpus.overlay`` -> ``corpus``; None for the package itself."""
    parts = module.split(".")
    return parts[1] if len(parts) > 1 else None


def imports(path: Path, *, top_level: bool = False) -> list[str]:
    tree = ast.parse(path.read_text())
    found: list[str] = []
    nodes = _outside_functions(tree) if top_level else list(ast.walk(tree))
    for node in nodes:
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            module = node.module or ""
            found += (
                [f"{module}.{alias.name}" for alias in node.names]
                if module == "olmo_anchor"
                else [module]
            )
    return found


def _outside_functions(tree: ast.AST) -> list[ast.AST]:
    found: list[ast.AST] = []
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            continue
        found += [node, *_outside_functions(node)]
    return found


FILES = [path for path in sorted(PACKAGE.rglob("*.py")) if path != PACKAGE / "__init__.py"]


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_run_one_way(path: Path) -> None:
    relative = path.relative_to(PACKAGE)
    here = relative.parts[0].removesuffix(".py")
    assert here in LEVEL, f"{relative}: give the new module {here!r} a level in this test"
    for module in imports(path):
        if module == "olmo_anchor" or not module.startswith("olmo_anchor."):
            continue
        there = unit(module)
        assert there is not None
        assert there == here or LEVEL[there] < LEVEL[here], f"{relative} imports {module}"
    if here in ALLOWED:
        third_party = {name.split(".")[0] for name in imports(path)} - _standard_library()
        assert third_party - {"olmo_anchor"} <= ALLOWED[here]


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_heavy_imports_are_inside_functions(path: Path) -> None:
    relative = path.relative_to(PACKAGE)
    if relative.parts[0] in MAY_LOAD_TORCH and relative.name != "__init__.py":
        return
    heavy = HEAVY - ({"vllm"} if relative.as_posix() in MAY_LOAD_VLLM else set())
    loaded = {name.split(".")[0] for name in imports(path, top_level=True)}
    assert not loaded & heavy


def _standard_library() -> set[str]:
    import sys

    return set(sys.stdlib_module_names)
