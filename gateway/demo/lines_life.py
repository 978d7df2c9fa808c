"""The evidence's first half in lines: from what came in to the refusal after the withdrawal."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from gateway.demo.line import Line

LIFE: Final[Mapping[str, Line]] = MappingProxyType(
    {
        "import.title": Line(
            "What the import keeps out",
            "导入时拒绝了什么",
        ),
        "import.again": Line(
            "The source sends the same file again: {unchanged} records unchanged, none added. For each of "
            "the {adverse} adverse ones the person was told before it was reported.",
            "信源单位再次报送同一文件：{unchanged} 条记录不变，没有新增。其中不良记录 {adverse} 条，"
            "报送前均已告知本人。",
        ),
        "import.unauthorised": Line(
            "Refused, because nothing authorises collecting it: {columns}.",
            "拒绝，没有法律授权采集：{columns}。",
        ),
        "import.separate": Line(
            "Refused, because it needs the person's separate written consent: {columns}.",
            "拒绝，需要本人另行书面同意：{columns}。",
        ),
        "import.judgement": Line(
            "Refused, because it is somebody's judgement of a person and not a record: {columns}.",
            "拒绝，这是对人的评判，而不是信用记录：{columns}。",
        ),
        "import.report": Line(
            "The whole report: {file}",
            "完整报告：{file}",
        ),
        "enrol.title": Line(
            "Where the keys are",
            "密钥在谁手里",
        ),
        "enrol.done": Line(
            "{count} citizens made keys on their own devices. Two officers of {registrar} checked who each "
            "one is, and both signed. The gateway cannot do this in their place.",
            "{count} 名公民在自己的设备上生成密钥。{registrar}的两名经办人核验身份并共同签名，网关无法代替。",
        ),
        "home.parties": Line(
            "Registered by one ledger entry each: {names}. Their private keys lie in {keys}, each owner's "
            "in a folder of its own; the gateway has none of them.",
            "逐一登记入账：{names}。各方私钥分别存放在 {keys} 下各自的目录中，网关一把也没有。",
        ),
        "request.title": Line(
            "The bank asks for consent",
            "银行请求同意",
        ),
        "request.doing": Line(
            "{bank} asks {citizen} to let it read {categories}, for the purpose “{purpose}”.",
            "{bank}请{citizen}同意其查询{categories}，用途为“{purpose}”。",
        ),
        "request.done": Line(
            "The request is entry {index} of the ledger. The bank gets the text to be signed; had the "
            "citizen been unknown, the bank would have seen exactly the same.",
            "该请求是账本第 {index} 条。银行得到待签署的文本；即使查无此人，银行看到的也完全一样。",
        ),
        "grant.title": Line(
            "The citizen agrees",
            "公民表示同意",
        ),
        "grant.doing": Line(
            "{citizen} reads the text and signs it on their own device: {categories}; at most {uses} "
            "queries; valid for {days} days. {left} is left out: a citizen need not agree to what the "
            "purpose can do without.",
            "{citizen}阅读文本，并在自己的设备上签名：{categories}；最多查询 {uses} 次；有效期 {days} 天。"
            "{left}被划去：非必要的内容，公民可以不同意。",
        ),
        "grant.done": Line(
            "The consent is entry {index} of the ledger. {citizen} holds a signed receipt for it.",
            "该同意是账本第 {index} 条。{citizen}持有签名的回执。",
        ),
        "grant.other": Line(
            "{citizen} is asked the same and agrees to everything. That consent stays, for you to try "
            "things with.",
            "{citizen}收到同样的请求，全部同意。这份同意予以保留，供您之后试用。",
        ),
        "query.title": Line(
            "The bank asks, and is answered",
            "银行查询并得到答复",
        ),
        "query.doing": Line(
            "{bank} sends a signed query under that consent.",
            "{bank}依据该同意发出一次签名的查询。",
        ),
        "query.answer": Line(
            "Answered with {records} records, in {categories} and nothing else:",
            "答复了 {records} 条记录，仅限{categories}：",
        ),
        "query.record": Line(
            "{category}: {fields}",
            "{category}：{fields}",
        ),
        "query.adverse": Line(
            "(adverse; the person was told on {day})",
            "（不良信息；已于 {day} 告知本人）",
        ),
        "query.nothing": Line(
            "{category}: nothing is held",
            "{category}：没有记录",
        ),
        "query.receipt": Line(
            "The answer stood in the ledger as entry {index} before it left. The bank checked the "
            "receipt's signature and the proof that the entry is in the ledger, and keeps the signed "
            "checkpoint over {size} entries: from now on no other history can be shown to it.",
            "答复在离开网关之前已记入账本第 {index} 条。银行验证了回执的签名，以及该条确在账本中的证明，"
            "并留存了覆盖 {size} 条的签名检查点：此后谁也无法向它出示另一部历史。",
        ),
        "beyond.title": Line(
            "The bank asks for more than was agreed",
            "银行查询超出同意的范围",
        ),
        "beyond.doing": Line(
            "Under the same consent {bank} also asks for {category}.",
            "{bank}依据同一份同意，还想查询{category}。",
        ),
        "beyond.refused": Line(
            "Refused: {reason}. Nothing was disclosed, and the refusal is entry {index} of the ledger.",
            "拒绝：{reason}。没有披露任何内容，此次拒绝记入账本第 {index} 条。",
        ),
        "accesses.title": Line(
            "The citizen sees who looked",
            "公民查看谁查询过自己",
        ),
        "accesses.doing": Line(
            "{citizen} signs in with their own key and asks who looked, why and when.",
            "{citizen}用自己的密钥签名，查询是谁、为何、何时查看过。",
        ),
        "accesses.line": Line(
            "{index}  {at}  {what}",
            "{index}  {at}  {what}",
        ),
        "seen.record.ingested": Line(
            "{institution} sent records",
            "{institution}报送了记录",
        ),
        "seen.subject.enrolled": Line(
            "the key was enrolled, with the registrar's certificate",
            "密钥经核验机构证明后登记",
        ),
        "seen.consent.requested": Line(
            "{institution} asked for consent: {purpose}",
            "{institution}请求同意：{purpose}",
        ),
        "seen.consent.granted": Line(
            "{institution} was given consent: {categories}",
            "{institution}获得同意：{categories}",
        ),
        "seen.query.disclosed": Line(
            "{institution} looked: {categories}, for {purpose}",
            "{institution}查询了{categories}，用途：{purpose}",
        ),
        "seen.query.refused": Line(
            "{institution} was refused: {reason}",
            "{institution}被拒绝：{reason}",
        ),
        "seen.subject.read": Line(
            "you looked yourself",
            "您本人查看",
        ),
        "accesses.done": Line(
            "{count} entries, none left out: they are numbered and chained. {proofs} of them come with a "
            "proof checked on the citizen's own device.",
            "共 {count} 条，逐条编号成链，无一遗漏；其中 {proofs} 条附有已在公民自己设备上验证的证明。",
        ),
        "withdraw.title": Line(
            "The citizen changes their mind",
            "公民撤回同意",
        ),
        "withdraw.doing": Line(
            "{citizen} signs a withdrawal. It takes one signature, as the consent did, and no reason.",
            "{citizen}签署撤回。与同意一样只需一次签名，无需理由。",
        ),
        "withdraw.done": Line(
            "The withdrawal is entry {index}. No later entry can disclose under that consent.",
            "撤回是账本第 {index} 条。此后再无任何一条能依据该同意作出披露。",
        ),
        "again.title": Line(
            "The bank tries once more",
            "银行再次尝试",
        ),
        "again.doing": Line(
            "{bank} sends the same query, newly signed.",
            "{bank}重新签名，再次发出同样的查询。",
        ),
        "again.refused": Line(
            "Refused: {reason}. The refusal is entry {index} of the ledger.",
            "拒绝：{reason}。记入账本第 {index} 条。",
        ),
    }
)
