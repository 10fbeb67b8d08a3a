"""YAML files that a user writes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from olmo_anchor.errors import InputError

__all__ = ["read_yaml"]


def read_yaml(path: Path) -> Any:
    """:raises InputError: when the file is missing, not YAML, or says a key twice."""
    try:
        return yaml.load(path.read_text("utf-8"), _Loader)
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read: {error}") from None
    except yaml.YAMLError as error:
        raise InputError(f"{path}: not a YAML file: {' '.join(str(error).split())}") from None
    except _Twice as twice:
        raise InputError(f"{path}: {twice}") from None


class _Twice(ValueError):
    pass


class _Loader(yaml.SafeLoader):
    """A key that stands twice is a fault: YAML itself would forget the first."""

    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
        node = super().compose_mapping_node(anchor)
        seen = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode):
                if key.value in seen:
                    line = key.start_mark.line + 1
                    raise _Twice(f"line {line}: {key.value!r} stands there twice")
                seen.add(key.value)
        return node
