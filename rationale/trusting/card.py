"""The card: methods × tests, pass or fail, and the sentences that it ends in."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import isnan
from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from eraser.files.cells import as_csv
from eraser.files.whole import write_bytes, write_json, write_text
from rationale.evaluation.per_example import NO_BUDGET
from rationale.process.terminal import digits
from rationale.report.page import inside_words, records
from rationale.report.plots import new_figure, png
from rationale.report.summary import in_markdown, markdown_table
from rationale.report.verdict import Claim, Sentences, claims
from rationale.settings import BASELINES
from rationale.templates import fragment
from rationale.templates.names import metric_name
from rationale.trusting.contract import MIN_EXAMPLES, OPERATORS, Finding, Outcome, TestResult
from rationale.trusting.inside import inside_table
from rationale.trusting.turns import operator_agreement, operator_table

SIGNS: dict[Outcome, tuple[str, str]] = {  # what stands in the card, in black, and the colour behind it
    "pass": ("✓", "#009E73"),
    "fail": ("✗", "#D55E00"),
    "cannot tell": ("?", "#999999"),
    "told": ("i", "#56B4E9"),
}
NAMED: dict[Outcome, str] = {**{outcome: outcome for outcome in SIGNS}, "told": "reported"}  # as shown
SHOWN = ("average_precision", "aopc_comprehensiveness", "comprehensiveness", "sufficiency")
BLIND = ("sums", "stability")  # tests that a method may pass without looking at the model
SCORES_SAY = (
    "p, of the first texts: below 0.05 (⚠) a text without these words, or with them alone, is unlike the "
    "texts that the model knows.\n\n"
)
OPERATORS_SAY = "Share of random rationales beaten (rank) where words are deleted, masked, or replaced:"
SERVES = {  # tests that a method must not fail to be advised, by purpose
    "To show people": ("people",),
    "To know what the model used": ("matched", "planted", "randomisation"),
}


def _correlated(pair: Mapping[str, Any]) -> str:
    """Return a correlation with its interval; there is none with fewer than two texts, or where all tie."""
    if isnan(pair["rho"]):
        return "unknown, as methods tie"
    interval = "" if isnan(pair["low"]) else f" [{pair['low']:.2f}, {pair['high']:.2f}]"
    return f"{pair['rho']:.2f}{interval}"


@dataclass(frozen=True, repr=False)
class Card:
    """What all tests found, the tables of the run, and what it all stands on; a notebook shows it as HTML."""

    results: tuple[TestResult, ...]
    lines: Mapping[str, str]  # what each test asks
    scores: pd.DataFrame
    paired: pd.DataFrame
    facts: Mapping[str, Any]

    @property
    def methods(self) -> tuple[str, ...]:
        """The methods, those that did not run too."""
        return tuple(dict.fromkeys(f.method for r in self.results for f in r.findings))

    @property
    def findings(self) -> tuple[Finding, ...]:
        """All findings, test by test."""
        return tuple(f for r in self.results for f in r.findings)

    @property
    def table(self) -> pd.DataFrame:
        """The outcome of each test (columns) for each method (rows)."""
        rows = {m: {r.test: r.of(m).outcome for r in self.results} for m in self.methods}
        return pd.DataFrame.from_dict(rows, orient="index", columns=[r.test for r in self.results])

    def claims(self) -> tuple[Claim, ...]:
        """Return the sentences with what each number stands in."""
        failed = {
            purpose: [m for m in self.methods if any(self._failed(t, m) for t in tests)]
            for purpose, tests in SERVES.items()
        }
        advice = claims(self.scores, self.paired, failed, MIN_EXAMPLES)
        told = (Claim(text, "aopc_comprehensiveness"),) if (text := self.correlation()) else ()
        return (*advice, *told, *(c for r in self.results for c in self._of_test(r)))

    @property
    def _at_budget(self) -> pd.DataFrame:
        """The scores at the rationale length that the tests used."""
        return self.scores[self.scores.budget.isin((self.facts["budget"], NO_BUDGET))]

    def _failed(self, test: str, method: str) -> bool:
        return any(f.outcome == "fail" for f in self.findings if (f.test, f.method) == (test, method))

    def _of_test(self, result: TestResult) -> list[Claim]:
        """Return which methods failed a test, and whether a baseline passed it, which none should."""
        failing = [f.method for f in result.findings if f.outcome == "fail" and f.method not in BASELINES]
        line = self.lines[result.test]
        found = [Claim(f"Failed by {', '.join(failing)}: {line}", f"test-{result.test}")] if failing else []
        blind = [f.method for f in result.findings if f.outcome == "pass" and f.method in BASELINES]
        if blind and result.test not in BLIND:
            text = f"Beware of {result.test}: {', '.join(blind)} passed it without looking at the model."
            found.append(Claim(text, f"test-{result.test}"))
        return found

    @property
    def operators(self) -> pd.DataFrame:
        """How the methods' order turns with the way words go: random rationales beaten, ranks."""
        return operator_table(self.results)

    def order(self) -> str:
        """Return how alike the methods' orders are under the ways words go, in a sentence; "" unknown."""
        if not (found := operator_agreement(self.results)):
            return ""
        pairs = ", ".join(f"{a['one']} and {a['other']} {_correlated(a)}" for a in found)
        return f"Rank correlation of the {found[0]['methods']} methods' order, baselines left out: {pairs}."

    @property
    def inside(self) -> pd.DataFrame:
        """Whether the model knows the texts of comprehensiveness and sufficiency: a p value of each."""
        return inside_table(self.findings)

    def correlation(self) -> str:
        """Return whether agreement and faithfulness go together, in a sentence; "" unknown."""
        if (c := self.facts["correlation"]) is None:
            return ""
        apart = c["low"] <= 0 <= c["high"]
        start = (
            "not shown to go together" if apart else "go together" if c["r"] > 0 else "go against each other"
        )
        return (
            f"Agreement with annotators and faithfulness of a text {'are ' * apart}{start}: "
            f"r = {c['r']:.2f} [{c['low']:.2f}, {c['high']:.2f}] over {c['n']} texts, {c['methods']} "
            "methods, each method's mean taken away (average precision, AOPC comprehensiveness)."
        )

    def verdict(self) -> Sentences:
        """Return the sentences."""
        return Sentences(claim.text for claim in self.claims())

    @property
    def seconds(self) -> float:
        """Seconds of CPU that the scores and all tests took when they were computed."""
        return float(self.facts["seconds_of_scores"]) + sum(r.seconds for r in self.results)

    @property
    def basis(self) -> str:
        """What the card stands on, and what it cost."""
        f, seconds = self.facts, self.seconds - self.facts["seconds_of_scores"]
        read, explained = (sum(getattr(r, n) for r in self.results) for n in ("read", "explained"))
        return (
            f"{f['dataset']} {f['split']}, {f['examples']} texts ({f['with_human_evidence']} with human "
            f"evidence); model {f['model']}; rationale length {f['budget']}; seed {f['seed']}; tests took "
            f"{digits(seconds)} s of CPU ({f['device']}): {read:,} texts read, {explained:,} explained "
            f"again; scores before that: {digits(f['seconds_of_scores'])} s; "
            f"in all {digits(self.seconds)} s of CPU."
        )

    def __repr__(self) -> str:
        table = self.table.map(_in_words)
        return "\n".join([self.basis, "", table.to_string(), "", str(self.verdict())])

    def to_record(self) -> dict[str, Any]:
        """Return all of it as JSON holds it."""
        tests = [
            {"test": r.test, "asks": self.lines[r.test], "seconds": r.seconds, "read": r.read}
            | {"explained": r.explained, "findings": [_named(f) for f in r.findings]}
            for r in self.results
        ]
        verdict = [{"sentence": c.text, "source": c.source} for c in self.claims()]
        found = {"facts": dict(self.facts), "verdict": verdict, "tests": tests}
        return found | {
            "operators": records(self.operators.reset_index(names="method")),
            "operators_agree": records(pd.DataFrame(operator_agreement(self.results))),
            "inside": records(self.inside),
            "scores": records(self.scores),
        }

    def to_markdown(self) -> str:
        """Return the card in Markdown: sentences, the table, and every finding with its number."""
        table = self.table.map(_in_words)
        parts = [in_markdown(self.basis), ""]
        parts += [f"- {in_markdown(c.text)} ([{c.source}](#{c.source}))" for c in self.claims()]
        parts += ["", markdown_table(table.reset_index(names="method"))]
        for r in self.results:
            cost = f"{digits(r.seconds)} s of CPU, {r.read:,} texts read, {r.explained:,} explained"
            parts += [
                f'<a id="test-{r.test}"></a>',
                "",
                f"**{r.test}**: {in_markdown(self.lines[r.test])} ({cost})",
                "",
            ]
            rows = [[f.method, NAMED[f.outcome], f.number, f.sentence] for f in r.findings]
            parts.append(
                markdown_table(pd.DataFrame(rows, columns=["method", "outcome", "number", "in words"]))
            )
        parts += [markdown_of_scores(self._at_budget, self.inside), "", self._operators_in_markdown()]
        return "\n".join(parts)

    def _operators_shown(self) -> pd.DataFrame:
        """Return the order under each way words go as texts."""
        if (table := self.operators).empty:
            return table
        cells: dict[str, list[str]] = {
            str(how): [_win(w, r) for w, r in zip(table[how], table[f"rank_{how}"], strict=True)]
            for how in OPERATORS
            if how in table
        }
        agree = table.agree.map({True: "yes", False: "no"}).fillna("–")
        columns: dict[str, list[str]] = {"method": list(map(str, table.index)), **cells}
        return pd.DataFrame(columns | {"all ways agree": list(agree)})

    def _operators_in_markdown(self) -> str:
        if (table := self._operators_shown()).empty:
            return ""
        return f"{OPERATORS_SAY}\n\n{markdown_table(table)}\n{self.order()}\n"

    def to_html(self) -> str:
        """Return the card as a page of its own, every text escaped."""
        return fragment("trust.html", **self._shown())

    def _repr_html_(self) -> str:
        return fragment("trust_card.html", **self._shown())

    def _shown(self) -> dict[str, Any]:
        return {
            "basis": self.basis, "claims": self.claims(), "results": self.results, "lines": self.lines,
            "methods": self.methods, "signs": SIGNS, "named": NAMED,
            "rows": decisive(self._at_budget, self.inside), "inside": not self.inside.empty,
            "order": self.order(), "operators": self._operators_shown(), "operators_say": OPERATORS_SAY,
            "numbers": numbers_of(self.findings), "notes": self.facts["notes"],
        }  # fmt: skip

    def figure(self) -> Figure:
        """Return the table as a picture."""
        return card_figure(self.table)

    def write(self, folder: Path) -> None:
        """Write card.html, card.md, card.json and card.png; findings.csv, and more numbers in numbers.csv."""
        write_text(folder / "findings.csv", as_csv(findings_table(self.findings)))
        write_text(folder / "numbers.csv", as_csv(numbers_of(self.findings)))
        write_text(folder / "card.html", self.to_html())
        write_text(folder / "card.md", self.to_markdown())
        write_json(folder / "card.json", self.to_record())
        write_bytes(folder / "card.png", png(self.figure()))


def _named(finding: Finding) -> dict[str, Any]:
    """Return a finding as JSON holds it, its outcome by the name that the card shows."""
    return finding.to_record() | {"outcome": NAMED[finding.outcome]}


def findings_table(findings: Sequence[Finding]) -> pd.DataFrame:
    """Return a row for each finding: the outcome, and the sentence with its number."""
    rows = [(f.test, f.method, NAMED[f.outcome], f.sentence) for f in findings]
    return pd.DataFrame(rows, columns=["test", "method", "outcome", "in words"])


def numbers_of(findings: Sequence[Finding]) -> pd.DataFrame:
    """Return a row for each number with an interval that a test found of a method, those in details too."""
    rows = [
        (f.test, f.method, name, *(found[n] for n in ("value", "low", "high", "n")))
        for f in findings
        for name, found in _with_intervals(f.details)
    ]
    return pd.DataFrame(rows, columns=["test", "method", "number", "value", "low", "high", "n"])


def _with_intervals(details: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, Mapping[str, Any]]]:
    for name, found in details.items():
        if isinstance(found, Mapping):
            full = f"{before}{name}"
            if {"value", "low", "high", "n"} <= found.keys():
                yield full, found
            yield from _with_intervals(found, f"{full}: ")


def _win(share: float, rank: float) -> str:
    return "–" if isnan(share) else f"{share:.3f} ({rank:.0f})"


def decisive(scores: pd.DataFrame, inside: pd.DataFrame) -> list[dict[str, Any]]:
    """Return the rows of SHOWN; `inside` says whether the model knows the texts of some of them."""
    rows = scores[scores.metric.isin(SHOWN) & scores.value.notna()]
    known = inside_words(inside)
    return [
        {str(k): v for k, v in row.items()} | {"inside": known.get((row["method"], row["metric"]), "")}
        for row in rows.to_dict("records")
    ]


def markdown_of_scores(scores: pd.DataFrame, inside: pd.DataFrame) -> str:
    """Return those rows as one table in Markdown, a column a metric, each with an anchor of its name."""
    cells: dict[str, dict[str, str]] = {}
    most: dict[str, int] = {}
    for r in decisive(scores, inside):
        known = f", {r['inside']}" if r["inside"] else ""
        number = f"{r['value']:.3f} [{r['low']:.3f}, {r['high']:.3f}]{known}"
        cells.setdefault(r["metric"], {})[r["method"]] = number
        most[r["metric"]] = max(most.get(r["metric"], 0), r["n"])
    if not cells:
        return ""
    heads = {metric: f"{metric_name(metric)} (n = {n})" for metric, n in most.items()}
    table = pd.DataFrame(cells).fillna("–").rename(columns=heads).reset_index(names="method")
    anchors = "".join(f'<a id="{metric}"></a>' for metric in cells)
    return f"{anchors}\n\n{SCORES_SAY if not inside.empty else ''}{markdown_table(table)}"


def _in_words(outcome: Outcome) -> str:
    return f"{SIGNS[outcome][0]} {NAMED[outcome]}"


def card_figure(table: pd.DataFrame) -> Figure:
    """Return methods × tests as coloured signs, told apart in grey by the sign."""
    n_rows, n_columns = table.shape
    figure, (axes,) = new_figure(1, width=2 + 0.95 * n_columns, height=1.1 + 0.32 * n_rows)
    for y, row in enumerate(table.to_numpy()):
        for x, outcome in enumerate(row):
            sign, colour = SIGNS[outcome]
            behind = {"boxstyle": "round,pad=0.2", "facecolor": colour, "edgecolor": "none"}
            axes.text(x, y, sign, color="black", ha="center", va="center", fontweight="bold", bbox=behind)
    axes.set_xlim(-0.5, n_columns - 0.5)
    axes.set_ylim(n_rows - 0.5, -0.5)
    axes.set_xticks(range(n_columns), list(table.columns), rotation=20)
    axes.set_yticks(range(n_rows), list(table.index))
    axes.grid(visible=False)
    axes.set_title("   ".join(_in_words(outcome) for outcome in SIGNS), fontsize=8)
    return figure


def facts_of(settings: Mapping[str, Any], **more: Any) -> dict[str, Any]:
    """Return what a card stands on."""
    names = ("dataset", "split", "model", "seed", "explain", "target", "limit", "sample")
    return {name: settings[name] for name in names} | more
