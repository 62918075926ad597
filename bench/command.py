"""The command line and the output that the measuring programs share; what is measured is theirs."""

import argparse
import os
import sys
import tempfile
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from bench import report


def parser(description: str, sections: Mapping[str, str]) -> argparse.ArgumentParser:
    """A parser with the options of every measuring program; sections: {name: what it measures}."""
    width = max(map(len, sections))
    listed = "\n".join(f"  {name:{width}} {what}" for name, what in sections.items())
    command = argparse.ArgumentParser(
        description=description, epilog=f"sections:\n{listed}", formatter_class=argparse.RawDescriptionHelpFormatter
    )
    command.add_argument("--only", nargs="+", choices=sections, default=list(sections), help="sections to measure")
    command.add_argument("--runs", type=int, default=5, help="runs of each figure (default: %(default)s)")
    command.add_argument("--threads", type=int, help="threads of the numerical libraries, here and in the app")
    command.add_argument("--markdown", action="store_true", help="print a Markdown table")
    return command


def run(
    options: argparse.Namespace,
    rows: Callable[[argparse.Namespace, Path], Iterable[report.Row]],
    packages: tuple[str, ...],
) -> None:
    """Prints the machine with the versions of packages, every row as soon as it is measured, and the table of all.

    rows gets the options and a folder that is deleted afterwards. It must import numerical libraries itself, as the
    threads are set here.
    """
    if options.threads:
        os.environ["OMP_NUM_THREADS"] = os.environ["NUMBA_NUM_THREADS"] = str(options.threads)
    os.environ["HF_HUB_DISABLE_PROGRESS_BARS"] = "1"
    print(report.machine(packages), end="\n\n", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        measured = []
        for row in rows(options, Path(folder)):
            print(f"{row.measured}: {row.ours}", file=sys.stderr, flush=True)
            measured.append(row)
    print(report.table(measured, options.markdown))
