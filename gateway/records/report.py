"""What an import did, for the person who ran it and for a script.

Invariant: the report can be shown to anybody who may run an import: it holds counts, line numbers, names of
columns and rules, and never a value of the file.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

import msgspec

from gateway.records.columns import HEADER, Refusal
from gateway.records.rows import Record
from gateway.records.rules import Language, Rule, fix

TYPE: Final = "chengxin/import-report/v1"

SHOWN: Final = 50
"""So many refused rows stand in the text; the JSON has them all."""


@dataclass(frozen=True, slots=True)
class ImportReport:
    """The outcome of one import. Counts are of records; `refused` counts refusals, columns among them.

    `rows` counts rows that gave a record or a refusal; `by_category` and `adverse` count what is held after
    the import, so accepted and unchanged together.
    """

    source: str
    rows: int
    accepted: int
    unchanged: int
    adverse: int
    by_category: Mapping[str, int]
    by_rule: Mapping[Rule, int]
    refusals: tuple[Refusal, ...]

    @property
    def refused(self) -> int:
        """How many refusals there are."""
        return len(self.refusals)

    def columns(self, *rules: Rule) -> tuple[str, ...]:
        """The columns refused for the whole file, by any of `rules` (by any rule when none is named)."""
        wanted = frozenset(rules)
        return tuple(r.field for r in self.refusals if r.line == HEADER and (not wanted or r.rule in wanted))


@dataclass(slots=True)
class Tally:
    """Counts an import as it goes; the store says of each record whether it was new."""

    source: str
    _rows: int = 0
    _last: int = HEADER
    _accepted: int = 0
    _unchanged: int = 0
    _adverse: int = 0
    _categories: Counter[str] = field(default_factory=Counter)
    _refusals: list[Refusal] = field(default_factory=list)

    def accept(self, record: Record) -> None:
        """A record that was stored."""
        self._accepted += 1
        self._hold(record)

    def keep(self, record: Record) -> None:
        """A record that is held already, with the same content."""
        self._unchanged += 1
        self._hold(record)

    def refuse(self, refusal: Refusal) -> None:
        """A refused column, row or record."""
        self._refusals.append(refusal)
        self._line(refusal.line)

    def report(self) -> ImportReport:
        """What was counted so far; refusals in the order of the file, the header's first."""
        refusals = tuple(sorted(self._refusals, key=lambda refusal: refusal.line))
        rules = Counter(refusal.rule for refusal in refusals)
        return ImportReport(
            source=self.source,
            rows=self._rows,
            accepted=self._accepted,
            unchanged=self._unchanged,
            adverse=self._adverse,
            by_category=dict(sorted(self._categories.items())),
            by_rule={rule: rules[rule] for rule in Rule if rules[rule]},
            refusals=refusals,
        )

    def _hold(self, record: Record) -> None:
        self._categories[record.category] += 1
        self._adverse += record.adverse
        self._line(record.line)

    def _line(self, line: int) -> None:
        if line not in (HEADER, self._last):
            self._rows += 1
            self._last = line


def format_report_json(report: ImportReport, language: Language = "en") -> bytes:
    """The whole report as one JSON object; a refused column has the line "header"."""
    return msgspec.json.encode(
        {
            "type": TYPE,
            "source": report.source,
            "rows": report.rows,
            "accepted": report.accepted,
            "unchanged": report.unchanged,
            "refused": report.refused,
            "adverse": report.adverse,
            "by_category": dict(report.by_category),
            "by_rule": {rule.value: count for rule, count in report.by_rule.items()},
            "refusals": [
                {
                    "line": _line_name(refusal),
                    "field": refusal.field,
                    "rule": refusal.rule.value,
                    "fix": fix(refusal.rule, language),
                }
                for refusal in report.refusals
            ],
        }
    )


def format_report_text(report: ImportReport, language: Language = "en", shown: int = SHOWN) -> str:
    """The report in plain lines: the counts, then each refusal with its line, field, rule and what to do."""
    return "\n".join(_lines(report, language, shown)) + "\n"


def _lines(report: ImportReport, language: Language, shown: int) -> Iterator[str]:
    words = _WORDS[language]
    yield words["counts"].format(
        rows=report.rows, accepted=report.accepted, unchanged=report.unchanged, refused=report.refused
    )
    if report.by_category:
        held = ", ".join(f"{category} {count}" for category, count in report.by_category.items())
        yield words["held"].format(held=held, adverse=report.adverse)
    if report.by_rule:
        yield words["rules"].format(
            rules=", ".join(f"{rule} {count}" for rule, count in report.by_rule.items())
        )
    for refusal in report.refusals[:shown]:
        where = words["header"] if refusal.line == HEADER else words["line"].format(line=refusal.line)
        yield f"  {where}  {refusal.field}  {refusal.rule}: {fix(refusal.rule, language)}"
    if report.refused > shown:
        yield words["more"].format(count=report.refused - shown)


def _line_name(refusal: Refusal) -> str | int:
    return "header" if refusal.line == HEADER else refusal.line


_WORDS: Final[Mapping[Language, Mapping[str, str]]] = {
    "en": {
        "counts": "{rows} rows: {accepted} records accepted, {unchanged} unchanged, {refused} refusals",
        "held": "held: {held}; {adverse} adverse",
        "rules": "refused: {rules}",
        "header": "header",
        "line": "line {line}",
        "more": "  … and {count} more: use --json to see all",
    },
    "zh": {
        "counts": "{rows} 行：接受 {accepted} 条，不变 {unchanged} 条，拒绝 {refused} 项",
        "held": "持有：{held}；其中不良 {adverse} 条",
        "rules": "拒绝：{rules}",
        "header": "表头",
        "line": "第 {line} 行",
        "more": "  …… 另有 {count} 项：使用 --json 查看全部",
    },
}
