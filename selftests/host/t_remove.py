# SPDX-License-Identifier: Apache-2.0
"""make uninstall: refused while sessions run; then nothing stays but what is documented."""

import os

from host import CANARY, PINS, SLICE, UNIT, answers, check, equal, must, run, systemctl
from suite import test
import t_start

# Not all of /usr: the machine has a descriptor of its host's for each file that was seen.
PLACES = ("/usr/local", "/usr/lib/systemd", "/usr/lib/sysusers.d", "/usr/lib/tmpfiles.d", "/etc",
          "/var/log", "/run", "/sys/fs/bpf")
INSTALLER = f"{t_start.TREE}/tools/install.sh"


def uninstall():
    return run([INSTALLER, "uninstall", "", "/usr/local", f"{t_start.BUILD}/bin"])


def ours():
    """Every path that has our name, but for the tests' own."""
    found = set()
    for place in PLACES:
        for folder, names, files in os.walk(place):
            for name in names + files:
                if "pinfold" in name:
                    found.add(f"{folder}/{name}")
            names[:] = [n for n in names if f"{folder}/{n}" != "/run/vmtest"]
    return found


@test("remove: refused while the daemon or a session runs, and nothing is gone then")
def refused(world):
    world.live.held()
    before = ours()
    r = uninstall()
    check(r.returncode != 0 and "systemctl disable --now pinfoldd" in r.stderr,
          f"with the daemon running: {r.returncode} {r.stderr!r}")
    equal(ours(), before, "files")
    check(answers(), "the daemon is gone")
    systemctl("stop", UNIT)
    r = uninstall()
    check(r.returncode != 0 and "sessions are running" in r.stderr,
          f"with a session running: {r.returncode} {r.stderr!r}")
    world.live.held()
    systemctl("start", UNIT)
    world.live.held()


@test("remove: nothing stays but policies, logs and accounts")
def removed(world):
    world.end_live()
    systemctl("disable", "--now", UNIT)
    r = uninstall()
    equal(r.returncode, 0, r.stderr)
    left = {p for p in ours() if not p.startswith(("/etc/pinfold/", "/var/log/pinfold/"))}
    equal(left, {"/etc/pinfold", "/var/log/pinfold"}, "what is left")
    check(not os.path.exists(PINS), f"{PINS} is left")
    check(not os.path.exists(SLICE), f"{SLICE} is left")
    must(["getent", "group", "pinfold"])
    must(["getent", "passwd", "pinfold-gate"])
    programs = must(["bpftool", "prog", "show"])
    check(" pf_" not in programs, f"programs are left: {programs}")
    equal(run(["systemctl", "cat", UNIT]).returncode, 1, "the unit is still known")
    with open(CANARY, "w", encoding="ascii"):
        pass
    os.unlink(CANARY)


@test("remove: DESTDIR: every file that install made goes, but policies")
def destdir(_world):
    dest = f"{os.getcwd()}/dest"
    for verb in ("install", "uninstall"):
        must([INSTALLER, verb, dest, "/opt/pf", f"{t_start.BUILD}/bin"])
        files = {os.path.relpath(f"{d}/{n}", dest) for d, _, names in os.walk(dest) for n in names}
        if verb == "install":
            check("opt/pf/sbin/pinfoldd" in files and
                  "usr/lib/systemd/system/pinfoldd.service" in files, f"installed: {files}")
    equal({os.path.dirname(f) for f in files}, {"etc/pinfold/policies.d"}, "what is left")
