"""The text a citizen is shown before signing (告知), and its hash in the document.

Invariant: the hash in a document is of exactly the text that was rendered from that document's own terms,
so a citizen can be shown later what they agreed to (PIPL art. 17: told clearly, truly and completely).
"""

from __future__ import annotations

from importlib.resources import files

from consent.document import Notice
from consent.policy import PolicyBundle
from consent.predicates import predicate_name
from gateway.consents.bodies import ConsentRequest
from keys.canonical import sha256_hex

VERSION = "v1"


def render(ask: ConsentRequest, policy: PolicyBundle, recipient: str, recipient_id: str) -> str:
    """The notice in the language that was asked for. `recipient` is the institution's registered name."""
    purpose = policy.purpose(ask.purpose)
    if purpose is None:
        raise ValueError("a notice is rendered only for a purpose that was permitted")
    categories = [policy.category(code) for code in ask.categories]
    listed = [category for category in categories if category is not None]
    needed = policy.needed(ask.purpose, ask.answer)
    necessary = [category for category in listed if category.code in needed]
    answer_zh, answer_en = _answer_lines(ask.answer, policy)
    template = (
        files("gateway") / "consents" / "notices" / f"consent-{VERSION}.{ask.language}.txt"
    ).read_text("utf-8")
    return template.format(
        recipient=recipient,
        recipient_id=recipient_id,
        purpose=purpose.code,
        purpose_zh=purpose.zh,
        purpose_en=purpose.en,
        basis=purpose.basis,
        categories_zh="、".join(category.zh for category in listed),
        categories_en=", ".join(category.en for category in listed),
        answer_zh=answer_zh,
        answer_en=answer_en,
        necessary_zh="、".join(category.zh for category in necessary) or "无",
        necessary_en=", ".join(category.en for category in necessary) or "none",
        not_before=ask.not_before,
        not_after=ask.not_after,
        max_uses=ask.max_uses,
        retention_days=ask.retention_days,
    )


def _answer_lines(answer: str, policy: PolicyBundle) -> tuple[str, str]:
    """The line that says what leaves where that is no record but a yes or no; a report has none."""
    name = predicate_name(answer)
    if name is None:
        return "", ""
    rule = policy.predicate(name)
    if rule is None:
        raise ValueError("a notice is rendered only for a form of answer that was permitted")
    return (
        f"应答：只答“是”或“否”，不提供任何记录。判断：{rule.zh}。{rule.text_zh}\n",
        f"Answer: yes or no alone, no record is given. Rule: {rule.en}. {rule.text_en}\n",
    )


def notice_of(ask: ConsentRequest, text: str) -> Notice:
    """The document's `notice` member: language, template and the hash (hex SHA-256) of the text."""
    return Notice(
        language=ask.language, template=f"consent-{ask.purpose}/{VERSION}", sha256=sha256_hex(text.encode())
    )
