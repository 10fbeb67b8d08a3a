"""What is submitted to Slurm does the job: here `sbatch` runs the script at once, task by task."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import pytest

from olmo_anchor.annotate.job import AnnotateConfig
from olmo_anchor.annotate.registry import AnnotatorConfig
from olmo_anchor.errors import InputError
from olmo_anchor.manifest import read_manifest
from tests.annotate.conftest import records

pytest.importorskip("yake", reason="the extra `annotate` is not installed")

SBATCH = """#!{python}
import os, re, subprocess, sys
options, script = sys.argv[1:-1], sys.argv[-1]
last = int(re.search(r"^#SBATCH --array=0-([0-9]+)", open(script).read(), re.M)[1])
for index in range(last + 1):
    env = dict(os.environ, SLURM_ARRAY_TASK_ID=str(index), SLURM_NODELIST="here", RUN_OFFSET="0")
    with open("{log}", "ab") as log:
        subprocess.run(["bash", script], env=env, stdout=log, stderr=log, check=True)
print("Submitted batch job 17")
"""
SRUN = '#!/bin/bash\nwhile [[ $1 == -* ]]; do [[ $1 == -n ]] && shift; shift; done\nexec "$@"\n'
SCONTROL = "#!/bin/bash\necho here\n"

TEXTS = [f"The captain met Anne Bonny at harbour {k}.\n\nA storm came." for k in range(9)]


@pytest.fixture
def slurm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "bin"
    folder.mkdir()
    log = tmp_path / "slurm.log"
    for name, text in (
        ("sbatch", SBATCH.format(python=sys.executable, log=log)),
        ("srun", SRUN),
        ("scontrol", SCONTROL),
    ):
        (folder / name).write_text(text)
        (folder / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(folder), prepend=os.pathsep)
    return log


def job(tokens: Path, out: Path, **options: Any) -> AnnotateConfig:
    return AnnotateConfig(
        tokens=tokens, annotator=AnnotatorConfig(name="keyword"), out=out, **options
    )


@pytest.mark.slow
@pytest.mark.usefixtures("slurm")
def test_an_array_of_tasks_and_a_last_one_make_the_folder(tokenize: Any, tmp_path: Path) -> None:
    tokens, out = tokenize(TEXTS), tmp_path / "annotations"
    options = {"partition": "cpu", "time": "01:00:00"}
    config = job(tokens, out, executor="slurm", executor_options=options, tasks=3)
    assert config.run() is None
    manifest = read_manifest(out, "annotations")
    assert manifest.counts["chunks"] == 18
    job(tokens, tmp_path / "here").run()
    assert records(out) == records(tmp_path / "here")


def test_what_slurm_needs_is_told(tokenize: Any, tmp_path: Path) -> None:
    tokens, out = tokenize(TEXTS), tmp_path / "annotations"
    with pytest.raises(InputError, match=r"--executor slurm: .*partition"):
        job(tokens, out, executor="slurm").run()
    assert not out.exists()
