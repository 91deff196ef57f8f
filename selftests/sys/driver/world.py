# SPDX-License-Identifier: Apache-2.0
"""The targets on three filesystems, users, addresses and cgroups: what root prepares outside, in
the virtual machine, before anything is tried."""

import ctypes
import os
import pwd
import shutil
import struct
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
IPC_KEY = 0x706674
MODES = ("bu", "br", "su", "sr", "lr")

PASSWORD = "/etc/pinfold/pft.pw"
# A database that is never there: a session with it has a gate.
DATABASE = f"""\
databases:
  - name: orders
    type: postgres
    address: 192.0.2.10:5432
    database: orders
    user: reader
    password: {{ file: {PASSWORD} }}
    tls: off
"""
POLICY_TEXT = """\
pinfold: 1
name: {name}
{database}files:
  read: [ {read} ]
  write: [ {write} ]
  deny: [ {deny} ]
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


def make_trees(top, mode):
    """Rows F86, F87, I23: a work tree with names that the policy denies, one without, and a tree
    that is denied as a whole."""
    for tree in ("repo", "free"):
        path = f"{top}/allowed/{mode}.{tree}"
        for directory in (".git/hooks", "src"):
            os.makedirs(f"{path}/{directory}")
        for file in (".git/hooks/pre-push", ".git/config", "src/a", "src/b"):
            write_text(f"{path}/{file}", "mine\n")
    os.makedirs(f"{top}/secret/{mode}")
    write_text(f"{top}/secret/{mode}/file", "secret\n")


def write_text(path, text, mode=0o644):
    with open(path, "w", encoding="ascii") as f:
        f.write(text)
    os.chmod(path, mode)


def make_top(top):
    """Everything in a mode's directories belongs to the one who asks in it: permissions never
    stand in the way, only Pinfold does."""
    for mode in MODES:
        uid, gid = ids(mode)
        for path in ("victim/" + mode, "allowed/" + mode, f"allowed/{mode}.nested/inner",
                     f"sealed/{mode}/empty", f"sealed/{mode}/above/root"):
            os.makedirs(f"{top}/{path}")
        make_trees(top, mode)
        for path in ("victim", "allowed", "sealed"):
            os.chmod(f"{top}/{path}", 0o755)
        for start in (f"victim/{mode}", f"allowed/{mode}", f"allowed/{mode}.nested",
                      f"allowed/{mode}.repo", f"allowed/{mode}.free", f"secret/{mode}",
                      f"sealed/{mode}"):
            for where, _, files in os.walk(f"{top}/{start}"):
                for name in ("", *files):
                    os.chown(os.path.join(where, name), uid, gid)


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
                        ("kernel/core_pattern", "core"), ("kernel/core_uses_pid", "0"),
                        ("dev/tty/legacy_tiocsti", "1"), ("kernel/unprivileged_userns_clone", "1"),
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


def make_password():
    os.makedirs(os.path.dirname(PASSWORD), exist_ok=True)
    write_text(PASSWORD, "not-used\n", 0o600)


def make_policy():
    os.makedirs("/etc/pinfold/policies.d", exist_ok=True)
    make_password()
    write, deny = [], [f"{TOOLS}/denied"]
    for fs in rows.FILESYSTEMS:
        write.append(f"{BASE}/{fs}/allowed")
        for mode in ("su", "sr", "lr"):
            write += [f"{BASE}/{fs}/allowed/{mode}.nested/inner",
                      f"{BASE}/{fs}/sealed/{mode}/empty", f"{BASE}/{fs}/sealed/{mode}/above/root"]
            deny += [f"{BASE}/{fs}/allowed/{mode}.repo/{name}"
                     for name in (".git/hooks", ".git/config", ".envrc")]
            deny.append(f"{BASE}/{fs}/secret/{mode}")
    write.append(LOWER_ALLOWED)
    read = ["/", f"{BASE}/e4", f"{BASE}/tm", "/sys"]
    path = f"/etc/pinfold/policies.d/{POLICY}.yaml"
    with open(path, "w", encoding="ascii") as f:
        f.write(POLICY_TEXT.format(name=POLICY, database=DATABASE, read=", ".join(read),
                                   write=", ".join(write), deny=", ".join(deny)))
    os.chmod(path, 0o644)


def install_tools(build):
    os.makedirs(TOOLS, exist_ok=True)
    for name in ("attempt", "labelled"):
        shutil.copy(f"{build}/test/{name}", f"{TOOLS}/{name}")
        os.chmod(f"{TOOLS}/{name}", 0o755)


# A program of 32 bits that asks for its process id and ends with 0, or crashes when it is not told.
CODE32 = bytes.fromhex("b814000000cd80" "85c0" "7809" "31db" "b801000000" "cd80" "f4")


def program_32():
    """An ELF file of one segment."""
    start, base = 84, 0x08048000
    size = start + len(CODE32)
    head = b"\x7fELF\x01\x01\x01" + bytes(9) + struct.pack(
        "<HHIIIIIHHHHHH", 2, 3, 1, base + start, 52, 0, 0, 52, 32, 1, 0, 0, 0)
    return head + struct.pack("<IIIIIIII", 1, 0, base, base, size, size, 5, 4096) + CODE32


def make_programs():
    """Beside the attacker: copies of it that the policy denies or that have more powers."""
    for name in ("denied", "setuid", "filecap"):
        shutil.copy(f"{TOOLS}/attempt", f"{TOOLS}/{name}")
        os.chmod(f"{TOOLS}/{name}", 0o4755 if name == "setuid" else 0o755)
    # version 2, effective; every capability of the first 32 permitted
    os.setxattr(f"{TOOLS}/filecap", "security.capability",
                struct.pack("<IIIII", 0x02000001, 0xffffffff, 0, 0, 0))
    with open(f"{TOOLS}/tool32", "wb") as f:
        f.write(program_32())
    os.chmod(f"{TOOLS}/tool32", 0o755)


def program_settings():
    return {"tools": TOOLS, "tool": f"{TOOLS}/attempt", "denied-tool": f"{TOOLS}/denied",
            "setuid-tool": f"{TOOLS}/setuid", "filecap-tool": f"{TOOLS}/filecap",
            "tool32": f"{TOOLS}/tool32", "ipc-key": IPC_KEY}


def make_objects():
    """What lies outside of all files: System V objects, a message queue, a name in /dev/shm, a
    read-only mount (row F54) and a device node where the session may write (row F58)."""
    libc = ctypes.CDLL(None, use_errno=True)
    mask = os.umask(0)
    made = (libc.shmget(IPC_KEY, 4096, 0o1666), libc.semget(IPC_KEY, 1, 0o1666),
            libc.msgget(IPC_KEY, 0o1666),
            libc.mq_open(b"/pft", os.O_RDWR | os.O_CREAT, 0o666, None))
    os.umask(mask)
    if min(made) < 0:
        raise OSError(ctypes.get_errno(), "cannot make the host's queues and segments")
    write_text("/dev/shm/pft", "outside\n", 0o666)
    for mode in MODES:
        os.makedirs(f"{BASE}/cover/{mode}")
        run("mount", "-t", "tmpfs", "-o", "ro", "tmpfs", f"{BASE}/cover/{mode}")
        os.makedirs(f"{BASE}/ov/allowed/{mode}.dev")
        os.mknod(f"{BASE}/ov/allowed/{mode}.dev/kmsg", 0o20666, os.makedev(1, 11))
        os.chmod(f"{BASE}/ov/allowed/{mode}.dev/kmsg", 0o666)


def make_scripts():
    """Row X10: scripts that may be executed, with an interpreter that may not be."""
    for mode in MODES:
        victim = f"{BASE}/ov/victim/{mode}/X10.sys"
        interpreter = f"{BASE}/ov/allowed/{mode}/X10.sys/prog"
        write_text(f"{victim}/forbidden", f"#!{interpreter} --be-there\n", 0o755)
        write_text(f"{victim}/nested", f"#!{victim}/forbidden\n", 0o755)
        write_text(f"{victim}/plain", "#!/bin/sh\nexit 0\n", 0o755)


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
    if any(r.id == "X10" for r in table):
        make_scripts()


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
    make_programs()
    os.makedirs(BASE, exist_ok=True)
    make_filesystems()
    make_addresses()
    set_sysctls()
    make_cgroups()
    make_objects()
    make_policy()
    make_targets(table)
