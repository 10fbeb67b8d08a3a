"""docs/launching.md can be typed as it stands, and `make train` runs what it prints."""

from __future__ import annotations

import importlib
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from olmo_core.train.callbacks import CheckpointerCallback
from torch.distributed.run import get_args_parser

from olmo_anchor.training.launch import _parse
from olmo_anchor.training.recipes import AnchoredExperimentConfig, Inputs
from tests.training.conftest import Corpus
from tests.training.launching import RECIPES, REPOSITORY, environment, losses

PAGE = (REPOSITORY / "docs" / "launching.md").read_text()
(SBATCH,) = re.findall(r"```bash\n(.*?)```", PAGE, re.DOTALL)


def commands() -> list[list[str]]:
    """What is indented or in the script, a line each, in words."""
    indented = re.findall(r"^ {4}(.*)$", PAGE.replace(SBATCH, ""), re.MULTILINE)
    lines = "\n".join([*indented, SBATCH]).replace("\\\n", " ").splitlines()
    return [shlex.split(line) for line in lines if re.match(r"\s*(make|srun|torchrun|--)", line)]


COMMANDS = commands()


def train(words: list[str], cwd: Path = REPOSITORY) -> subprocess.CompletedProcess[str]:
    """`make train`, as a user types it; what it installs is there."""
    return subprocess.run(
        [
            "make",
            "--no-print-directory",
            "-o",
            "install",
            "train",
            f"BIN={Path(sys.executable).parent}",
            *words,
        ],
        cwd=cwd,
        env={**environment(), "PYTHONPATH": str(REPOSITORY)},
        capture_output=True,
        text=True,
    )


def test_the_script_is_bash() -> None:
    done = subprocess.run(["bash", "-n"], input=SBATCH, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    options = re.findall(r"^#SBATCH --([a-z-]+)", SBATCH, re.MULTILINE)
    assert {"signal", "requeue", "open-mode", "ntasks-per-node"} <= set(options)


@pytest.mark.parametrize(
    "words",
    [words for words in COMMANDS if "torchrun" in words[:2]],
    ids=lambda words: words[0],
)
def test_a_command_names_options_and_files_that_exist(
    words: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    torchrun = words[words.index("torchrun") + 1 :]
    values = {"$SLURM_NNODES": "2", "$SLURM_JOB_ID": "7", "$(hostname):29500": "x:29500"}
    for old, new in values.items():
        torchrun = [word.replace(old, new) for word in torchrun]
    parsed = get_args_parser().parse_args(torchrun)
    assert (REPOSITORY / parsed.training_script).is_file()
    monkeypatch.setattr(sys, "argv", [parsed.training_script, *parsed.training_script_args])
    _, _, overrides = _parse(None, 8)
    assert overrides == []


def test_the_options_that_the_page_names_exist(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(RECIPES)
    recipe = importlib.import_module("pretrain_1b_annotated")
    config: AnchoredExperimentConfig = recipe.build(Inputs(None, None, "runs/x"))
    dotted = sorted(set(re.findall(r"--((?:trainer|train_module)\.[a-z_.]+)", PAGE)))
    assert len(dotted) == 5
    for name in dotted:
        assert config.merge([f"--{name}=5"]) != config
    checkpointer = config.trainer.callbacks["checkpointer"]
    assert isinstance(checkpointer, CheckpointerCallback)
    assert checkpointer.max_checkpoints == 2, "the last two are kept"
    assert config.trainer.cancel_check_interval == 10, "ends within ten steps"
    variables = {word.partition("=")[0] for words in COMMANDS for word in words if "make" in words}
    assert variables - {"make", "train"} == {"RECIPE", "NPROC", "TOKENS", "OVERLAY", "SAVE"}


def test_the_readme_points_to_the_page() -> None:
    assert "docs/launching.md" in (REPOSITORY / "README.md").read_text()


def test_make_train_prints_what_the_page_says() -> None:
    (words,) = [words for words in COMMANDS if words[0] == "make"]
    done = train(["-n", *words[2:]])
    assert done.returncode == 0, done.stderr
    printed = shlex.split(done.stdout.replace("\\\n", " ").splitlines()[-1])
    typed = next(words for words in COMMANDS if "--standalone" in words)
    assert Path(printed[0]).name == "torchrun"
    assert printed[1:] == typed[1:]


def test_make_train_without_a_recipe_names_them() -> None:
    done = train(["RECIPE=train_configs/nothing.py"])
    assert done.returncode == 2
    assert "train_configs/nothing.py: no such file; name one of:" in done.stdout
    assert "train_configs/story_sft_anchored.py" in done.stdout


@pytest.mark.slow
def test_make_train_trains(prose: Corpus, chat: Corpus, tmp_path: Path) -> None:
    tiny = "--model.n_layers=1 --dataset.max_tokens=null"
    base = [
        *("RECIPE=train_configs/story_base_annotated.py", "NPROC=2", f"SAVE={tmp_path}/base"),
        *(f"TOKENS={prose.tokens}", f"OVERLAY={prose.overlay}"),
        f'ARGS={tiny} --trainer.max_duration="{{value: 3, unit: steps}}"',
    ]
    done = train(base)
    assert done.returncode == 0, done.stderr
    assert "torchrun --standalone --nproc-per-node=2 train_configs/story_base" in done.stdout
    assert sorted(losses(tmp_path / "base")) == [1, 2, 3]
    sft = [
        *("RECIPE=train_configs/story_sft_anchored.py", f"SAVE={tmp_path}/sft"),
        *(f"TOKENS={chat.tokens}", f"OVERLAY={chat.overlay}", f"LOAD={tmp_path}/base"),
        "ARGS=--model.n_layers=1 --trainer.max_duration.value=2",
    ]
    done = train(sft)
    assert done.returncode == 0, done.stderr
    assert f"--load-path {tmp_path}/base" in done.stdout
    assert f"{tmp_path}/sft: finished, 2 steps" in done.stdout
