# SPDX-License-Identifier: Apache-2.0
"""What a shell and a terminal see of "pinfold run" is what they see of the command alone: each test runs
both ways, as an ordinary user, and compares or expects the same."""

import concurrent.futures
import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import termios
import time

from host import SECONDS, WORK, Failure, as_user, check, equal, run, sessions, until
from suite import test

INSIDE = "pinfold run --policy host -- "
# Shell lines; "@" stands for nothing, or for INSIDE.
LINES = {
    "killed by a signal": "(@sh -c 'kill -TERM $$'; echo $?) 2>/dev/null",
    "not found": "@no-such-command 2>/dev/null",
    "not executable": "@/etc/passwd 2>/dev/null",
    "a pipe in and out": "seq 50000 | @cat | cksum",
    "files, standard error apart, exit status":
        "seq 500 >in; @sh -c 'sort -r; echo err >&2; exit 42' <in >out 2>err; "
        "echo $?; cksum <out; cat err",
    "a reader that goes away": "@yes | head -n 1; echo ${PIPESTATUS[0]}",
    "a reader that takes nothing": "@yes | true; echo ${PIPESTATUS[0]}",
    "a full device": "@echo x >/dev/full 2>/dev/null",
    "no standard output": "@echo x >&- 2>/dev/null",
    "no standard input": "@cat <&- 2>/dev/null",
    "empty standard input, no terminal":
        "setsid -w @sh -c 'cat; tty; (: </dev/tty) 2>/dev/null || echo none' </dev/null",
    "a background job in a command substitution":
        "x=$(@sh -c 'echo y; exit 3' & wait $!); echo $? $x",
    "time out": "timeout -s INT 5 @sleep 1000",
}
# Says when it is ready, and what happens to it.
JOB = """/usr/bin/python3 -c '
import os, signal, sys
def size(*_): os.write(1, b"size %d %d\\n" % tuple(reversed(os.get_terminal_size())))
signal.signal(signal.SIGWINCH, size)
size()
os.write(1, b"ready\\n")
while True:
    line = os.read(0, 100)
    if not line: break
    os.write(1, b"got " + line)
os.write(1, b"at the end\\n")
sys.exit(9)'"""


class Terminal:
    """An interactive shell on a terminal of 33 by 97."""

    def __init__(self):
        self.master, slave = pty.openpty()
        self.size(33, 97)
        self.text = b""

        def lead():
            for number in (signal.SIGTSTP, signal.SIGTTIN, signal.SIGTTOU, signal.SIGINT,
                           signal.SIGQUIT):
                signal.signal(number, signal.SIG_DFL)
            os.setsid()
            fcntl.ioctl(0, termios.TIOCSCTTY, 0)
        os.fchown(slave, as_user()["user"], 5)
        self.process = subprocess.Popen(["bash", "--norc", "--noprofile", "-i"], cwd=WORK,
                                        stdin=slave, stdout=slave, stderr=slave, preexec_fn=lead,
                                        **as_user())
        os.close(slave)
        self.expect(r"\$ ")

    def size(self, rows, cols):
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, cols, 0, 0))

    def send(self, text):
        os.write(self.master, text.encode())

    def line(self, text):
        self.send(text + "\n")

    def expect(self, pattern):
        deadline = time.monotonic() + SECONDS
        while True:
            m = re.search(pattern.encode(), self.text)
            if m:
                self.text = self.text[m.end():]
                return m
            left = deadline - time.monotonic()
            ready = left > 0 and select.select([self.master], [], [], left)[0]
            check(ready, f"no {pattern!r} in {self.text!r}")
            try:
                self.text += os.read(self.master, 65536)
            except OSError as e:
                raise Failure(f"no {pattern!r} in {self.text!r}") from e

    def status(self, want):
        """At the prompt: $? of what ended."""
        self.line("echo status=$?")
        equal(int(self.expect(r"status=(\d+)\r")[1]), want, "$?")
        self.expect(r"\$ ")

    def hang_up(self):
        os.close(self.master)
        self.process.wait(SECONDS)

    def close(self):
        self.line("exit")
        self.process.wait(SECONDS)
        os.close(self.master)


def both(function):
    for prefix in ("", INSIDE):
        function(prefix)


@test("terminal: pipes, files, signals and exit status as without Pinfold")
def lines(_world):
    os.makedirs(f"{WORK}/lines", exist_ok=True)
    os.chmod(f"{WORK}/lines", 0o777)

    def result(text):
        r = run(["bash", "-c", text], cwd=f"{WORK}/lines", **as_user())
        stderr = [l for l in r.stderr.splitlines() if not l.startswith("pinfold: session ")]
        return r.returncode, r.stdout, stderr

    def difference(name):
        alone, inside = (result(LINES[name].replace("@", prefix)) for prefix in ("", INSIDE))
        return "" if alone == inside else f"{name}: alone {alone}, inside {inside}\n"
    with concurrent.futures.ThreadPoolExecutor(4) as several:
        different = "".join(several.map(difference, LINES))
    equal(different, "", "what differs")


@test("terminal: size, keys, stop and go on as a job")
def job(_world):
    def one(prefix):
        t = Terminal()
        t.line(prefix + JOB)
        t.expect("size 33 97")
        t.expect("ready")
        t.size(40, 100)
        t.expect("size 40 100")
        t.line("one")
        t.expect("got one")
        t.send("\x1a")
        t.expect("Stopped")
        t.expect(r"\$ ")
        t.status(128 + signal.SIGTSTP)
        t.size(41, 101)
        t.line("fg")
        t.line("two")
        t.expect("got two")
        t.size(42, 102)
        t.expect("size 42 102")
        t.send("\x04")
        t.expect("at the end")
        t.expect(r"\$ ")
        t.status(9)
        t.close()
    both(one)


@test("terminal: the interrupt and quit keys")
def interrupt(_world):
    def one(prefix):
        t = Terminal()
        t.line(prefix + "sh -c 'echo rea''dy; exec sleep 1000'")
        t.expect("ready")
        t.send("\x03")
        t.expect(r"\$ ")
        t.status(128 + signal.SIGINT)
        t.line("ulimit -c 0; " + prefix + "sh -c 'echo rea''dy; exec sleep 1000'")
        t.expect("ready")
        t.send("\x1c")
        t.expect(r"\$ ")
        t.status(128 + signal.SIGQUIT)
        # All of a pipeline, and of a list.
        t.line(prefix + "sh -c 'echo rea''dy >&2; exec sleep 1000' | cat; echo after")
        t.expect("ready")
        t.send("\x03")
        t.expect(r"\$ ")
        t.close()
    both(one)


@test("terminal: a shell inside, with jobs of its own")
def shell(_world):
    def one(prefix):
        t = Terminal()
        t.line("PS1='# ' " + prefix + "bash --norc --noprofile -i")
        t.line("PS1='in''side '")
        t.expect("inside ")
        t.line("stty size; tty")
        t.expect("33 97\r\n/dev/pts/[0-9]+\r\n")
        t.expect("inside ")
        t.line("sh -c 'echo rea''dy; exec sleep 1000'")
        t.expect("ready")
        t.send("\x03")
        t.expect("inside ")
        t.line("echo status=$?")
        t.expect(r"status=130\r")
        t.line("sh -c 'echo rea''dy; exec sleep 1000'")
        t.expect("ready")
        t.send("\x1a")
        t.expect("Stopped")
        t.line("bg; kill %1; wait %1; echo status=$?")
        t.expect(r"status=143\r")
        t.line("exit 7")
        t.expect(r"\$ ")
        t.status(7)
        t.close()
    both(one)


@test("terminal: what hangs up ends, and nohup keeps it")
def hang_up(_world):
    def left(mark):
        r = run(["pgrep", "-f", f"^sleep {mark}$"])
        return r.stdout.split()

    def one(prefix):
        mark = "987654" + str(len(prefix))
        t = Terminal()
        t.line(prefix + f"sh -c 'echo rea''dy; exec sleep {mark}'")
        t.expect("ready")
        equal(len(left(mark)), 1, "processes")
        t.hang_up()
        until(lambda: not left(mark), "the command ends with its terminal")
        for name in ("go", "nohup.txt"):
            if os.path.exists(f"{WORK}/{name}"):
                os.unlink(f"{WORK}/{name}")
        t = Terminal()
        t.line(f"nohup {prefix}sh -c 'echo started; until [ -e go ]; do sleep 0.1; done; "
               "echo finished' >nohup.txt 2>&1 &")
        t.expect(r"\$ ")

        def said(text):
            with open(f"{WORK}/nohup.txt", encoding="ascii") as f:
                return text in f.read()
        until(lambda: os.path.exists(f"{WORK}/nohup.txt") and said("started"), "nohup: it starts")
        t.hang_up()
        with open(f"{WORK}/go", "w", encoding="ascii"):
            pass
        until(lambda: said("finished"), "nohup: it goes on without its terminal")
    both(one)
    until(lambda: all(s["state"] == "ended" for s in sessions() if s["user"] != "root"),
          "all sessions of the user end")
