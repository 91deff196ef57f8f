# SPDX-License-Identifier: Apache-2.0
"""Pinfold's own log, read from where a mode began: which case does each record belong to?"""

import json

from . import wait

LOG = "/var/log/pinfold/audit.jsonl"
SECONDS = 120


class Log:
    def __init__(self, path=LOG):
        self._path = path
        self._offset = 0

    def skip(self):
        """Forget what is there by now."""
        try:
            with open(self._path, "rb") as f:
                self._offset = f.seek(0, 2)
        except FileNotFoundError:
            self._offset = 0

    def records(self):
        """Everything since skip(). A line still being written is left for the next call."""
        with open(self._path, "rb") as f:
            f.seek(self._offset)
            lines = f.read().split(b"\n")[:-1]
        return [json.loads(line) for line in lines]

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
