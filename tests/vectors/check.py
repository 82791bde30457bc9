#!/usr/bin/env python3
"""Reproduces every vector file in this folder from its inputs, by the implementation in `chopmark_check`.

    check.py [AREA …]       check all areas, or these
    check.py --self-test    let the implementation talk to itself; then alter copies of the vectors and demand that
                            each alteration is noticed

Ends with `N passed, M failed`, and with exit code 1 if anything failed. `./run` brings what this needs.
"""

import sys

sys.dont_write_bytecode = True

from collections.abc import Iterator  # noqa: E402
from pathlib import Path  # noqa: E402

from chopmark_check import round_trip  # noqa: E402
from chopmark_check.areas import AREAS  # noqa: E402
from chopmark_check.case import BadFile, Case  # noqa: E402

HERE = Path(__file__).resolve().parent
NOT_AREAS = {"chopmark_check"}


def main(arguments: list[str]) -> int:
    self_test = "--self-test" in arguments
    wanted = [a for a in arguments if a != "--self-test"]
    passed = failed = 0
    if self_test:
        for name, wrong in round_trip.run():
            passed, failed = passed + (wrong is None), failed + (wrong is not None)
            print(f"{name}: {wrong or 'holds'}")
    for area in areas(wanted):
        good, wrong = alter(area) if self_test else check(area)
        passed, failed = passed + good, failed + len(wrong)
        print(f"{area}: {good} {'alterations noticed' if self_test else 'passed'}, {len(wrong)} failed")
        for line in wrong:
            print(f"  {line}")
    print(f"{passed} passed, {failed} failed")
    return 1 if failed or not passed else 0


def areas(wanted: list[str]) -> list[str]:
    """Those that there are files of and those that this checker knows; each without the other is a failure."""
    folders = {path.name for path in HERE.iterdir() if path.is_dir()} - NOT_AREAS
    strays = {path.name for path in HERE.glob("*.txt")} - {"requirements.txt"}
    return [a for a in sorted(folders | set(AREAS) | strays) if not wanted or a in wanted]


def cases(area: str) -> Iterator[tuple[str, Case | str]]:
    """The vectors of an area by file name, or why one is none."""
    folder = HERE / area
    paths = sorted(path for path in folder.rglob("*") if path.is_file()) if folder.is_dir() else []
    if area not in AREAS:
        yield area, "unknown area"
    elif not paths:
        yield area, "no vectors"
    else:
        for path in paths:
            name = str(path.relative_to(HERE))
            try:
                yield name, "not a .txt" if path.suffix != ".txt" else Case.read(path)
            except (BadFile, UnicodeDecodeError) as bad:
                yield name, str(bad)


def check(area: str) -> tuple[int, list[str]]:
    good, wrong = 0, []
    for name, case in cases(area):
        why = case if isinstance(case, str) else problem(area, case)
        if why is None:
            good += 1
        else:
            wrong.append(f"{name}: {why}")
    return good, wrong


def problem(area: str, case: Case) -> str | None:
    try:
        return case.check(AREAS[area].OPERATIONS)
    except Exception as unforeseen:  # a bug here is a failure of this vector, and no end of the run
        return f"{type(unforeseen).__name__}: {unforeseen}"


def alter(area: str) -> tuple[int, list[str]]:
    """Some vectors of each operation and expectation, every output altered in turn, and the expectation too."""
    good, wrong, seen = 0, [], {}
    for name, case in cases(area):
        if isinstance(case, str):
            wrong.append(f"{name}: {case}")
            continue
        kind = case.operation, case.expect
        seen[kind] = seen.get(kind, 0) + 1
        if seen[kind] > 2:
            continue
        for what, altered in alterations(case):
            if problem(area, altered) is None:
                wrong.append(f"{name}: {what} was not noticed")
            else:
                good += 1
    return good, wrong


def alterations(case: Case) -> Iterator[tuple[str, Case]]:
    other = "forged" if case.expect == "ok" else "ok"
    yield "another expectation", Case(case.name, case.operation, case.given, other)
    outputs = range(len(case.comes))
    for i in outputs if len(outputs) <= 8 else (*outputs[:4], *outputs[-4:]):
        key, value = case.comes[i]
        yield f"an altered `{key}`", case.with_output(i, flipped(value))
    if case.comes:
        short = Case(case.name, case.operation, case.given, case.expect, case.comes[:-1])
        yield "an output that is missing", short


def flipped(value: str) -> str:
    """The value with one character in its middle changed, so that its bytes differ in one."""
    at = len(value) // 2
    other = {"0": "1", "a": "b"}.get(value[at : at + 1], "0")
    return value[:at] + other + value[at + 1 :]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
