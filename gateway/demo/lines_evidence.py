"""The evidence's second half in lines: who can check all this, and who is caught."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from gateway.demo.line import Line

EVIDENCE: Final[Mapping[str, Line]] = MappingProxyType(
    {
        "regulator.title": Line(
            "The regulator reads the sealed details",
            "监管机构查阅密封的详情",
        ),
        "regulator.doing": Line(
            "The ledger names no person. On an export of it, offline and without the gateway, {regulator} "
            "opens the sealed details with its own key. The three of this story:",
            "账本中没有任何人的姓名。{regulator}在导出的账本上，离线、不经网关，用自己的密钥打开密封的详情。"
            "本次演示的三条：",
        ),
        "regulator.consent.granted": Line(
            "entry {index}: the consent that {institution} got, and the citizen's signature under it, by "
            "the key {key}…",
            "第 {index} 条：{institution}获得的同意书，以及公民的签名，密钥 {key}…",
        ),
        "regulator.query.disclosed": Line(
            "entry {index}: what {institution} asked, {categories}, and the {revisions} record revisions "
            "that it got",
            "第 {index} 条：{institution}所查询的{categories}，以及它得到的 {revisions} 个记录版本",
        ),
        "regulator.query.refused": Line(
            "entry {index}: what {institution} asked and was refused: {categories}",
            "第 {index} 条：{institution}查询而被拒绝的：{categories}",
        ),
        "regulator.done": Line(
            "{count} entries have sealed details, and all of them open.",
            "共有 {count} 条附有密封的详情，全部可以打开。",
        ),
        "insider.title": Line(
            "An insider changes history",
            "内部人员篡改历史",
        ),
        "insider.doing": Line(
            "Somebody inside, with the database, the passphrase and every key of the gateway, tries six "
            "ways, each on a copy of the state:",
            "一名内部人员掌握数据库、口令和网关的全部密钥，在状态的副本上尝试六种手法：",
        ),
        "insider.rewrite": Line(
            "Rewrites entry {index}, so that the bank seems to have asked for another purpose.",
            "改写第 {index} 条，让银行的查询看起来是另一种用途。",
        ),
        "insider.recount": Line(
            "Sets the count of a consent's uses back to 0, so that it lasts longer.",
            "把一份同意的已用次数改回 0，让它可以多用几次。",
        ),
        "insider.unwithdraw": Line(
            "Deletes the withdrawal, entry {index}, and marks the consent as granted again.",
            "删除撤回（第 {index} 条），并把同意改回有效。",
        ),
        "insider.move": Line(
            "Puts another person's encrypted record into a citizen's file.",
            "把另一个人的加密记录移到某公民名下。",
        ),
        "insider.restore": Line(
            "Puts the database back to how it was before the withdrawal.",
            "把数据库恢复到撤回之前的样子。",
        ),
        "insider.forge": Line(
            "Writes one more answer under the withdrawn consent, with the gateway's own code, and signs the"
            " longer ledger with the gateway's own key.",
            "用网关自己的程序，在已撤回的同意下再写入一次答复，并用网关自己的密钥为加长的账本签名。",
        ),
        "caught.verifier": Line(
            "Caught by the verifier, at entry {index}: {finding}",
            "被核验程序发现，在第 {index} 条：{finding}",
        ),
        "caught.gateway": Line(
            "Caught by the gateway, which answers no query under it: {reason} (entry {index}).",
            "被网关发现，不再据此答复任何查询：{reason}（第 {index} 条）。",
        ),
        "caught.start": Line(
            "Caught by the gateway, which does not start: {finding}",
            "被网关发现，网关拒绝启动：{finding}",
        ),
        "export.title": Line(
            "Anybody can check the ledger",
            "任何人都能核验账本",
        ),
        "export.done": Line(
            "The ledger is exported to {directory}: {size} entries, in an open format (C2SP tiles) that "
            "other tools read too.",
            "账本已导出到 {directory}：共 {size} 条，采用其他工具也能读取的公开格式（C2SP tiles）。",
        ),
        "export.verified": Line(
            "Checked offline, without the gateway, its database or its secrets: all {size} entries are "
            "sound, every answer was under a live consent, and each of the {opened} sealed details fits its"
            " entry. The identity office's key and the regulator's came from their owners, not from the "
            "gateway.",
            "已离线核验，不需要网关及其数据库和秘密：{size} 条全部完好，每次答复都有当时有效的同意，"
            "{opened} 条密封的详情均与账本相符。核验机构和监管机构的密钥来自其本人，而不是来自网关。",
        ),
        "verify.copy": Line(
            "Check it yourself. Copy this line:",
            "请亲自核验，复制这一行：",
        ),
        "verify.forged": Line(
            "And the ledger that the insider signed in attempt {number}, which says WRONG:",
            "再核验内部人员在第 {number} 种手法中签署的账本，结果为 WRONG：",
        ),
        "after.try": Line(
            "Look further:",
            "继续查看：",
        ),
    }
)
