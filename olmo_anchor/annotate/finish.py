"""The last step of a job: tasks to one ANNOTATIONS_DIR with a manifest."""

from __future__ import annotations

import shutil
from collections import Counter

import orjson

from olmo_anchor.annotate.folder import JobFolder
from olmo_anchor.annotate.plan import Plan
from olmo_anchor.errors import WorkFailed
from olmo_anchor.journal import Rejects, check_rejected
from olmo_anchor.manifest import MANIFEST, Manifest, atomic_write, file_record, read_manifest

__all__ = ["finish"]


def finish(plan: Plan) -> Manifest:
    """Put the tasks together; once it is done, calling it again changes nothing.

    :raises WorkFailed: when a task is not done, or too many chunks were rejected.
    """
    folder = JobFolder(plan.out)
    if (plan.out / MANIFEST).exists():
        return read_manifest(plan.out, "annotations")
    job = orjson.loads(folder.job.read_bytes())
    tasks = [folder.task(number) for number in range(plan.tasks)]
    left = [task.number for task in tasks if not task.done.exists()]
    if left:
        raise WorkFailed(
            f"{plan.out}: {len(left)} of {plan.tasks} tasks are not done (the first is "
            f"{left[0]}); --resume goes on"
        )
    done = [orjson.loads(task.done.read_bytes()) for task in tasks]
    counts: Counter[str] = Counter(chunks=0, annotations=0, unannotated=0)
    reasons: Counter[str] = Counter()
    for one in done:
        counts.update(one["counts"])
        reasons.update(one["reasons"])
    _merge_rejected(folder, plan)
    rejects = Rejects(folder.rejected)
    rejects.close()
    check_rejected(rejects, counts["annotations"] + rejects.count, plan.max_rejected)
    outputs = [one["records"] for one in done]
    if rejects.count:
        outputs.append(file_record(folder.rejected, plan.out))
    manifest = Manifest(
        kind="annotations",
        inputs=job["inputs"],
        config=job["config"],
        counts={**counts, "rejected": rejects.count},
        outputs=outputs,
        extra={
            "key": job["key"],
            "tokens_manifest": job["key"]["tokens_manifest"],
            "annotator": plan.annotator.name,
            "schema": job["key"]["schema"],
            "min_chunk_tokens": plan.min_chunk_tokens,
            "records": [one["records"]["path"] for one in done],
            "rejected_reasons": dict(reasons),
        },
        seconds=round(sum(one["seconds"] for one in done), 3),
    )
    manifest.write(plan.out)
    shutil.rmtree(plan.out / "tasks")
    folder.job.unlink()
    folder.lock.unlink(missing_ok=True)
    return manifest


def _merge_rejected(folder: JobFolder, plan: Plan) -> None:
    parts = [folder.task(number).rejected for number in range(plan.tasks)]
    if not any(path.stat().st_size for path in parts):
        folder.rejected.unlink(missing_ok=True)
        return
    with atomic_write(folder.rejected) as out:
        for path in parts:
            with path.open("rb") as file:
                shutil.copyfileobj(file, out)
