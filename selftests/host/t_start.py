# SPDX-License-Identifier: Apache-2.0
"""Installation, accounts and directories, the first start."""

import grp
import os
import pwd
import stat

from host import (PINS, POLICIES, SLICE, UNIT, USER, WORK, CANARY, Failure, answers, check, equal, must,
                  pinfold_run, policy, run, systemctl, unit, until)
from suite import test

BUILD = None  # main.py sets it
TREE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def install():
    must([f"{TREE}/tools/install.sh", "install", "", "/usr/local", f"{BUILD}/bin"])
    systemctl("daemon-reload")


@test("start: systemd-sysusers and systemd-tmpfiles make what the daemon uses")
def accounts(_world):
    must([f"{TREE}/tools/install.sh", "install", "", "/usr/local", f"{BUILD}/bin"])
    must(["userdel", "pinfold-gate"])
    run(["groupdel", "pinfold"])
    os.rmdir("/var/log/pinfold")
    must(["systemd-sysusers", "pinfold.conf"])
    must(["systemd-tmpfiles", "--create", "pinfold.conf"])
    check(grp.getgrnam("pinfold") and pwd.getpwnam("pinfold-gate"), "accounts")
    for path, mode in (("/run/pinfold", 0o755), ("/run/pinfold/sessions", 0o700),
                       ("/var/log/pinfold", 0o700), (POLICIES, 0o755)):
        st = os.stat(path)
        equal((stat.S_IMODE(st.st_mode), st.st_uid, st.st_gid), (mode, 0, 0), path)


@test("start: the unit starts, and says so when sessions can be run")
def first_start(_world):
    must(["useradd", "-m", "-d", f"{WORK}/home", "-G", "pinfold", USER])
    os.chmod(WORK, 0o1777)
    systemctl("daemon-reload")
    equal(must(["systemd-analyze", "verify", "--man=no", UNIT]), "", "systemd-analyze verify")
    policy("host")
    systemctl("start", UNIT)
    check(answers(), "the unit is active, and the daemon does not answer")
    equal(unit("ActiveState"), "active", "the unit")
    equal(must(["systemctl", "show", "-P", "ActiveState", "pinfold.slice"]).strip(), "active",
          "the slice")
    check(os.path.isdir(SLICE) and os.path.isdir(f"{PINS}/links"), "the slice and the pins are there")


@test("start: a session as an ordinary user, refused what it is refused")
def first_session(world):
    with open(CANARY, "w", encoding="ascii"):
        pass  # baseline: root may
    os.unlink(CANARY)
    r = pinfold_run("host", "sh", "-c", f"echo x >{WORK}/made; echo x >{CANARY}")
    check(r.returncode != 0 and not os.path.exists(CANARY), f"{CANARY} was written")
    with open(f"{WORK}/made", encoding="ascii") as f:
        equal(f.read(), "x\n", "what the session wrote")
    world.live.held()
