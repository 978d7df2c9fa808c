"""The rules by which an import refuses, as a closed table.

Invariant: every refusal of an import names one rule of this table, and every rule says what to do, in both
languages, without repeating a value from the file. A rule's code is never renamed or reused.

CIR = 征信业管理条例 (Regulation on the Administration of the Credit Reporting Industry, 2013).
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Final, Literal, NamedTuple

Language = Literal["en", "zh"]


class Rule(StrEnum):
    """Why a column, a row or one record of a row was refused."""

    # Of a whole column: refused once, on the line of the header.
    FORBIDDEN = "forbidden"
    SEPARATE_CONSENT = "separate-consent"
    JUDGEMENT = "judgement"
    NOT_AUTHORISED = "not-authorised"
    # Of a row, or of one record that a row would have given.
    MISSING_FIELD = "missing-field"
    BAD_ROW = "bad-row"
    BAD_VALUE = "bad-value"
    BAD_CITIZEN_NUMBER = "bad-citizen-number"
    DUPLICATE_REFERENCE = "duplicate-reference"
    FUTURE_DATE = "future-date"
    MINOR = "minor"
    ADVERSE_WITHOUT_NOTICE = "adverse-without-notice"
    # Found by the store only, which knows what it holds already.
    CONFLICTING_REFERENCE = "conflicting-reference"
    UNKNOWN_REFERENCE = "unknown-reference"
    ANOTHER_PERSON = "another-person"


COLUMN_RULES: Final = frozenset({Rule.FORBIDDEN, Rule.SEPARATE_CONSENT, Rule.JUDGEMENT, Rule.NOT_AUTHORISED})


class Fix(NamedTuple):
    """What the source should do about a refusal."""

    en: str
    zh: str


FIXES: Final[Mapping[Rule, Fix]] = MappingProxyType(
    {
        Rule.FORBIDDEN: Fix(
            "the law forbids collecting this (CIR art. 14): leave the column out",
            "法律禁止采集此项（《征信业管理条例》第十四条）：请删除该列",
        ),
        Rule.SEPARATE_CONSENT: Fix(
            "needs the person's separate written consent (CIR art. 14): leave the column out",
            "须经本人另行书面同意（《征信业管理条例》第十四条）：请删除该列",
        ),
        Rule.JUDGEMENT: Fix(
            "a judgement of a person is no record of what happened: leave the column out",
            "这是对人的评判，不是事实记录：请删除该列",
        ),
        Rule.NOT_AUTHORISED: Fix(
            "the catalogue authorises no collection of this: leave the column out",
            "信息目录未授权采集此项：请删除该列",
        ),
        Rule.MISSING_FIELD: Fix(
            "fill in this field; in the header, add this column", "请填写此字段；若在表头，请补上该列"
        ),
        Rule.BAD_ROW: Fix(
            "the row has not as many cells as the header: check quotes and separators",
            "该行单元格数与表头不符：请检查引号和分隔符",
        ),
        Rule.BAD_VALUE: Fix(
            "write the value in the form that the mapping and the catalogue name",
            "请按映射和信息目录规定的格式填写",
        ),
        Rule.BAD_CITIZEN_NUMBER: Fix(
            "check the citizen number: 18 characters, a real birth date, the right check digit",
            "请核对公民身份号码：18 位、出生日期真实、校验码正确",
        ),
        Rule.DUPLICATE_REFERENCE: Fix(
            "an earlier line has this reference: give each row its own",
            "前面的行已使用此编号：请为每行使用不同编号",
        ),
        Rule.FUTURE_DATE: Fix("the date lies in the future: correct it", "日期在将来：请更正"),
        Rule.MINOR: Fix(
            "the person was under 18 when it happened: leave the row out",
            "事发时本人未满十八周岁：请删除该行",
        ),
        Rule.ADVERSE_WITHOUT_NOTICE: Fix(
            "tell the person first, then report with the day of the notice (CIR art. 15)",
            "请先告知本人，再连同告知日期报送（《征信业管理条例》第十五条）",
        ),
        Rule.CONFLICTING_REFERENCE: Fix(
            "this reference is held with other content: an import corrects nothing, use `records correct`",
            "该编号已有不同内容的记录：导入不能更正，请用 records correct",
        ),
        Rule.UNKNOWN_REFERENCE: Fix(
            "nothing is held under this reference: import it",
            "没有此编号的记录：请导入",
        ),
        Rule.ANOTHER_PERSON: Fix(
            "this reference is held of another person: a correction changes what is said, not of whom",
            "该编号的记录属于另一人：更正只改内容，不改归属",
        ),
    }
)


def fix(rule: Rule, language: Language = "en") -> str:
    """What to do about a refusal by `rule`, in one clause without a full stop."""
    return FIXES[rule].zh if language == "zh" else FIXES[rule].en
