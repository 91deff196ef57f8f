# SPDX-License-Identifier: Apache-2.0
"""The targets on three filesystems, users, addresses and cgroups: what root prepares outside, in
the virtual machine, before anything is tried."""

import os
import pwd
import shutil
import subprocess

from . import outside, rows

BASE = "/srv/pft"
TOOLS = "/usr/local/lib/pinfold-selftest"
CGROUP = "/sys/fs/cgroup/pft"
# Directories that are on the lower layer of the overlay and nowhere else; made by nobody here.
LOWER_ALLOWED, LOWER_VICTIM = "/opt", "/srv"
BPFFS = "/srv/pft/bpffs"
POLICY = "pft"
USER = "pfagent"
UID = 4242
MODES = ("bu", "br", "su", "sr", "lr")

POLICY_TEXT = """\
pinfold: 1
name: {name}
databases:
  - name: orders
    type: postgres
    address: 192.0.2.10:5432
    database: orders
    user: reader
    password: {{ file: /etc/pinfold/pft.pw }}
    tls: off
files:
  read: [ {read} ]
  write: [ {write} ]
violations: {{ threshold: 1000000, action: record }}
"""


def run(*command, check=True):
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    if check and done.returncode != 0:
        raise RuntimeError(f"{' '.join(command)}: status {done.returncode}: {done.stderr}")
    return done


def ids(mode):
    """uid and gid of the one who asks in this mode."""
    if mode[1] == "u":
        entry = pwd.getpwuid(UID)
        return entry.pw_uid, entry.pw_gid
    return 0, 0


def make_user():
    run("groupadd", "-f", "pinfold")
    run("useradd", "--no-create-home", "--uid", str(UID), "--groups", "pinfold", USER, check=False)


def make_filesystems():
    for fs in rows.FILESYSTEMS:
        os.makedirs(f"{BASE}/{fs}", exist_ok=True)
    os.makedirs(BPFFS)
    image = f"{BASE}/e4.img"
    with open(image, "wb") as f:
        f.truncate(256 << 20)
    run("modprobe", "loop")
    run("mkfs.ext4", "-q", "-F", image)
    run("mount", "-o", "loop", image, f"{BASE}/e4")
    run("mount", "-t", "tmpfs", "-o", "size=256m", "tmpfs", f"{BASE}/tm")
    run("mount", "-t", "bpf", "bpf", BPFFS)
    for fs in rows.FILESYSTEMS:
        make_top(f"{BASE}/{fs}")


def make_top(top):
    """Everything in a mode's directories belongs to the one who asks in it: permissions never
    stand in the way, only Pinfold does."""
    for mode in MODES:
        uid, gid = ids(mode)
        for path in ("victim/" + mode, "allowed/" + mode, f"allowed/{mode}.nested/inner",
                     f"sealed/{mode}/empty", f"sealed/{mode}/above/root"):
            os.makedirs(f"{top}/{path}")
        for path in ("victim", "allowed", "sealed"):
            os.chmod(f"{top}/{path}", 0o755)
        for start in (f"victim/{mode}", f"allowed/{mode}", f"allowed/{mode}.nested",
                      f"sealed/{mode}"):
            for where, _, _ in os.walk(f"{top}/{start}"):
                os.chown(where, uid, gid)


def make_addresses():
    for address in (outside.V4 + "/32", outside.METADATA4 + "/32"):
        run("ip", "addr", "add", address, "dev", "lo")
    for address in (outside.V6 + "/128", outside.METADATA6 + "/128"):
        run("ip", "-6", "addr", "add", address, "dev", "lo", "nodad")


def set_sysctls():
    """Every baseline must be able to succeed."""
    for name, value in (("net/ipv4/ping_group_range", "0 2147483647"),
                        ("net/ipv4/tcp_fastopen", "3"), ("kernel/yama/ptrace_scope", "0"),
                        ("kernel/io_uring_disabled", "0"), ("fs/protected_hardlinks", "1"),
                        ("net/ipv4/tcp_fastopen_blackhole_timeout_sec", "0")):
        try:
            with open("/proc/sys/" + name, "w", encoding="ascii") as f:
                f.write(value)
        except FileNotFoundError:
            pass  # this kernel has no such switch


def make_cgroups():
    """Two directories per mode that its user may move itself between."""
    os.makedirs(CGROUP)
    for mode in MODES:
        uid, gid = ids(mode)
        for name in ("", "/src", "/dst", "/threads"):
            path = f"{CGROUP}/{mode}{name}"
            os.mkdir(path)
            os.chown(path, uid, gid)
            for file in ("cgroup.procs", "cgroup.threads"):
                os.chown(f"{path}/{file}", uid, gid)


def make_policy():
    os.makedirs("/etc/pinfold/policies.d", exist_ok=True)
    with open("/etc/pinfold/pft.pw", "w", encoding="ascii") as f:
        f.write("not-used\n")
    os.chmod("/etc/pinfold/pft.pw", 0o600)
    write = []
    for fs in rows.FILESYSTEMS:
        write.append(f"{BASE}/{fs}/allowed")
        for mode in ("su", "sr", "lr"):
            write += [f"{BASE}/{fs}/allowed/{mode}.nested/inner",
                      f"{BASE}/{fs}/sealed/{mode}/empty", f"{BASE}/{fs}/sealed/{mode}/above/root"]
    write.append(LOWER_ALLOWED)
    read = ["/", f"{BASE}/e4", f"{BASE}/tm", "/sys"]
    path = f"/etc/pinfold/policies.d/{POLICY}.yaml"
    with open(path, "w", encoding="ascii") as f:
        f.write(POLICY_TEXT.format(name=POLICY, read=", ".join(read), write=", ".join(write)))
    os.chmod(path, 0o644)


def install_tools(build):
    os.makedirs(TOOLS, exist_ok=True)
    for name in ("attempt", "labelled"):
        shutil.copy(f"{build}/test/{name}", f"{TOOLS}/{name}")
        os.chmod(f"{TOOLS}/{name}", 0o755)


def make_targets(table):
    """The directories of every case in every mode, by one run of the C program."""
    lines = []
    for mode in MODES:
        uid, gid = ids(mode)
        wanted = {(rows.place(c), rows.directory(c)) for r in table for c in r.cases(mode)}
        for fs, name in sorted(wanted | {("ov", "marker")}):
            top = f"{BASE}/{fs}"
            for path in (f"{top}/victim/{mode}/{name}", f"{top}/allowed/{mode}/{name}",
                         f"{top}/allowed/{mode}/{name}+"):
                lines.append(f"{path} {uid} {gid}\n")
    with open(f"{BASE}/targets", "w", encoding="ascii") as f:
        f.writelines(lines)
    run(f"{TOOLS}/attempt", "--make", BASE, f"{BASE}/targets")
    if any(r.id == "F37" for r in table):
        make_hard_links()


def make_hard_links():
    """Row F37: a second name, made before the session, of a file out of bounds."""
    for fs in rows.FILESYSTEMS:
        for mode in MODES:
            os.link(f"{BASE}/{fs}/victim/{mode}/F37.sys/file",
                    f"{BASE}/{fs}/allowed/{mode}/F37.sys/hard")


def photograph(mode):
    """{(fs, directory): {path: state}} of everything out of bounds."""
    found = {}
    for fs in rows.FILESYSTEMS:
        top = f"{BASE}/{fs}/victim/{mode}/"
        text = run(f"{TOOLS}/attempt", "--snapshot", top.rstrip("/")).stdout
        for line in text.splitlines():
            path, state = line.split("\t", 1)
            name = path[len(top):].split("/")[0] if path.startswith(top) else ""
            found.setdefault((fs, name), {})[path] = state
    return found


def make_all(table, build):
    make_user()
    install_tools(build)
    os.makedirs(BASE, exist_ok=True)
    make_filesystems()
    make_addresses()
    set_sysctls()
    make_cgroups()
    make_policy()
    make_targets(table)
