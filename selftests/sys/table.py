#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Makes docs/ESCAPES.md from what the kernels of the matrix returned: row, kernel, layer, verdict.

usage: table.py OUTPUT RESULTS.tsv...
"""

import collections
import os
import sys

from driver import rows

HEAD = """\
# What a session was seen not to do

Made from the results of the system tests by `selftests/sys/table.sh`; not written by hand. A cell counts
the cases of a row on that kernel: each road into the kernel, each filesystem, as an ordinary user, as
root, and under a bare label with every capability. "held" needs all of them to be refused, to have no
effect outside and to be on record, while the same calls within the rules, and without a session,
succeeded. Below it stands what refused: the names of Pinfold's programs from the audit log, or the layer
that stopped the call before them. "n/a": this kernel or filesystem has no such call.

A row that nothing tries says so: "by other rows", "elsewhere" (another test), "not held" (Pinfold lets it
happen), "not covered" (nobody has looked), "waiting" (for a part that does not exist yet), "no row" (not
something that could be tried). The remark says which, or why.

"""


def read(paths):
    """{(row, kernel): Counter of verdicts}, {(row, kernel): set of layers}, kernels in order."""
    verdicts = collections.defaultdict(collections.Counter)
    layers = collections.defaultdict(set)
    kernels = []
    for path in paths:
        # The folder is named as vmtest.sh names the kernel; two may share a release.
        kernel = os.path.basename(os.path.dirname(os.path.abspath(path))).removeprefix("kernel-")
        kernels.append(kernel)
        with open(path, encoding="ascii") as f:
            next(f)
            for line in f:
                row, _, _, _, _, verdict, layer = line.rstrip("\n").split("\t")
                verdicts[row, kernel][verdict] += 1
                layers[row, kernel].update(layer.replace("+", ",").split(","))
    return verdicts, layers, kernels


def cell(count, layers):
    if not count:
        return "not run"
    total = sum(count.values())
    if count["fail"]:
        return f"**{count['fail']} of {total} failed**"
    if count["absent"] == total:
        return "n/a"
    held = f"held {count['pass']}" + (f", n/a {count['absent']}" if count["absent"] else "")
    return held + "<br>" + ", ".join(sorted(layers - {"none"}))


def main():
    output, results = sys.argv[1], sys.argv[2:]
    verdicts, layers, kernels = read(results)
    table = rows.load()
    good = bad = skipped = 0
    lines = [HEAD, "| row | attempt | " + " | ".join(kernels) + " | remark |\n",
             "|---|---|" + "---|" * len(kernels) + "---|\n"]
    for row in table:
        cells = []
        state = row.layers[0]
        skipped += not row.tried and state in ("not held", "not covered", "waiting")
        for kernel in kernels:
            if not row.tried and row.id != "C07":
                cells.append(f"**{state}**" if state == "not held" else state)
                continue
            count = verdicts[row.id, kernel]
            cells.append(cell(count, layers[row.id, kernel]))
            failed = count["fail"] or not count
            good, bad = good + (not failed), bad + bool(failed)
        note = "" if row.note == "-" else row.note
        attempt = row.attempt.replace("|", "\\|")
        lines.append(f"| {row.id} | {attempt} | " + " | ".join(cells) + f" | {note} |\n")
    with open(output, "w", encoding="utf-8") as f:
        f.writelines(lines)
    print(f"{good} passed, {bad} failed, {skipped} skipped")
    return bad != 0


if __name__ == "__main__":
    sys.exit(main())
