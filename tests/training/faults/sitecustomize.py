"""A process with this folder on its PYTHONPATH gets a signal at a place of a test's choice.

Python runs it at the start, also in the ranks of torchrun. ``FAULT`` is a JSON object: ``event``,
an audit event of Python's (https://docs.python.org/3/library/audit_events.html); ``path``, what its
arguments must contain; ``signal``, a name; ``rank``, the one that meets it (0); ``to``, which is
"parent" where the signal goes to torchrun. The processes of a second start of torchrun
(``--max-restarts``) get none.
"""

import json
import os
import signal
import sys

FAULT = json.loads(os.environ.get("FAULT", "{}"))
STARTS = os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")


def hook(event: str, arguments: tuple[object, ...]) -> None:
    if FAULT and event == FAULT["event"] and FAULT["path"] in str(arguments):
        number = signal.Signals[FAULT["signal"]]
        process = os.getppid() if FAULT.get("to") == "parent" else os.getpid()
        FAULT.clear()
        os.kill(process, number)


if FAULT and STARTS == "0" and os.environ.get("RANK", "0") == FAULT.get("rank", "0"):
    sys.addaudithook(hook)
