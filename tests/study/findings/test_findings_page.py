"""Page and document are made of the runs' own files."""

from __future__ import annotations

import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest
from click.testing import CliRunner
from made_study import MAIN, arm, summary, write, write_seed

from olmo_anchor.cli import cli
from olmo_anchor.errors import InputError
from olmo_anchor.study.findings.collect import collect
from olmo_anchor.study.findings.document import BLOCKS, compact, filled
from olmo_anchor.study.findings.figures import FIGURES
from olmo_anchor.study.findings.findings import Findings, load_findings
from olmo_anchor.study.findings.page import render
from olmo_anchor.study.findings.sections import SECTIONS
from olmo_anchor.study.findings.tidy import cell

REPOSITORY = Path(__file__).parents[3]
DOCUMENT = REPOSITORY / "docs" / "study.md"
GROUP = tuple(
    arm(f"topics/{kind}_{n}", kind, at={"topics": n}, data_entropy_bits={"topic": bits})
    for kind in ("sft_standard", "sft_anchored")
    for n, bits in ((14, 3.807355), (48, 5.584963))
)
NUMBERS = {
    "main/base_standard": summary(5.5, persona=4.5),
    "main/base_annotated": summary(5.4, persona=4.5),
    "main/sft_standard": summary(2.5, persona=0.5),
    "main/sft_anchored": summary(5.2, persona=0.5, kl=0.0217),
    "topics/sft_standard_14": summary(3.7),
    "topics/sft_standard_48": summary(5.3),
    "topics/sft_anchored_14": summary(5.21),
    "topics/sft_anchored_48": summary(5.22),
}


@pytest.fixture
def out(tmp_path: Path) -> Path:
    write_seed(tmp_path, 0, (*MAIN, *GROUP), NUMBERS)
    return tmp_path


class Page(HTMLParser):
    """Texts of a page, and what it would load."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.texts: list[str] = []
        self.loads: list[str] = []
        self.feed(html)

    def handle_data(self, data: str) -> None:
        self.texts.append(data.strip())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.loads += [
            str(value)
            for name, value in attrs
            if name in ("src", "href", "xlink:href") and not str(value).startswith("#")
        ]


def test_the_page_says_what_the_files_say(out: Path) -> None:
    page = Page(render(collect(out)))
    text = "\n".join(page.texts)
    assert (
        "The base model's answers have 5.50 bits of topic entropy; standard SFT leaves 2.50, "
        "anchored SFT 5.20. Anchoring closes 90% of the gap." in text
    )
    assert "0.022" in page.texts  # the prior KL
    assert (
        "1 seed (0). Numbers are those of each seed; there are intervals from 3 seeds on." in text
    )
    assert "not decided at 1 seed, so far as claimed" in page.texts
    for section in SECTIONS:
        assert section.title in page.texts


def test_the_page_loads_nothing(out: Path) -> None:
    assert Page(render(collect(out))).loads == []


def test_the_page_follows_a_changed_summary(out: Path) -> None:
    before = render(collect(out))
    path = out / "seed-0/arms/main/sft_anchored/summary.json"
    write(path, {"arms": {"sft_anchored": summary(3.1)}})
    after = render(collect(out))
    assert "anchored SFT 3.10. Anchoring closes 20% of the gap." in after
    assert "anchored SFT 3.10" not in before


def test_an_unfinished_arm_is_named_on_the_page(out: Path) -> None:
    (out / "seed-0/arms/topics/sft_anchored_14/manifest.json").unlink()
    assert "seed 0, its answers are not all there: topics/sft_anchored_14" in render(collect(out))


def test_equal_findings_give_equal_bytes(out: Path) -> None:
    """In processes of their own: sets and hashes have another order there."""
    call = [sys.executable, "-m", "olmo_anchor.cli", "study", "page", str(out), "--html"]
    pages = []
    for name in ("a.html", "b.html"):
        subprocess.run([*call, str(out / name)], check=True, capture_output=True)
        pages.append((out / name).read_bytes())
    assert pages[0] == pages[1]


def test_figures_have_the_points_that_the_files_have(out: Path) -> None:
    (panel,) = FIGURES["topics"](collect(out)).panels
    points = {
        line.name: [(point.x.value, point.y.value) for point in line.points] for line in panel.lines
    }
    assert points == {
        "SFT, standard": [(2.321928, 2.5), (3.807355, 3.7), (5.584963, 5.3)],
        "SFT, anchored": [(2.321928, 5.2), (3.807355, 5.21), (5.584963, 5.22)],
    }
    assert panel.levels == (("base, standard", "base_standard", 5.5),)


def test_a_figure_without_numbers_says_so(out: Path) -> None:
    assert FIGURES["eps"](Findings((), {}, {})).lacks == "nothing was measured yet"


def test_the_document_is_filled_in_and_keeps_its_prose(out: Path) -> None:
    text = "# Mine\n\n<!-- study:topics -->\nold\n<!-- /study:topics -->\n\nMy prose.\n"
    made = filled(text, collect(out))
    assert made.startswith("# Mine\n\n<!-- study:topics -->\n")
    assert made.endswith("<!-- /study:topics -->\n\nMy prose.\n")
    assert "old" not in made
    assert "| topics/sft_standard_48 | 5.30 |" in made
    assert "![Entropy of the SFT data: topics](study/topics.svg)" in made
    assert filled(made, collect(out)) == made


def test_blocks_of_another_study_are_left_alone(out: Path) -> None:
    text = "<!-- study:gpu/topics -->\nkept\n<!-- /study:gpu/topics -->\n"
    assert filled(text, collect(out)) == text
    made = filled(text, collect(out), "gpu")
    assert "kept" not in made
    assert "](study/gpu/topics.svg)" in made


def test_a_wrong_marker_is_refused(out: Path) -> None:
    with pytest.raises(InputError, match="study:nothing is no block"):
        filled("<!-- study:nothing -->\n<!-- /study:nothing -->", collect(out))
    with pytest.raises(InputError, match="study:main has no <!-- /study:main --> after it"):
        filled("<!-- study:main -->\n", collect(out))


def test_the_command_writes_the_document_and_what_it_is_made_of(out: Path) -> None:
    docs = out / "docs" / "study.md"
    docs.parent.mkdir()
    docs.write_text("<!-- study:topics -->\n<!-- /study:topics -->\n")
    call = ["study", "page", str(out), "--docs", str(docs)]
    done = CliRunner().invoke(cli, call, catch_exceptions=False)
    assert done.exit_code == 0, done.output
    folder = docs.parent / "study"
    assert (folder / "topics.svg").read_text().startswith("<svg")
    assert not (folder / "sft_examples.svg").exists()
    again = load_findings(folder / "results.json")
    assert filled(docs.read_text(), again) == docs.read_text()
    assert compact(again) == (folder / "results.json").read_text()


def test_a_page_of_something_else_is_not_replaced(out: Path) -> None:
    (out / "study.html").write_text("<title>my notes</title>")
    done = CliRunner().invoke(cli, ["study", "page", str(out)])
    assert isinstance(done.exception, InputError)
    assert "was not made by olmo-anchor study page" in str(done.exception)
    assert not (out / "study.json").exists()


def test_the_committed_document_is_what_the_committed_numbers_say() -> None:
    """Else: olmo-anchor study page runs/study --docs docs/study.md"""
    folder, text = DOCUMENT.parent / "study", DOCUMENT.read_text("utf-8")
    assert filled(text, load_findings(folder / "results.json")) == text
    assert filled(text, load_findings(folder / "gpu" / "results.json"), "gpu") == text
    marked = re.findall(r"<!-- study:(\w+) -->", text)
    assert sorted(marked) == sorted(BLOCKS)
    for figure in re.findall(r"\]\((study/[\w/]+\.svg)\)", text):
        assert (DOCUMENT.parent / figure).is_file(), figure


def test_what_is_withheld_says_why_in_its_place(tmp_path: Path) -> None:
    other = arm("mask/standard_base_anchored", "sft_anchored")
    unstyled = summary(5.5, style=0.02, kl=8.0)
    write_seed(tmp_path, 0, (*MAIN, other), NUMBERS | {other["name"]: unstyled})
    findings = collect(tmp_path)
    made = filled("<!-- study:mask -->\n<!-- /study:mask -->\n", findings)
    assert "| mask/standard_base_anchored | 5.50 | 1.00 | (style 0.02) |" in made
    assert "| (base without) |" in made
    assert "In brackets, where no number is given: (style), less than 0.5" in made
    assert '<td style="color: var(--soft)">(style 0.02)</td>' in render(findings)


def test_a_cell_says_which_seed_lacks_its_number(tmp_path: Path) -> None:
    name = "main/sft_anchored"
    for seed, style in enumerate((0.9, 0.3)):
        write_seed(tmp_path, seed, MAIN, NUMBERS | {name: summary(5.2, style=style)})
    assert cell(collect(tmp_path), name, "gap.topic") == "0.90, (style 0.30)"
    write_seed(tmp_path, 2, MAIN, {"main/sft_standard": NUMBERS["main/sft_standard"]})
    assert cell(collect(tmp_path), name, "gap.topic") == "0.90 (1 of 3)"
    assert cell(collect(tmp_path), "main/sft_standard", "style") == "0.90 ± 0.00"


def test_the_plug_in_stands_beside_the_estimate_with_its_n(out: Path) -> None:
    made = filled("<!-- study:main -->\n<!-- /study:main -->\n", collect(out))
    assert "| arm | topic (bits) | topic, plug-in (bits) | n |" in made
    assert "| main/sft_anchored | 5.20 | 5.10 | 600 |" in made


def test_the_page_says_that_some_intervals_err(out: Path) -> None:
    text = "\n".join(Page(render(collect(out))).texts)
    assert re.search(r"Of \d+ tests, each with an interval at 95 %, a few err by chance", text)


def test_a_point_is_of_the_seeds_that_have_both_measures(tmp_path: Path) -> None:
    """Seed 1 has too few valid answers for an entropy, so that its share of them is not drawn."""
    skipped = arm("skip/sft_without_25_skip", "sft_anchored", of="skip/sft_without_25")
    sampled = arm("skip/sft_without_25", "sft_anchored")
    for seed, few in enumerate((summary(2.3, valid=0.4), summary(2.0, valid=0.1, n=60))):
        numbers = NUMBERS | {sampled["name"]: summary(2.4, valid=0.5), skipped["name"]: few}
        write_seed(tmp_path, seed, (*MAIN, sampled, skipped), numbers)
    panel = FIGURES["skip"](collect(tmp_path)).panels[0]
    (line,) = [line for line in panel.lines if line.name == "sft_without_25"]
    assert [(point.x.value, point.y.value) for point in line.points] == [(0.5, 2.4), (0.4, 2.3)]
