"""The command `apothecary`, also as `python -m apothecary` where scripts are not on the path."""

from __future__ import annotations

import os
import signal


def run() -> None:
    """Load the command line and run it."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        # While it is loaded, Ctrl-C ends the process without a traceback.
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    if os.getpid() == 1:
        # The first process of a container is spared every signal that it has no handler for.
        for one in (signal.SIGINT, signal.SIGTERM):
            signal.signal(one, lambda number, _: os._exit(128 + number))

    from apothecary.cli import main

    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    main(prog_name="apothecary")


if __name__ == "__main__":
    run()
