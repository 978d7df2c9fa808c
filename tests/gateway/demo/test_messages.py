"""The story is the same story in both languages."""

from __future__ import annotations

from string import Formatter

import pytest

from gateway.demo.messages import STORY, language_of, placeholders, say


@pytest.mark.parametrize("key", STORY)
def test_both_languages_have_the_same_placeholders(key: str) -> None:
    line = STORY[key]
    assert line.en.strip()
    assert line.zh.strip()
    assert placeholders(line.en) == placeholders(line.zh)


@pytest.mark.parametrize("key", STORY)
def test_placeholders_are_plain_names(key: str) -> None:
    for template in STORY[key]:
        for _, name, spec, conversion in Formatter().parse(template):
            assert name is None or name.isidentifier()
            assert not spec
            assert conversion is None


def test_lines_in_chinese_are_chinese_and_lines_in_english_are_not() -> None:
    def chinese(text: str) -> bool:
        return any("\u4e00" <= letter <= "\u9fff" for letter in text)

    bare = {"accesses.line", "query.record"}
    assert all(chinese(line.zh) for key, line in STORY.items() if key not in bare)
    assert not any(chinese(line.en) for line in STORY.values())


def test_story_has_a_title_for_every_step() -> None:
    steps = [key.removesuffix(".title") for key in STORY if key.endswith(".title")]
    assert steps == [
        "welcome",
        "main.import", "main.enrol", "main.consent", "main.query", "main.withdraw", "main.verify",
        "main.insider",
        "import", "enrol", "request", "grant", "query", "beyond", "accesses", "withdraw", "again",
        "regulator", "insider", "export",
        "statute", "predicate", "checked",
        "rotated", "lost", "erased", "certified", "restored",
    ]  # fmt: skip


def test_line_is_filled_in_either_language() -> None:
    assert say("regulator.done", "en", count=20) == "20 entries have sealed details, and all of them open."
    assert say("regulator.done", "zh", count=20) == "共有 20 条附有密封的详情，全部可以打开。"


def test_line_with_a_hole_or_a_surplus_is_an_error() -> None:
    with pytest.raises(ValueError, match="count"):
        say("regulator.done", "en")
    with pytest.raises(ValueError, match="surplus"):
        say("regulator.done", "en", count=1, surplus=2)
    with pytest.raises(KeyError):
        say("no.such.line", "en")


def test_value_with_braces_is_not_a_template() -> None:
    assert say("import.report", "en", file="{count}") == "The whole report: {count}"


@pytest.mark.parametrize(
    ("setting", "language"),
    [
        (None, "en"),
        ("", "en"),
        ("en", "en"),
        ("zh", "zh"),
        ("zh_CN.UTF-8", "zh"),
        ("ZH-Hans", "zh"),
        ("zhang", "en"),
    ],
)
def test_language_of_a_setting(setting: str | None, language: str) -> None:
    assert language_of(setting) == language
