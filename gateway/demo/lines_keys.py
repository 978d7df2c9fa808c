"""The lines of the chapter of the keys."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from gateway.demo.line import Line

KEYS: Final[Mapping[str, Line]] = MappingProxyType(
    {
        "rotated.title": Line(
            "Keys are replaced while the bank asks",
            "银行查询不停，密钥照换",
        ),
        "rotated.done": Line(
            "{tellers} tellers go on asking. New keys sign receipts (from entry {receipt}) and checkpoints "
            "(entry {checkpoint}), the key of epoch {epoch} wraps all {keys} data keys, and the one before "
            "it is destroyed (entry {destroyed}).",
            "{tellers} 名柜员持续查询。新密钥签发回执（自第 {receipt} 条起），另一把签署检查点"
            "（第 {checkpoint} 条），{keys} 把数据密钥全部改由第 {epoch} 期密钥封装，上一期密钥已销毁"
            "（第 {destroyed} 条）。",
        ),
        "rotated.load": Line(
            "{answered} queries were answered, none failed. Every receipt verifies with the key of its "
            "index: {before} with the old one, {after} with the new.",
            "{answered} 次查询全部得到答复，无一失败。每张回执都由其序号所属的密钥验证："
            "旧密钥 {before} 张，新密钥 {after} 张。",
        ),
        "lost.title": Line(
            "A key is lost; two officers end the consents",
            "密钥丢失：由两名柜台人员代为撤回授权",
        ),
        "lost.done": Line(
            "{citizen} comes to {registrar} without the phone. By two officers' orders both consents end "
            "(entries {withdrawn}), and so does the lost key (entry {revoked}). The gateway cannot make "
            "such an order.",
            "{citizen}丢了手机，来到{registrar}柜台。凭两名柜台人员签署的指令，两份授权均告撤回"
            "（第 {withdrawn} 条），丢失的密钥同时作废（第 {revoked} 条）。网关只能执行指令，不能自行出具。",
        ),
        "lost.refused": Line(
            "{bank} asks at once. Refused: {reason} (entry {index}).",
            "{bank}随即查询。被拒绝：{reason}（第 {index} 条）。",
        ),
        "lost.second": Line(
            "A new key (entry {index}) acts from {effective} UTC: {hours} hours to object.",
            "新密钥入账（第 {index} 条），{hours} 小时异议期满后，自 {effective}（UTC）起方可使用。",
        ),
        "erased.title": Line(
            "A citizen has the records erased",
            "公民要求删除记录",
        ),
        "erased.held": Line(
            "{citizen} demands it, but an open case holds them (entry {index}): nothing is erased.",
            "{citizen}要求删除，但有案件在办，记录已封存（第 {index} 条）：不得删除。",
        ),
        "erased.done": Line(
            "The case is closed (entry {closed}). {records} records go with their keys (entry {index}). No "
            "certificate yet: the key of epoch {epoch} still opens old backups.",
            "案件办结（第 {closed} 条）。{records} 条记录连同其密钥一并删除（第 {index} 条）。"
            "尚不能出具证明：第 {epoch} 期密钥仍能打开旧备份。",
        ),
        "certified.title": Line(
            "The erasure is certified",
            "出具删除证明",
        ),
        "certified.done": Line(
            "The rest is wrapped anew, the key of epoch {epoch} is destroyed (entry {index}), and the "
            "gateway certifies that {records} records are gone from every backup. It holds offline:",
            "其余密钥重新封装，第 {epoch} 期密钥销毁（第 {index} 条）。网关这才证明："
            "{records} 条记录已从所有备份中消失。证明可离线核验：",
        ),
        "restored.title": Line(
            "An old database is put back",
            "旧数据库被恢复",
        ),
        "restored.done": Line(
            "A backup of before the loss ({size} entries) is restored elsewhere. {keys} of its data keys "
            "open no more: what was erased stays erased.",
            "把密钥丢失之前的备份（{size} 条）恢复到另一目录。其中 {keys} 把数据密钥再也打不开："
            "删除的依旧不可恢复。",
        ),
        "restored.refused": Line(
            "The gateway refuses to start: {finding}.",
            "网关拒绝启动：{finding}。",
        ),
        "restored.recovered": Line(
            "Recovered, it has {count} entries back from the log's public tiles, and the consent that "
            "ended at the counter stays ended: {reason} (entry {index}).",
            "执行恢复后，从账本的公开分片补回 {count} 条。柜台撤回的授权依旧不能查询：{reason}"
            "（第 {index} 条）。",
        ),
    }
)
