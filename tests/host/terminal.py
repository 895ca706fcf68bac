#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""`uiommufd run` as a job on a terminal: stopped, continued, interrupted, hung up.

This process is the shell: it leads a session on a pseudo-terminal, types on the one side
of it and waits for its jobs on the other. Nothing is timed: each step waits for what the
program prints or for what waitpid() says. Output is TAP.

usage: terminal.py UIOMMUFD [RUN-OPTION...]
"""
import fcntl
import os
import pty
import select
import signal
import sys
import termios
import time

# Seconds after which it ends, and its terminals' programs with it, if it hangs.
LONGEST = 100

STOP, INTERRUPT = b"\x1a", b"\x03"  # as typed

# Python looks at signals between its instructions, so it must not wait in one for long;
# its print() cannot be interrupted by another.
READING = """
signal.signal(signal.SIGINT, signal.SIG_DFL)
os.write(1, b"ready\\n")
while True:
    if select.select([0], [], [], 0.05)[0]:
        os.write(1, b"got " + os.read(0, 100))
"""
IMPORTS = "import os, select, signal\n"
CURIOUS = IMPORTS + READING
# It has work to do before it stops, for which calls must be served.
CAREFUL = IMPORTS + """
def stop(sig, frame):
    os.write(1, b"saw %d\\n" % len(os.listdir("/dev/vfio/devices")))
    signal.signal(sig, signal.SIG_DFL)
    os.kill(os.getpid(), sig)
    signal.signal(sig, stop)
signal.signal(signal.SIGTSTP, stop)
""" + READING
STUBBORN = IMPORTS + "signal.signal(signal.SIGTSTP, signal.SIG_IGN)" + READING
# It reads whether there is anything or not.
EAGER = IMPORTS + READING.replace("if select.select([0], [], [], 0.05)[0]:", "if True:")


def open_terminal():
    """(the typist's side, the programs' side)"""
    master, slave = pty.openpty()
    mode = termios.tcgetattr(slave)
    mode[3] &= ~termios.ECHO
    termios.tcsetattr(slave, termios.TCSANOW, mode)
    return master, slave


def lead_session(slave):
    os.setsid()
    fcntl.ioctl(slave, termios.TIOCSCTTY, 0)
    for fd in (0, 1, 2):
        os.dup2(slave, fd)


def blocked(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as f:
        return next(int(line.split()[1], 16) for line in f if line.startswith("SigBlk"))


class Shell:
    def __init__(self, run):
        self.run = run
        self.out = os.fdopen(os.dup(1), "w", buffering=1)
        self.master, slave = open_terminal()
        lead_session(slave)
        # Whoever runs this test may have these ignored, as background jobs have.
        for sig in (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTSTP,
                    signal.SIGTTIN):
            signal.signal(sig, signal.SIG_DFL)
        # As shells do, to take the terminal back from a job.
        signal.signal(signal.SIGTTOU, signal.SIG_IGN)
        self.job = None
        self.tests = self.failures = 0

    def start(self, program):
        job = os.fork()
        if not job:
            os.setpgid(0, 0)
            os.tcsetpgrp(0, os.getpid())
            signal.signal(signal.SIGTTOU, signal.SIG_DFL)
            os.execv(self.run[0], [*self.run, "--", sys.executable, "-c", program])
        self.job = job
        return job

    def type(self, what):
        os.write(self.master, what)

    def expect(self, words):
        seen = b""
        while words not in seen:
            if select.select([self.master], [], [], 0.2)[0]:
                seen += os.read(self.master, 1024)
            elif os.waitid(os.P_PID, self.job, os.WEXITED | os.WNOHANG | os.WNOWAIT):
                print(f"Bail out! {words!r} did not come, but {seen!r}", file=self.out)
                sys.exit(1)

    def foreground(self, job):
        os.tcsetpgrp(0, job)
        os.killpg(job, signal.SIGCONT)
        # Until run has noticed, ^Z stops it before the program.
        while not blocked(job) >> signal.SIGTSTP - 1 & 1:
            time.sleep(0.01)

    def check(self, name, right, seen=""):
        self.tests += 1
        self.failures += not right
        print(f"{'ok' if right else 'not ok'} {self.tests} - {name}", file=self.out)
        if not right:
            print(f"# {seen}", file=self.out)

    def check_stop(self, name, job, sig=signal.SIGTSTP):
        status = os.waitpid(job, os.WUNTRACED)[1]
        self.check(name, os.WIFSTOPPED(status) and os.WSTOPSIG(status) == sig, status)

    def check_killed(self, name, job, sig):
        status = os.waitpid(job, 0)[1]
        self.check(name, os.WIFSIGNALED(status) and os.WTERMSIG(status) == sig, status)


def stop_and_go_on(shell):
    job = shell.start(CURIOUS)
    shell.expect(b"ready")
    shell.type(STOP)
    shell.check_stop("^Z stops it", job)
    shell.foreground(job)
    shell.type(b"x\n")
    shell.expect(b"got x")
    shell.type(STOP)
    shell.check_stop("and again", job)
    # Not its group: the program is told by run.
    os.kill(job, signal.SIGCONT)
    shell.type(b"y\n")
    shell.expect(b"got y")
    shell.type(INTERRUPT)
    shell.check_killed("^C ends it", job, signal.SIGINT)


def work_before_stopping(shell):
    job = shell.start(CAREFUL)
    shell.expect(b"ready")
    for again in ("", " again"):
        shell.type(STOP)
        shell.expect(b"saw 2")
        shell.check_stop("served until it has stopped itself" + again, job)
        shell.foreground(job)
        shell.type(b"x\n")
        shell.expect(b"got x")
    shell.type(INTERRUPT)
    shell.check_killed("^C ends it", job, signal.SIGINT)


def ignore_stops(shell):
    job = shell.start(STUBBORN)
    shell.expect(b"ready")
    shell.type(STOP + b"x\n")
    shell.expect(b"got x")
    shell.type(INTERRUPT)
    shell.check_killed("a program that ignores ^Z goes on", job, signal.SIGINT)


def read_in_the_background(shell):
    job = shell.start(EAGER)
    shell.expect(b"ready")
    shell.type(STOP)
    shell.check_stop("stopped", job)
    os.tcsetpgrp(0, os.getpgrp())
    os.killpg(job, signal.SIGCONT)
    shell.check_stop("stopped for reading in the background", job, signal.SIGTTIN)
    shell.foreground(job)
    shell.type(b"x\n")
    shell.expect(b"got x")
    shell.type(INTERRUPT)
    shell.check_killed("^C ends it", job, signal.SIGINT)


def hang_up(shell):
    """A terminal that is closed, with run as the leader of the session."""
    master, slave = open_terminal()
    ready, told = os.pipe()
    leader = os.fork()
    if not leader:
        os.close(master)
        lead_session(slave)
        os.set_inheritable(told, True)
        program = f"import os, time\nos.write({told}, b'x')\ntime.sleep(1000)"
        os.execv(shell.run[0], [*shell.run, "--", sys.executable, "-c", program])
    os.close(slave)
    os.close(told)
    os.read(ready, 1)
    os.close(master)
    shell.check_killed("a closed terminal ends it", leader, signal.SIGHUP)


def main():
    run = [sys.argv[1], "run", *sys.argv[2:]]
    if os.getpgrp() == os.getpid():  # leads a group: cannot begin a session
        pid = os.fork()
        if pid:
            sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
    signal.alarm(LONGEST)
    shell = Shell(run)
    for test in (stop_and_go_on, work_before_stopping, ignore_stops,
                 read_in_the_background, hang_up):
        test(shell)
    print(f"1..{shell.tests}", file=shell.out)
    return 1 if shell.failures else 0


if __name__ == "__main__":
    sys.exit(main())
