"""What the words of the command line lead to: the window, or a command. Imports no Qt on any command's path."""

from __future__ import annotations

import argparse
import gc
import json
import logging
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from hpconsole.cli.exit_codes import ExitCode, UsageError
from hpconsole.cli.options import Options, hosts_from_arguments
from hpconsole.cli.terminal import PrintableFormatter, complain
from hpconsole.cli.window_options import NotForTheWindow, of_the_window
from hpconsole.core.errors import HpconsoleError

if TYPE_CHECKING:
    from hpconsole.app import App


def run(arguments: Sequence[str]) -> int:
    """Parse and carry out; the exit code."""
    options = _parse(arguments)
    log = logging.StreamHandler(sys.stderr)
    log.setFormatter(PrintableFormatter(logging.BASIC_FORMAT))
    logging.basicConfig(level=logging.DEBUG if options.verbose else logging.CRITICAL, handlers=[log])
    try:
        return int(_answer(options))
    except HpconsoleError as error:
        if options.command and getattr(options, "json", False):
            print(json.dumps({"format": "hpconsole-error/1", "error": error.sentence, "subject": error.subject}))
        complain(error.sentence)
        return int(ExitCode.of(error))
    except KeyboardInterrupt:
        return int(ExitCode.INTERRUPTED)
    except BrokenPipeError:
        # the reader of our output went away (`hpconsole vms | head`)
        sys.stderr.close()
        return int(ExitCode.FAILED)


def _parse(arguments: Sequence[str]) -> argparse.Namespace:
    """The grammar of two dozen commands takes a tenth of a second: whoever wants the window does not wait for it."""
    try:
        return of_the_window(arguments)
    except NotForTheWindow:
        from hpconsole.cli.grammar import parser

        return parser().parse_args(arguments)


def _answer(options: argparse.Namespace) -> ExitCode | int:
    if options.command is None:
        return _open_window(options)
    from hpconsole.cli.grammar import answer_of

    return answer_of(options.command)(options, _session_options(options))


def _session_options(options: argparse.Namespace) -> Options:
    if options.demo and options.connect:
        raise UsageError("--demo and --connect exclude each other: the simulated cluster has its own hosts.")
    return Options(
        hosts=hosts_from_arguments(options.connect),
        demo_seed=options.demo_seed if options.demo else None,
        data=options.data_folder,
        timeout_s=options.timeout,
    )


def _open_window(options: argparse.Namespace) -> int:
    chosen = _session_options(options)
    gc.disable()  # until the window is filled: nothing that is loaded goes away again
    from hpconsole.ui.pyside import load_pyside

    load_pyside()
    from hpconsole.ui.desktop import run as show_window

    def build() -> App:
        # only now: the window is on the screen by then
        from hpconsole.cli.session import build_app

        app = build_app(chosen, watches=True)
        app.connect()  # hosts answer while the window is being filled
        return app

    return show_window(build, arguments=["--quit-after-first-snapshot"] if options.quit_after_first_snapshot else [])
