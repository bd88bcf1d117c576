"""A wish to stop reaches Python whatever a library does with signals. In processes of their own, as the
command line is one: in a test runner, threads that run already would take SIGINT."""

import subprocess
import sys
import textwrap

import pytest


def _run(body: str) -> str:
    script = "import os, signal, threading, time\nfrom alkit import interrupts\n" + textwrap.dedent(body)
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("sent", ["SIGINT", "SIGTERM"])
def test_both_signals_interrupt_and_everything_is_put_back(sent):
    output = _run(f"""
        def state():
            handlers = [signal.getsignal(one) for one in (signal.SIGINT, signal.SIGTERM)]
            return handlers, signal.pthread_sigmask(signal.SIG_BLOCK, [])

        before = state()
        try:
            with interrupts.listening():
                os.kill(os.getpid(), signal.{sent})
                time.sleep(20)
        except KeyboardInterrupt:
            print("interrupted", state() == before, [thread.name for thread in threading.enumerate()])
    """)
    assert output == "interrupted True ['MainThread']\n"


@pytest.mark.parametrize("delay", [0.0, 0.01, 0.02])
def test_it_comes_through_while_rdkit_has_sigint_for_itself(delay):
    output = _run(f"""
        try:
            with interrupts.listening():  # before numpy, and with it its threads, is loaded
                from alkit.molecules import embed

                embed("CC(C)CC1CC1CO")
                threading.Timer({delay}, os.kill, (os.getpid(), signal.SIGINT)).start()
                while True:
                    embed("CC(C)CC1CC1CO")
        except KeyboardInterrupt:
            print("interrupted")
    """)
    assert output == "interrupted\n"


def test_a_swallowed_interrupt_comes_again():
    output = _run("""
        try:
            with interrupts.listening():
                try:
                    os.kill(os.getpid(), signal.SIGINT)
                    time.sleep(20)
                except BaseException:
                    print("swallowed")
                interrupts.check()
        except KeyboardInterrupt:
            print("interrupted")
    """)
    assert output.split() == ["swallowed", "interrupted"]


def test_without_a_wish_there_is_no_interrupt():
    assert _run("with interrupts.listening():\n    interrupts.check()\n") == ""


def test_what_must_not_be_cut_in_two_is_not():
    output = _run("""
        try:
            with interrupts.listening():
                with interrupts.deferred():
                    os.kill(os.getpid(), signal.SIGTERM)
                    time.sleep(0.2)
                    print("whole")
                print("never")
        except KeyboardInterrupt:
            with interrupts.deferred():  # what is left to be done after it
                print("interrupted")
            print("closed")
    """)
    assert output == "whole\ninterrupted\nclosed\n"


def test_a_second_wish_does_not_wait():
    output = _run("""
        try:
            with interrupts.listening(), interrupts.deferred():
                for _ in range(2):
                    os.kill(os.getpid(), signal.SIGTERM)
                    time.sleep(0.2)
                print("never")
        except KeyboardInterrupt:
            print("interrupted")
    """)
    assert output == "interrupted\n"


@pytest.mark.parametrize(
    "work",
    [
        "exec('os.kill(os.getpid(), signal.SIGTERM); time.sleep(5)')",  # in a dataclass that is being made
        "converted()",
    ],
)
def test_an_interrupted_command_ends_with_130(work, tmp_path):
    """Also in the middle of an import, where libraries make other errors of a KeyboardInterrupt."""
    (tmp_path / "mine.py").write_text(
        textwrap.dedent(f"""
        import os, signal, time, typer
        from alkit.cli import app as command

        def converted():
            try:
                os.kill(os.getpid(), signal.SIGTERM)
                time.sleep(5)
            except KeyboardInterrupt:
                raise ImportError("partially initialized module")

        app = typer.Typer()
        @app.command()
        def work():
            {work}
        command.app = app
        command.main([])
        """)
    )
    # By -m, as `python -m alkit` is: Python itself treats that differently.
    done = subprocess.run(
        [sys.executable, "-m", "mine"], cwd=tmp_path, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 130, done.stderr
    assert done.stderr == "\nInterrupted; what was done is kept.\n"
