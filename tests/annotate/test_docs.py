"""docs/annotating.md says what is so."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from olmo_anchor.annotate.executors import check_options
from olmo_anchor.annotate.prompts import Prompt, described_paper_schema
from olmo_anchor.corpus.schema_file import load_schema

pytest.importorskip("jinja2")

PAGE = (Path(__file__).parents[2] / "docs" / "annotating.md").read_text()


YAML = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)


def test_the_options_for_slurm_are_ones_that_datatrove_takes(tmp_path: Path) -> None:
    pytest.importorskip("datatrove")
    options = yaml.safe_load(YAML[0])
    assert options["gpus_per_task"] == 1
    check_options("slurm", 50, options, tmp_path)


def test_the_schema_of_the_page_can_be_used(tmp_path: Path) -> None:
    _, block = YAML
    (tmp_path / "page.yaml").write_text(block)
    schema = load_schema(tmp_path / "page.yaml")
    assert schema.keys == ("strategy", "key_idea", "domain")
    assert "Never give a result." in Prompt("response", schema).render("x")


def test_the_prompt_of_the_page_is_the_one_that_is_sent() -> None:
    said = Prompt("chunk", described_paper_schema()).render("x")
    begin = PAGE.index("    Describe what a passage")
    shown = PAGE[begin : PAGE.index("\n\nA model may answer", begin)].splitlines()
    at = 0
    for line in (line.strip().removesuffix("...)").removesuffix("...") for line in shown):
        at = said.index(line, at)


def test_the_options_of_the_page_exist() -> None:
    from olmo_anchor.commands.annotate import annotate

    known = {flag for parameter in annotate.params for flag in parameter.opts}
    servers = {"--data-parallel-size", "--structured-outputs-config"}
    assert set(re.findall(r"--[a-z-]+", PAGE)) - servers <= known
