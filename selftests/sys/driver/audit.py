# SPDX-License-Identifier: Apache-2.0
"""Pinfold's own log, read from where a mode began: which case does each record belong to?"""

import pathlib
import sys

from . import wait

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "common"))
import auditlog  # noqa: E402

SECONDS = 120


class Log(auditlog.Log):
    def denials(self, session):
        """The session's denial records, once all that it caused have been written: as many as the
        kernel counted for its record of the end, or after it has ended."""
        ended = wait.until(lambda: any(is_end(r, session) for r in self.records()), SECONDS)
        return [r for r in self.records() if is_denial(r, session)], ended


def is_denial(record, session):
    return record["type"] == "denial" and session in (None, record.get("session"))


def is_end(record, session):
    return (record["type"] == "session" and session in (None, record.get("session"))
            and record.get("event") == "ended")


def by_case(denials):
    """{comm of a case: [record]}. io_uring's workers, and programs that a case executed, are found
    by the process that carried the marker "@<case>" (attempt.c)."""
    owner = {r["pid"]: r["comm"][1:] for r in denials if r["comm"].startswith("@")}
    found = {}
    for r in denials:
        if r["comm"].startswith("@"):
            continue
        found.setdefault(owner.get(r["pid"], r["comm"]), []).append(r)
    return found
