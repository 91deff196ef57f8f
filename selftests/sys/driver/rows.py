# SPDX-License-Identifier: Apache-2.0
"""rows.tsv, and the cases that follow from it: a case is a row by one way on one filesystem."""

import collections
import os

FILESYSTEMS = ("ov", "e4", "tm")

Case = collections.namedtuple("Case", "row way fs")


class Row:
    """One line of rows.tsv; the columns are explained there."""

    def __init__(self, line):
        (self.id, self.attempt, ways, fs, self.modes, errno, layer, self.base, absent, twin,
         effect, self.note) = line.split("\t")
        self.tried = ways != "-"
        self.ways = [w.rstrip("!") for w in ways.split(",")]
        self.session_only = {w[:-1] for w in ways.split(",") if w.endswith("!")}
        self.per_fs = fs == "y"
        self.denials = {"EPERM", "EACCES"} | (set() if errno == "-" else set(errno.split(",")))
        self.layers = layer.split(",")
        self.absent = {"ENOSYS"} | (set() if absent == "-" else set(absent.split(",")))
        self.twin = twin != "-"
        self.twin_labelled = twin != "s"
        self.effect = effect == "y"

    def cases(self, mode):
        """The cases of this row in a mode: bu, br, su, sr or lr."""
        if not self.tried:
            return []
        if mode[0] == "b" and mode[1] not in self.base:
            return []
        if mode[0] in "sl" and mode[0] not in self.modes:
            return []
        found = []
        for way in self.ways:
            if mode[0] == "l" and way in self.session_only:
                continue
            for fs in self.filesystems(way):
                found.append(Case(self.id, way, fs))
        return found

    def filesystems(self, way):
        if not self.per_fs:
            return ("-",)
        # The roads share what lies behind them: each filesystem by system call, the others on
        # the filesystem where the hooks see every call twice.
        return FILESYSTEMS if way in ("sys", "scm") else ("ov",)


def load(path=os.path.join(os.path.dirname(__file__), "..", "rows.tsv")):
    with open(path, encoding="utf-8") as f:
        return [Row(line.rstrip("\n")) for line in f if line.strip() and not line.startswith("#")]


def directory(case):
    """Name of the case's directories (world.h)."""
    return f"{case.row}.{case.way}"


def place(case):
    """The filesystem that a case's directories are on."""
    return "ov" if case.fs == "-" else case.fs
