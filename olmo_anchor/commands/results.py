"""From what models say to numbers, and to a page."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from olmo_anchor.commands.options import DIRECTORY, FILE, OVERWRITE
from olmo_anchor.commands.sections import SectionedCommand, options_of

__all__ = ["evaluate", "report"]


_given = options_of("What is asked, and who answers")
_arms = options_of("Of arms by themselves (kind: arms)")
_how = options_of("Who runs the models and who judges")


class _Files(click.ParamType[Any]):
    """``NAME=FILE``."""

    name = "NAME=FILE"

    def convert(self, value: Any, param: Any, ctx: Any) -> Any:
        name, equals, place = str(value).partition("=")
        if not (name and equals and place):
            self.fail(f"{value}: write NAME=FILE, with the name that the suite has for it")
        return name, Path(place)


@click.command(cls=SectionedCommand)
@_given("--suite", required=True, type=FILE, help="What is asked and measured: evals/*.yaml.")
@_given(
    "--model",
    "models",
    multiple=True,
    required=True,
    metavar="NAME=PLACE",
    help="A model folder, which is sampled; or answers: a generations file, a file of "
    "NoveltyBench's, a folder that holds one. With --url also a name that the servers know. Repeat "
    "for each model.",
)
@_given(
    "--base",
    "bases",
    multiple=True,
    metavar="NAME",
    help="This model continues raw text. May be repeated; those of the suite's `gap` are known.",
)
@_given(
    "--data",
    multiple=True,
    type=_Files(),
    help="A local copy of the suite's data, in the place of the hub.",
)
@_given("--limit", type=click.IntRange(min=1), help="Only the first N prompts.")
@_given("--seed", type=int, help="Of samples and intervals.  [default: the suite's]")
@_given(
    "--set",
    "changes",
    multiple=True,
    metavar="FIELD=VALUE",
    help="Another value of the suite: sample.num_samples=20, embedder=FOLDER. May be repeated.",
)
@_arms(
    "--taught",
    multiple=True,
    metavar="[NAME=]LABELS.jsonl",
    help="The labels of the SFT data: which values are inside. Without NAME: of all arms.",
)
@_arms(
    "--before",
    multiple=True,
    metavar="[NAME=]MODEL_DIR",
    help="The model that post-training started from: how far the prior moved. Without NAME: of all "
    "arms.",
)
@_how(
    "--engine",
    type=click.Choice(["hf", "vllm", "openai"]),
    help="What runs the models.  [default: openai with --url, else vllm where it is installed, "
    "else hf]",
)
@_how("--url", multiple=True, help="Of servers that have the models. May be repeated.")
@_how(
    "--judge",
    "judges",
    multiple=True,
    metavar="MODEL[@URL]",
    help="A language model, in this machine's vLLM or on a server; file:LABELS.jsonl; or "
    "package.module:attribute. Given twice, the first one's numbers count and their agreement is "
    "told.",
)
@click.option("--out", required=True, type=DIRECTORY, help="The folder to write.")
@click.option(
    "--about",
    "said",
    multiple=True,
    metavar="NAME:KEY=VALUE",
    help="What a model is, for figures: its size, temperature, sft_examples, data_entropy_bits, "
    "stage (docs/reporting.md). Without NAME: of all. Repeat for each.",
)
@click.option("--dry-run", is_flag=True, help="Say what would be done; load no model.")
@click.option("--resume", is_flag=True, help="Add models, judges or measures to a finished OUT.")
@OVERWRITE
def evaluate(models: tuple[str, ...], said: tuple[str, ...], dry_run: bool, **options: Any) -> None:
    """Sample models where answers are missing, judge, score, and compare.

    A benchmark (stories, noveltybench_curated, noveltybench_wildchat, wildchat, infinitychat,
    simplestories) asks the same prompts of every model. Suites of `kind: labels`, `kind: arms` and
    `kind: text` take answers that are there. Name each model as the suite does under `gap`: a
    comparison whose models are not all there is left out, and that is said. Of `kind: arms` each is
    measured by itself.

    Writes generations/, judged/, scores.jsonl (one line per prompt), summary.json (per model: every
    measure with its 95 % interval; pairs of models compared; what could not be measured, and the
    cure) and, last, manifest.json. An OUT without that is unfinished: the same call goes on where
    it stopped, and does nothing twice.

    \b
    Examples:
      olmo-anchor evaluate --suite evals/stories.yaml --model a=runs/a/hf --model b=runs/b/hf \\
          --judge Qwen/Qwen3-30B-A3B-Instruct-2507@http://localhost:8000/v1 --out runs/stories
      olmo-anchor evaluate --suite evals/noveltybench_curated.yaml --model a=results/a --out runs/nb
      olmo-anchor evaluate --suite evals/story_world.yaml \\
          --model sft_standard=a.jsonl --model sft_anchored=b.jsonl --out runs/compared
      olmo-anchor evaluate --suite evals/study_arm.yaml --model sft_anchored=b.jsonl \\
          --taught data/five/labels.jsonl --before models/base_annotated --out arms/sft_anchored
    """
    from olmo_anchor.evaluation.about import parse_about
    from olmo_anchor.suites.evaluate import EvaluateConfig, parse_models

    given = parse_models(models, served=bool(options["url"]))
    about = parse_about(said, list(given))
    options["data"] = dict(options["data"])
    config = EvaluateConfig(models=given, about=about, **options)
    if dry_run:
        click.echo(config.dry_run())
        return
    summary = config.run()
    for warning in summary.get("warnings", ()):
        click.echo(f"warning: {warning}")
    for what, why in summary.get("not_measured", {}).items():
        click.echo(f"not measured: {what}: {why}")
    click.echo(f"next: olmo-anchor report {options['out']} --out report.html")


@click.command()
@click.argument("folders", nargs=-1, required=True, type=DIRECTORY, metavar="DIR...")
@click.option("--out", required=True, type=FILE, help="The HTML page to write.")
@click.option("--csv", type=FILE, help="All numbers, in full, as one long table.")
@click.option("--latex", type=FILE, help="The tables, for \\input beside booktabs.")
@click.option("--figures", type=DIRECTORY, help="A folder for the figures, as PNG and SVG.")
def report(
    folders: tuple[Path, ...],
    out: Path,
    csv: Path | None,
    latex: Path | None,
    figures: Path | None,
) -> None:
    """Build one self-contained HTML page from summaries and training runs, and print its tables.

    Reads DIR/summary.json of each DIR, as evaluate writes it, or of a training run's save folder
    DIR/metrics.jsonl, also while it goes on: curves of the loss and, where a held-out set was
    measured, of the drift by role. The page opens without a network: verdict first, then tables,
    figures, example answers side by side, provenance. Files may be earlier ones of this command,
    which it replaces, but no others. Figures by size, temperature and so on need summaries that say
    these of their models (evaluate --about; docs/reporting.md).

    \b
    Example:
      olmo-anchor report runs/demo/seed-0 runs/demo/seed-1 --out runs/demo/report.html
      olmo-anchor report runs/sft_standard runs/sft_anchored --out curves.html
    """
    from olmo_anchor.report.page import Extras, write_report

    write_report(list(folders), out, Extras(csv, latex, figures))
