"""The lines of the demo's story, in English and Chinese.

Invariant: every line exists in both languages with the same named placeholders, and `say` fills exactly
those: a missing or a surplus value is an error, never a line with a hole in it. The story says nothing that
the runner has not just done: numbers, reasons and commands come in as values.
"""

from __future__ import annotations

from collections.abc import Mapping
from string import Formatter
from types import MappingProxyType
from typing import Final, Literal, NamedTuple

Language = Literal["en", "zh"]


class Line(NamedTuple):
    """One line of the story. Fields are `str.format` templates with named placeholders only."""

    en: str
    zh: str


def language_of(setting: str | None) -> Language:
    """`zh` for any Chinese locale name (`zh`, `zh_CN.UTF-8`, `zh-Hans`), otherwise `en`."""
    return (
        "zh"
        if (setting or "").strip().lower().replace("_", "-").split("-")[0].split(".")[0] == "zh"
        else "en"
    )


def placeholders(template: str) -> frozenset[str]:
    """The names a template wants filled."""
    return frozenset(name for _, name, _, _ in Formatter().parse(template) if name is not None)


def say(key: str, language: Language, **values: object) -> str:
    """The line `key` with its placeholders filled.

    Raises KeyError for an unknown key and ValueError when the values are not exactly the placeholders.
    """
    template = getattr(STORY[key], language)
    if placeholders(template) != values.keys():
        raise ValueError(f"line {key} wants {sorted(placeholders(template))}, got {sorted(values)}")
    return str(template.format(**values))


STORY: Final[Mapping[str, Line]] = MappingProxyType(
    {
        "welcome.title": Line(
            "Chengxin Gateway: no credit query without the citizen's consent",
            "诚信网关：没有本人同意，就没有信用查询",
        ),
        "welcome.what": Line(
            "You will see one query from end to end. Nothing about a person leaves unless that person "
            "signed for it, and every answer and every refusal is written to a ledger that nobody can "
            "quietly change.",
            "下面完整演示一次信用查询。没有本人的签名同意，任何个人信息都不会离开网关；"
            "每一次答复和拒绝都记入账本，谁也不能悄悄改动。",
        ),
        "welcome.data": Line(
            "The credit data are real and public: Statlog (German Credit Data), H. Hofmann, UCI Machine "
            "Learning Repository, CC BY 4.0. The people are invented: their names and citizen numbers "
            "belong to nobody.",
            "信用数据真实且公开：Statlog 德国信贷数据（H. Hofmann，UCI 机器学习库，CC BY 4.0）。"
            "人物均为虚构：姓名和公民身份号码不属于任何人。",
        ),
        "welcome.cast": Line(
            "Who takes part: {citizen}, a citizen; {bank}, a bank; {registrar}, who checks identities; "
            "{regulator}, who oversees.",
            "出场角色：公民{citizen}；银行{bank}；身份核验机构{registrar}；监管机构{regulator}。",
        ),
        "home.found": Line(
            "An earlier demo is running (process {pid}). Stopping that one only.",
            "发现先前的演示仍在运行（进程 {pid}），只停止这一个。",
        ),
        "home.made": Line(
            "Starting afresh in {home}: new keys, an empty ledger.",
            "在 {home} 中重新开始：新的密钥，空的账本。",
        ),
        "import.title": Line(
            "A source sends credit records",
            "信源单位报送信用记录",
        ),
        "import.doing": Line(
            "The source sends a file of {rows} applicants. What no law allows is refused before anything "
            "is stored.",
            "信源单位报送一份含 {rows} 名申请人的文件。法律未授权的内容在入库之前即被拒绝。",
        ),
        "import.done": Line(
            "Stored, encrypted field by field: {records} records about {people} people, {adverse} of "
            "them adverse. For each adverse one the person was told before it was reported.",
            "已逐字段加密入库：{people} 人的 {records} 条记录，其中不良记录 {adverse} 条，"
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
        "import.again": Line(
            "The same file is sent again: {unchanged} records unchanged, none added.",
            "同一文件再次报送：{unchanged} 条记录不变，没有新增。",
        ),
        "enrol.title": Line(
            "Citizens get keys of their own",
            "公民取得自己的密钥",
        ),
        "enrol.doing": Line(
            "{count} citizens make keys on their own devices. Two officers of {registrar} check who each "
            "one is, and both sign. The gateway cannot do this in their place.",
            "{count} 名公民在自己的设备上生成密钥。{registrar}的两名经办人核验身份并共同签名，网关无法代替。",
        ),
        "enrol.done": Line(
            "Enrolled: {count} citizens.",
            "已登记：{count} 名公民。",
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
            "queries; valid for {days} days.",
            "{citizen}阅读文本，并在自己的设备上签名：{categories}；最多查询 {uses} 次；有效期 {days} 天。",
        ),
        "grant.done": Line(
            "The consent is entry {index} of the ledger. {citizen} holds a signed receipt for it.",
            "该同意是账本第 {index} 条。{citizen}持有签名的回执。",
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
        "query.receipt": Line(
            "The answer stood in the ledger as entry {index} before it left. The bank checked the "
            "receipt's signature and the proof that the entry is in the ledger.",
            "答复在离开网关之前已记入账本第 {index} 条。银行验证了回执的签名，以及该条确在账本中的证明。",
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
            "{at}  {institution}  {purpose}  {outcome}",
            "{at}  {institution}  {purpose}  {outcome}",
        ),
        "accesses.done": Line(
            "{count} accesses, and {proofs} of them come with a proof checked on the citizen's own device.",
            "共 {count} 次访问，其中 {proofs} 次附有已在公民自己设备上验证的证明。",
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
        "regulator.title": Line(
            "The regulator reads the sealed details",
            "监管机构查阅密封的详情",
        ),
        "regulator.doing": Line(
            "The ledger names nobody. On a copy of it, without the gateway, {regulator} opens the sealed "
            "details with its own key.",
            "账本中没有任何人的姓名。{regulator}在账本副本上，不经网关，用自己的密钥打开密封的详情。",
        ),
        "regulator.done": Line(
            "{count} entries opened: which consent was signed, by which certified key, and what was "
            "answered.",
            "打开了 {count} 条：签署了哪份同意、由哪把经核验的密钥签署、答复了什么。",
        ),
        "insider.title": Line(
            "An insider changes history",
            "内部人员篡改历史",
        ),
        "insider.doing": Line(
            "On a copy of the state, somebody with full access to the database rewrites entry {index}.",
            "在状态的一份副本上，拥有数据库全部权限的内部人员改写了第 {index} 条。",
        ),
        "insider.caught": Line(
            "Caught, at entry {index}: {finding}",
            "被发现，在第 {index} 条：{finding}",
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
            "Checked offline, without the gateway and without any secret: all {size} entries are sound, "
            "and every answer was under a live consent.",
            "已离线核验，不需要网关，也不需要任何秘密：{size} 条全部完好，每次答复都有当时有效的同意。",
        ),
        "verify.copy": Line(
            "Check it yourself. Copy this line:",
            "请亲自核验，复制这一行：",
        ),
        "after.try": Line(
            "Look further. For example:",
            "继续查看，例如：",
        ),
        "server.running": Line(
            "The server keeps running. Open in a browser:",
            "服务器继续运行。请在浏览器中打开：",
        ),
        "server.stop": Line(
            "To stop it: {command}",
            "停止服务器：{command}",
        ),
        "server.once": Line(
            "ONCE=1: the server is stopped. Its state stays in {home}.",
            "ONCE=1：服务器已停止，状态保留在 {home}。",
        ),
        "command": Line(
            "    {command}",
            "    {command}",
        ),
        "done": Line(
            "The story is over: {seconds} s.",
            "演示结束，用时 {seconds} 秒。",
        ),
        "failed": Line(
            "The demo stopped at “{step}”: {what}",
            "演示在“{step}”处中止：{what}",
        ),
    }
)
