"""The tests one after another, each a part on disk: what is there is not computed again."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence

from eraser import Fault, InputError
from eraser.progress import progress
from rationale.settings import names_in
from rationale.trusting.contract import Finding, TestResult
from rationale.trusting.subject import Subject
from rationale.trusting.table import NEEDS, READS, TESTS, TrustTest


def names_of(asked: str | Sequence[str] | None) -> tuple[str, ...]:
    """Return the tests that are asked for, all by default.

    Raises:
        InputError: there is none of that name.
    """
    given = names_in(asked) if isinstance(asked, str) else asked
    names = tuple(TESTS if given is None else given)
    if unknown := [name for name in names if name not in TESTS]:
        raise InputError(*(Fault(f"a test of {', '.join(TESTS)}", repr(name)) for name in unknown))
    return tuple(dict.fromkeys(names))


def run_tests(subject: Subject, names: Sequence[str]) -> Iterator[TestResult]:
    """Yield what each test found of every method, and of those that did not run that they did not."""
    for name in progress(names, "test", "tests", len(names)):
        yield _of_all(subject, _kept(subject, name))


def _kept(subject: Subject, name: str) -> TestResult:
    """Return a test's result, from disk where it is there."""
    test = TESTS[name]
    used = {setting: getattr(subject.settings, setting) for setting in test.uses}
    read = [READS[name](subject) for name in test.reads]
    depends = [test.version, used, read, [subject.identity_of(m) for m in subject.methods]]
    if (why := lacking(subject, test)) is not None:
        return TestResult(name, tuple(Finding.unknown(name, m, why) for m in subject.methods), 0.0, 0, 0)
    (row,) = subject.part(f"test-{name}", depends, lambda: [_timed(subject, name, test).to_row()])
    return TestResult.from_row(row)


def lacking(subject: Subject, test: TrustTest) -> str | None:
    """Return the first thing that a test needs and a subject lacks, in words; None where it has all."""
    return next((why for need in test.needs if (why := NEEDS[need](subject)) is not None), None)


def _timed(subject: Subject, name: str, test: TrustTest) -> TestResult:
    meter, begin = subject.meter, time.process_time()
    read, explained = meter.read, meter.explained
    findings = tuple(test.run(subject))
    seconds = time.process_time() - begin
    return TestResult(name, findings, seconds, meter.read - read, meter.explained - explained)


def _of_all(subject: Subject, result: TestResult) -> TestResult:
    """Return the result with a line for each method that did not run."""
    lost = [
        Finding.unknown(result.test, method, f"{method} did not run: {why}")
        for method, why in subject.failed.items()
    ]
    found = (*result.findings, *lost)
    return TestResult(result.test, found, result.seconds, result.read, result.explained)
