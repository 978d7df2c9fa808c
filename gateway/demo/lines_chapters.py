"""The lines of the chapters beside the main story: a statutory query, and answers of yes or no."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from gateway.demo.line import Line

CHAPTERS: Final[Mapping[str, Line]] = MappingProxyType(
    {
        "statute.title": Line(
            "A court asks under a statute, and one person is not enough",
            "法院依法查询：一个人说了不算",
        ),
        "statute.doing": Line(
            "A clerk of {court} asks about {citizen} under {law}, by document {document}. No consent is "
            "needed, so nothing leaves yet: the query waits for another person (entry {index}).",
            "{court}书记员依据{law}、凭{document}查询{citizen}。"
            "此时无须本人同意，因此什么也不会给出：须由另一人批准（账目 {index}）。",
        ),
        "statute.own": Line(
            "The clerk approves the query himself. Refused: {reason} (entry {index}).",
            "书记员自行批准。被拒绝：{reason}（账目 {index}）。",
        ),
        "statute.approved": Line(
            "A judge with another key approves by signing the hash of exactly that request (entry {index}), "
            "and is shown nothing.",
            "法官用另一把密钥，对该请求的哈希签名予以批准（账目 {index}），且看不到任何信息。",
        ),
        "statute.collected": Line(
            "The clerk collects: {records} records, in {categories}. Each delivery is an entry of its own "
            "(entry {index}).",
            "书记员领取：{records} 条记录，类别为{categories}。每次给出都单独入账（账目 {index}）。",
        ),
        "statute.seen": Line(
            "{citizen} reads who looked, and finds it there at once:",
            "{citizen}查看谁查过自己，当即可见：",
        ),
        "statute.bank": Line(
            "{bank} names the same statute. Refused: {reason} (entry {index}).",
            "{bank}援引同一条款。被拒绝：{reason}（账目 {index}）。",
        ),
        "statute.deferred": Line(
            "One statute lets an investigation be kept from the person for {days} days. The clerk asks so, "
            "the judge approves (entries {index}). {citizen}'s list is as long as before; the ledger holds "
            "the query under a one-time tag and must join it to {citizen} by {until}, or the verifier says "
            "so.",
            "有一条款允许侦查查询在 {days} 天内暂不告知本人。书记员据此查询，法官批准（账目 {index}）。"
            "{citizen}的列表没有变长；该查询以一次性标签入账，最迟 {until} 必须归入{citizen}名下，"
            "否则核验程序会指出。",
        ),
        "seen.query.pending": Line(
            "{institution} asks under a statute: {statute}",
            "{institution}依法查询：{statute}",
        ),
        "seen.query.redelivered": Line(
            "{institution} was given that answer",
            "{institution}领取了该答复",
        ),
        "seen.query.predicate": Line(
            "{institution} was told a yes or no, for {purpose}",
            "{institution}得到“是”或“否”的答复，用途：{purpose}",
        ),
        "predicate.title": Line(
            "A yes or no, without the records",
            "只答是或否，不给记录",
        ),
        "predicate.doing": Line(
            "{bank} is asked by two people to let them rent without a deposit, and they agree. For this "
            "purpose it may only ask: {rule}?",
            "{bank}拟为两位同意的人免押金租赁。此用途只许问：{rule}？",
        ),
        "predicate.records": Line(
            "It asks for the records all the same. Refused: {reason} (entry {index}).",
            "它仍要求给出记录。被拒绝：{reason}（账目 {index}）。",
        ),
        "predicate.rule": Line(
            "The rule, as it comes with the answer: {text}",
            "随答复给出的规则：{text}",
        ),
        "predicate.answer": Line(
            "{citizen}, as of {day}: {answer}. Nothing else left the gateway (entry {index}); the entry does "
            "not say which of the two it was.",
            "{citizen}，截至 {day}：{answer}。除此之外什么也没有给出（账目 {index}）；账目不记答的是哪一个。",
        ),
        "predicate.yes": Line("yes", "是"),
        "predicate.no": Line("no", "否"),
        "checked.title": Line(
            "Anybody checks the exported ledger",
            "任何人都可以校验导出的账本",
        ),
        "checked.done": Line(
            "The export verifies: {size} entries, {opened} of them opened with the regulator's key.",
            "导出的账本校验无误：共 {size} 条，用监管密钥打开 {opened} 条。",
        ),
    }
)
