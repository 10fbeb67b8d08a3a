"""Manifests are written last and trusted only when whole."""

from __future__ import annotations

from pathlib import Path

import orjson
import pytest

from olmo_anchor.errors import InputError
from olmo_anchor.manifest import (
    Manifest,
    atomic_write,
    file_record,
    prepare_output,
    read_manifest,
    sha256_file,
)

HELLO_SHA256 = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"


def a_manifest(kind: str = "tokens") -> Manifest:
    return Manifest(kind, inputs=[], config={"a": "x"}, counts={"documents": 2}, outputs=[])


def test_a_manifest_comes_back(tmp_path: Path) -> None:
    written = a_manifest()
    written.write(tmp_path)
    read = read_manifest(tmp_path, "tokens")
    assert read == written
    assert read.hash == sha256_file(tmp_path / "manifest.json")
    assert read.versions["olmo-anchor"] != "absent"


def test_files_are_recorded_by_size_and_hash(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    path = tmp_path / "sub" / "file"
    path.write_bytes(b"hello")
    assert file_record(path, tmp_path) == {"path": "sub/file", "size": 5, "sha256": HELLO_SHA256}
    assert file_record(path)["path"] == str(path.resolve())


def test_an_unfinished_folder_is_not_trusted(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no such folder.*olmo-anchor tokenize"):
        read_manifest(tmp_path / "absent", "tokens")
    with pytest.raises(InputError, match=r"unfinished.*olmo-anchor tokenize.*--resume"):
        read_manifest(tmp_path, "tokens")


@pytest.mark.parametrize("damage", [b"", b"{", b"[]", b"{}", b'{"kind": "tokens", "format": 1}'])
def test_a_damaged_manifest_is_named(tmp_path: Path, damage: bytes) -> None:
    (tmp_path / "manifest.json").write_bytes(damage)
    with pytest.raises(InputError, match="not a whole manifest") as caught:
        read_manifest(tmp_path, "tokens")
    assert str(tmp_path / "manifest.json") in str(caught.value)


def test_a_manifest_of_another_kind_or_format_is_refused(tmp_path: Path) -> None:
    a_manifest("overlay").write(tmp_path)
    with pytest.raises(InputError, match="holds 'overlay', not 'tokens'"):
        read_manifest(tmp_path, "tokens")
    stored = orjson.loads((tmp_path / "manifest.json").read_bytes())
    (tmp_path / "manifest.json").write_bytes(orjson.dumps({**stored, "format": 99}))
    with pytest.raises(InputError, match="format 99"):
        read_manifest(tmp_path, "overlay")


def test_an_atomic_write_that_fails_leaves_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"before")

    def fail() -> None:
        with atomic_write(path) as file:
            file.write(b"half")
            raise RuntimeError("stop")

    with pytest.raises(RuntimeError, match="stop"):
        fail()
    assert path.read_bytes() == b"before"
    assert list(tmp_path.iterdir()) == [path]


def test_an_output_folder_is_not_taken_over(tmp_path: Path) -> None:
    mine = tmp_path / "mine"
    prepare_output(mine)
    (mine / "file").touch()
    with pytest.raises(InputError, match=r"exists and is not empty; --resume .* --overwrite"):
        prepare_output(mine, resume=False)
    with pytest.raises(InputError, match=r"exists and is not empty; --overwrite replaces it"):
        prepare_output(mine)
    with pytest.raises(InputError, match="exclude each other"):
        prepare_output(mine, overwrite=True, resume=True)
    prepare_output(mine, resume=True)
    assert (mine / "file").exists()
    prepare_output(mine, overwrite=True)
    assert not (mine / "file").exists()


def test_a_folder_that_we_did_not_make_is_never_removed(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").touch()
    with pytest.raises(InputError, match="left alone"):
        prepare_output(tmp_path, overwrite=True)
    assert (tmp_path / "thesis.tex").exists()
    with pytest.raises(InputError, match="is a file"):
        prepare_output(tmp_path / "thesis.tex", overwrite=True)


def test_an_output_folder_may_not_hold_an_input(tmp_path: Path) -> None:
    mine = tmp_path / "mine"
    prepare_output(mine)
    (mine / "tokens").mkdir()
    for read in (mine, mine / "tokens"):
        with pytest.raises(InputError, match="holds the input"):
            prepare_output(mine, overwrite=True, inputs=(read,))
    assert (mine / "tokens").is_dir()
