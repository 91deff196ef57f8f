# SPDX-License-Identifier: Apache-2.0
"""The relay of "pinfold run" alone: terminal, pipes, sockets, signals, exit status. The other end is
relay_peer, which runs commands without confinement. Each behaviour is compared with the same command
run without Pinfold where a shell or a terminal decides what is right.

Run by run.py.
"""
import errno
import fcntl
import os
import pty
import re
import select
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import termios
import time
import unittest

PINFOLD, PEER = [os.path.abspath(p) for p in sys.argv[1:3]]
DEADLINE = 10


class Terminal:
    """A program on a pseudo-terminal of its own, as its session leader."""

    def __init__(self, argv, env, rows=30, cols=90, **fds):
        self.master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", rows, cols, 0, 0))
        self.slave = slave
        self.text = b""

        def child():
            for sig in (signal.SIGTSTP, signal.SIGTTIN, signal.SIGTTOU, signal.SIGINT):
                signal.signal(sig, signal.SIG_DFL)
            os.setsid()
            fcntl.ioctl(slave, termios.TIOCSCTTY, 0)

        std = {"stdin": slave, "stdout": slave, "stderr": slave}
        std.update(fds)
        self.process = subprocess.Popen(argv, env=env, preexec_fn=child, **std)

    def send(self, data):
        os.write(self.master, data)

    def expect(self, pattern):
        """Wait until the output matches, and return the match; what was read stays."""
        end = time.monotonic() + DEADLINE
        while True:
            m = re.search(pattern, self.text)
            if m:
                self.text = self.text[m.end():]
                return m
            left = end - time.monotonic()
            if left <= 0 or not select.select([self.master], [], [], left)[0]:
                raise AssertionError(f"no {pattern!r} in {self.text!r}")
            self.text += os.read(self.master, 65536)

    def settings(self):
        return termios.tcgetattr(self.slave)

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(DEADLINE)
        os.close(self.slave)
        os.close(self.master)


def wait_for(condition, what):
    end = time.monotonic() + DEADLINE
    while not condition():
        if time.monotonic() > end:
            raise AssertionError(f"never: {what}")
        select.select([], [], [], 0.01)


class Relay(unittest.TestCase):
    denied = 0

    def setUp(self):
        self.dir = tempfile.TemporaryDirectory()
        path = os.path.join(self.dir.name, "ctl.sock")
        self.peer = subprocess.Popen([PEER, path, str(self.denied)], close_fds=True)
        wait_for(lambda: os.path.exists(path), "socket of the peer")
        self.env = dict(os.environ, PINFOLD_SOCKET=path, PS1="$ ", TERM="dumb",
                        PATH="/usr/local/bin:/usr/bin:/bin")
        self.env.pop("PGPASSWORD", None)
        self.terminals = []
        self.job = self.write_job()

    def write_job(self):
        """A command that is ready, is interrupted and goes on without a race of its own: a shell
        that just starts a child sees a signal only when the child has ended."""
        path = os.path.join(self.dir.name, "job.py")
        with open(path, "w") as f:
            f.write("import os, signal\n"
                    "signal.signal(signal.SIGINT, signal.SIG_DFL)\n"
                    "signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGCONT])\n"
                    "os.write(2, b'ready\\n')\n"
                    "while True:\n"
                    "    signal.sigwait([signal.SIGCONT])\n"
                    "    os.write(2, b'again\\n')\n")
        return f"{sys.executable} {path}"

    def tearDown(self):
        for t in self.terminals:
            t.close()
        self.peer.kill()
        self.peer.wait()
        self.dir.cleanup()

    def run_plain(self, *argv, **kw):
        kw.setdefault("stdin", subprocess.DEVNULL)
        return subprocess.run([PINFOLD, "run", "--", *argv], env=self.env, capture_output=True,
                              timeout=DEADLINE, **kw)

    def terminal(self, *argv, **kw):
        t = Terminal(argv, self.env, **kw)
        self.terminals.append(t)
        return t

    def session(self, *argv, **kw):
        return self.terminal(PINFOLD, "run", "--", *argv, **kw)

    def shell(self):
        """An interactive shell, whose job pinfold becomes."""
        t = self.terminal("/bin/bash", "--norc", "--noprofile", "-i")
        t.expect(rb"\$ ")
        return t


class Batch(Relay):
    def test_exit_status(self):
        for code in (0, 1, 2, 42, 125, 255):
            self.assertEqual(self.run_plain("sh", "-c", f"exit {code}").returncode, code)

    def test_killed_by_a_signal(self):
        for sig in (signal.SIGTERM, signal.SIGKILL, signal.SIGSEGV):
            r = self.run_plain("sh", "-c", f"kill -{int(sig)} $$")
            self.assertEqual(r.returncode, 128 + sig)

    def test_not_found_and_not_executable(self):
        self.assertEqual(self.run_plain("no-such-command").returncode, 127)
        self.assertEqual(self.run_plain("/etc/passwd").returncode, 126)

    def test_daemon_missing(self):
        env = dict(self.env, PINFOLD_SOCKET="/nonexistent/ctl.sock")
        r = subprocess.run([PINFOLD, "run", "true"], env=env, capture_output=True)
        self.assertEqual(r.returncode, 125)
        self.assertIn(b"does not run", r.stderr)
        self.assertEqual(r.stderr.count(b"\n"), 1)

    def test_silent_when_nothing_was_denied(self):
        r = self.run_plain("true")
        self.assertEqual((r.stdout, r.stderr), (b"", b""))

    def test_pipes_keep_every_byte(self):
        data = os.urandom(3_000_001)
        r = subprocess.run([PINFOLD, "run", "cat"], env=self.env, input=data, capture_output=True,
                           timeout=DEADLINE)
        self.assertEqual(r.returncode, 0)
        self.assertEqual(r.stdout, data)

    def test_stdout_and_stderr_stay_apart(self):
        r = self.run_plain("sh", "-c", "echo out; echo err >&2")
        self.assertEqual((r.stdout, r.stderr), (b"out\n", b"err\n"))

    def test_environment_is_an_allow_list(self):
        self.env.update(PGPASSWORD="secret", PGHOST="elsewhere", AWS_SECRET_ACCESS_KEY="k",
                        LD_PRELOAD="", LC_ALL="C", HOME="/home/x")
        r = subprocess.run([PINFOLD, "run", "-e", "GIVEN=a=b", "-e", "LC_ALL=POSIX", "env"],
                           env=self.env, capture_output=True, timeout=DEADLINE)
        got = dict(line.split("=", 1) for line in r.stdout.decode().splitlines())
        self.assertEqual(got["GIVEN"], "a=b")
        self.assertEqual(got["LC_ALL"], "POSIX")
        self.assertEqual(got["HOME"], "/home/x")
        for name in ("PGPASSWORD", "PGHOST", "AWS_SECRET_ACCESS_KEY", "LD_PRELOAD",
                     "PINFOLD_SOCKET"):
            self.assertNotIn(name, got)

    def test_signals_reach_the_command(self):
        for sig in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT, signal.SIGUSR1):
            script = f"trap 'echo got; exit 7' {int(sig)}; echo ready; while :; do sleep 0.1; done"
            p = subprocess.Popen([PINFOLD, "run", "sh", "-c", script], env=self.env,
                                 stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                 stderr=subprocess.DEVNULL)
            self.assertEqual(p.stdout.readline(), b"ready\n")
            p.send_signal(sig)
            self.assertEqual(p.stdout.read(), b"got\n")
            self.assertEqual(p.wait(DEADLINE), 7)
            p.stdout.close()

    def test_sockets_are_pumped(self):
        data = os.urandom(1_000_003)
        near_in, far_in = socket.socketpair()
        near_out, far_out = socket.socketpair()
        script = "test -p /dev/stdin && test -p /dev/stdout || exit 9; cat"
        p = subprocess.Popen([PINFOLD, "run", "sh", "-c", script], env=self.env, stdin=far_in,
                             stdout=far_out)
        far_in.close()
        far_out.close()
        got = b""
        sent = 0
        near_in.setblocking(False)
        while True:
            writing = [near_in] if sent < len(data) else []
            readable, writable, _ = select.select([near_out], writing, [], DEADLINE)
            self.assertTrue(readable or writable, "stuck")
            if writable:
                sent += near_in.send(data[sent:sent + 65536])
                if sent == len(data):
                    near_in.shutdown(socket.SHUT_WR)
            if readable:
                chunk = near_out.recv(65536)
                if not chunk:
                    break
                got += chunk
        self.assertEqual(p.wait(DEADLINE), 0)
        self.assertEqual(got, data)
        near_in.close()
        near_out.close()

    def test_closed_descriptors(self):
        r = subprocess.run(["/bin/sh", "-c", f'"{PINFOLD}" run sh -c "exit 5" <&- >&- 2>&-'],
                           env=self.env, timeout=DEADLINE)
        self.assertEqual(r.returncode, 5)

    def test_use_of_closed_descriptors_fails(self):
        for line in ("cat <&-", "/bin/echo x >&-"):
            results = []
            for prefix in ("", f'"{PINFOLD}" run '):
                r = subprocess.run(["/bin/sh", "-c", prefix + line], env=self.env,
                                   capture_output=True, timeout=DEADLINE)
                results.append((r.returncode, r.stdout, b"Bad file" in r.stderr))
            self.assertEqual(results[0], results[1], line)
            self.assertNotEqual(results[0][0], 0, line)

    def test_reader_that_goes_away(self):
        script = f'"{PINFOLD}" run sh -c "yes" | head -n 2'
        r = subprocess.run(["/bin/bash", "-o", "pipefail", "-c", script], env=self.env,
                           capture_output=True, stdin=subprocess.DEVNULL, timeout=DEADLINE)
        self.assertEqual(r.stdout, b"y\ny\n")
        self.assertEqual(r.returncode, 128 + signal.SIGPIPE)


class Denied(Relay):
    denied = 4

    def test_one_line_at_the_end(self):
        r = self.run_plain("sh", "-c", "exit 3")
        self.assertEqual(r.returncode, 3)
        self.assertEqual(r.stdout, b"")
        self.assertRegex(r.stderr, rb"^pinfold: session abcd2345: 4 denied, 1 of 4 statements "
                                   rb"refused; more: pinfold why abcd2345\n$")


class Interactive(Relay):
    def test_three_terminals_and_their_size(self):
        t = self.session("sh", "-c", "test -t 0 && test -t 1 && test -t 2 && stty size; tty")
        t.expect(rb"30 90\r\n")
        t.expect(rb"/dev/pts/\d+\r\n")
        self.assertEqual(t.process.wait(DEADLINE), 0)

    def test_settings_are_restored(self):
        for script in ("exit 0", "kill -9 $$", "exit 4"):
            t = self.terminal("/bin/sh", "-c", "exec sleep 100")
            before = t.settings()
            p = subprocess.Popen([PINFOLD, "run", "sh", "-c", "echo here; read x; " + script],
                                 env=self.env, stdin=t.slave, stdout=t.slave, stderr=t.slave)
            t.expect(b"here\r\n")
            self.assertNotEqual(t.settings(), before)
            t.send(b"\r")
            p.wait(DEADLINE)
            self.assertEqual(t.settings(), before)

    def test_interrupt_key(self):
        t = self.session("sh", "-c", "trap 'echo caught; exit 6' INT; echo ready; "
                                     "while :; do sleep 0.1; done")
        t.expect(b"ready\r\n")
        t.send(b"\x03")
        t.expect(b"caught")
        self.assertEqual(t.process.wait(DEADLINE), 6)

    def test_interrupt_key_kills(self):
        t = self.session(*self.job.split())
        t.expect(b"ready\r\n")
        t.send(b"\x03")
        self.assertEqual(t.process.wait(DEADLINE), 128 + signal.SIGINT)

    def test_end_of_file_key(self):
        t = self.session("cat")
        t.send(b"line\r")
        t.expect(rb"line\r\nline\r\n")
        t.send(b"\x04")
        self.assertEqual(t.process.wait(DEADLINE), 0)

    def test_window_size_follows(self):
        t = self.session("sh", "-c", "trap 'stty size' WINCH; echo ready; "
                                     "while :; do sleep 0.1; done")
        t.expect(b"ready\r\n")
        fcntl.ioctl(t.master, termios.TIOCSWINSZ, struct.pack("HHHH", 50, 120, 0, 0))
        t.expect(rb"50 120\r\n")

    def test_nothing_is_lost_at_the_end(self):
        t = self.session("sh", "-c", "seq 1 20000; echo the-end")
        t.expect(rb"19999\r\n20000\r\nthe-end\r\n")
        self.assertEqual(t.process.wait(DEADLINE), 0)

    def test_hang_up(self):
        t = self.session("sh", "-c", "trap 'exit 11' HUP; echo ready; "
                                     "while :; do sleep 0.1; done")
        t.expect(b"ready\r\n")
        t.process.send_signal(signal.SIGHUP)
        self.assertEqual(t.process.wait(DEADLINE), 11)

    def test_stop_and_go_on_as_a_job(self):
        for command in (self.job, f"{PINFOLD} run {self.job}"):
            t = self.shell()
            t.send(command.encode() + b"\r")
            t.expect(rb"\nready\r\n")
            t.send(b"\x1a")
            t.expect(rb"\[1\]\+ +Stopped")
            t.expect(rb"\$ ")
            t.send(b"jobs; echo status=$?\r")
            t.expect(rb"\[1\]\+ +Stopped")
            t.expect(rb"status=0\r\n")
            t.send(b"fg\r")
            t.expect(rb"\nagain\r\n")
            t.send(b"\x03")
            t.expect(rb"\$ ")
            t.send(b"echo status=$?\r")
            t.expect(rb"status=130\r\n")

    def test_background_job_leaves_the_terminal_alone(self):
        t = self.shell()
        t.send(f"{PINFOLD} run sh -c 'sleep 0.3; echo from-job' &\r".encode())
        t.send(b"echo typed-$((40+2))\r")
        t.expect(rb"typed-42\r\n")
        t.expect(rb"from-job")
        t.send(b"wait; echo done-$?\r")
        t.expect(rb"done-0\r\n")

    def test_background_job_comes_to_the_foreground(self):
        t = self.shell()
        t.send(f"{PINFOLD} run sh -c 'read x; echo got-$x' &\r".encode())
        t.expect(rb"\[1\] \d+\r\n")
        t.send(b"fg\r")
        t.expect(rb"run sh -c")
        t.send(b"word\r")
        t.expect(rb"got-word\r\n")

    def test_settings_of_a_line_editor_are_not_the_sessions(self):
        """It begins while the shell edits its next line; what it sets by itself stays."""
        for own, status in (("", "speed"), ("stty -echo; ", "-echo ")):
            t = self.shell()
            fifo = os.path.join(self.dir.name, f"fifo{len(own)}")
            os.mkfifo(fifo)
            t.send(f"(read x <{fifo}; exec {PINFOLD} run sh -c '{own}echo in >&2; read x; "
                   f"echo got-$x; stty -a') &\r".encode())
            t.expect(rb"\[1\] \d+\r\n\$ ")
            wait_for(lambda t=t: not t.settings()[3] & termios.ICANON, "the shell edits a line")
            with open(fifo, "w", encoding="ascii") as f:
                f.write("go\n")
            t.expect(rb"in\r+\n")
            t.send(b"fg\r")
            t.expect(rb"stty -a")
            wait_for(lambda t=t: not t.settings()[3] & termios.ISIG, "pinfold has the terminal")
            t.send(b"word\r")
            t.expect(rb"got-word\r\n")
            t.expect(status.encode())
            t.expect(rb"\$ ")

    def test_pipeline_is_interrupted_as_a_whole(self):
        t = self.shell()
        t.send(f"{PINFOLD} run {self.job} | cat\r".encode())
        t.expect(rb"\nready\r+\n")
        t.send(b"\x03")
        t.expect(rb"\$ ")
        t.send(b"echo ${PIPESTATUS[*]}-x\r")
        t.expect(rb"130 \d+-x\r\n")

    def test_lines_into_a_pipeline(self):
        t = self.shell()
        t.send(f"{PINFOLD} run sh -c 'echo ready >&2; exec cat' | tr a-z A-Z\r".encode())
        t.expect(rb"\nready\r+\n")
        t.send(b"some words\r")
        t.send(b"\x04")
        t.expect(rb"some words\r\n")
        t.expect(rb"SOME WORDS\r\n")
        t.expect(rb"\$ ")

    def test_only_stdout_is_a_terminal(self):
        t = self.session("sh", "-c", "test -t 0 && exit 8; test -t 1 || exit 9; cat",
                         stdin=subprocess.PIPE)
        t.process.stdin.write(b"through\n")
        t.process.stdin.close()
        t.expect(rb"through\r\n")
        self.assertEqual(t.process.wait(DEADLINE), 0)

    def test_only_stdin_is_a_terminal(self):
        t = self.session("sh", "-c", "test -t 0 || exit 8; test -t 1 && exit 9; read x; echo $x",
                         stdout=subprocess.PIPE)
        t.send(b"typed\r")
        self.assertEqual(t.process.stdout.read(), b"typed\n")
        self.assertEqual(t.process.wait(DEADLINE), 0)
        t.process.stdout.close()

    def test_killed_relay_gives_the_shell_its_terminal(self):
        t = self.shell()
        t.send(f"{PINFOLD} run sh -c 'echo pid-$PPID; read x'\r".encode())
        t.expect(rb"\npid-\d+\r\n")
        for p in subprocess.run(["pgrep", "-s", str(t.process.pid), "-x", "pinfold"],
                                capture_output=True, text=True).stdout.split():
            os.kill(int(p), signal.SIGTERM)
        t.expect(rb"\$ ")
        t.send(b"echo status=$?\r")
        t.expect(rb"status=143\r\n")
