"""Every operation of the API, described once: what its route is registered with and its document made of.

Invariant: each stands here exactly once and is one route's. Shapes of bodies are the structs that parse
them, shapes of replies stand in `gateway.http.shapes`, problems are names of the problem table.
"""

from __future__ import annotations

from typing import Annotated, Final

import msgspec

from consent.document import Decline
from gateway.consents import bodies
from gateway.http.operation import CSS, HTML, JSON, OCTETS, TEXT, Operation, Text
from gateway.http.problems import REFUSALS
from gateway.http.shapes import citizens, consents, queries, service
from gateway.notices.contacts import ContactBody
from gateway.query.request import Approval, Query

_OF_A_REQUEST: Final = (
    "institution-suspended",
    "operator-suspended",
    "role-not-permitted",
    "query-id-reused",
    "purpose-unknown",
    "purpose-off",
    "predicate-suffices",
    "category-unknown",
    "category-not-permitted",
    "category-missing",
    "answer-not-offered",
    "expired",
    "validity-too-long",
    "uses-too-many",
    "retention-too-long",
    "quota-exceeded",
)
_STANDING: Final = ("institution-suspended", "operator-suspended", "role-not-permitted")
_QUERIED: Final = tuple(sorted(REFUSALS - {"validity-too-long", "uses-too-many", "retention-too-long"}))

# --- queries ---

QUERY: Final = Operation(
    "query",
    "凭授权查询，当即应答；依法定职权查询，先登记，待另一人批准。"
    "同一 query_id、同一内容重发，期限内再次给出同样的答复，不计次数",
    "Query under a consent, answered at once; or under a statute, recorded until another person approves. "
    "The same query_id with the same body, signed anew in time, is redelivered and takes no use",
    {200: (queries.Answered, queries.AnsweredSealed), 202: (queries.Pending,)},
    body=Query,
    body_rule={
        "oneOf": [
            {"required": ["consent_id"], "not": {"required": ["statute"]}},
            {"required": ["statute", "person_check"], "not": {"required": ["consent_id"]}},
        ]
    },
    problems=(*_QUERIED, "undelivered", "quota-exceeded"),
)
APPROVE: Final = Operation(
    "approve",
    "批准或不予批准本机构另一名用户提交的法定查询；批准人看不到任何信息",
    "Approve or deny a statutory query of another operator; the approver sees no data",
    {200: (queries.Settled,)},
    body=Approval,
    problems=(*_QUERIED, "not-found", "already-answered", "approval-mismatch", "quota-exceeded"),
)
COLLECT: Final = Operation(
    "collect",
    "提交人领取法定查询的结果；每次领取都记入账本",
    "The requester collects what became of a statutory query; each delivery is an entry",
    {200: (queries.Answered, queries.AnsweredSealed), 202: (queries.Pending,)},
    problems=(*_QUERIED, "not-found", "undelivered", "quota-exceeded"),
)

# --- consent ---

ASK_CONSENT: Final = Operation(
    "askConsent",
    "请求信息主体授权；无论此人是否存在，答复都一样",
    "Ask for a person's consent; the reply is the same for a person who is unknown",
    {201: (consents.ConsentAsked,)},
    body=bodies.ConsentRequest,
    problems=(*_OF_A_REQUEST, "request-id-reused"),
)
LOOK_AT_REQUEST: Final = Operation(
    "lookAtRequest",
    "查看授权请求的状态与待签文件",
    "The state of a consent request, and the document to sign",
    {200: (consents.RequestState,)},
    problems=("not-found", "key-not-live", *_STANDING),
)
DECLINE: Final = Operation(
    "decline",
    "信息主体拒绝授权请求，无须说明理由",
    "The citizen declines a request; no reason is asked for",
    {200: (consents.Declined,)},
    body=Decline,
    problems=("not-found", "consent-mismatch", "already-answered", "request-lapsed", "key-not-live"),
)
GRANT: Final = Operation(
    "grant",
    "提交信息主体签名的授权书；附核验证书时同时登记密钥",
    "Hand in a consent that the citizen signed; with a certificate it also enrols the key",
    {201: (consents.Granted,)},
    body=bodies.Grant,
    problems=(
        "consent-mismatch",
        "bad-proof",
        "bad-certificate",
        "challenge-gone",
        "already-answered",
        "request-lapsed",
        "purpose-off",
        "key-not-live",
        "second-key",
    ),
)
SHOW_CONSENT: Final = Operation(
    "showConsent",
    "查看一份授权：内容、状态与已用次数",
    "One consent: the document, its state and how often it was used",
    {200: (consents.ConsentState,)},
    problems=("not-found", "key-not-live", *_STANDING),
)
_COUNTER: Final = (*_STANDING, "counter-refused", "not-found")
_SIGNED_OR_ORDERED: Final = {
    "oneOf": [
        {"required": ["proof"]},
        {"required": ["signatures", "officers", "citizen_number"], "not": {"required": ["proof"]}},
    ]
}
WITHDRAW: Final = Operation(
    "withdraw",
    "提交信息主体签名的撤回声明，或柜台两名经办人签名的撤回指令；此后不再凭该授权提供信息",
    "Hand in a withdrawal that the citizen signed, or that two officers at the counter ordered: nothing is "
    "disclosed under that consent any more",
    {201: (consents.Withdrawn,)},
    body=bodies.Withdraw,
    body_rule=_SIGNED_OR_ORDERED,
    problems=(
        "consent-mismatch",
        "bad-proof",
        "key-not-live",
        "challenge-gone",
        "already-answered",
        *_COUNTER,
    ),
)
RESUME: Final = Operation(
    "resume",
    "信息主体确认恢复被中止的授权",
    "The citizen confirms a suspended consent with a live key; it is answered under again",
    {201: (consents.Resumed,)},
    body=bodies.Resume,
    problems=(
        "consent-mismatch",
        "bad-proof",
        "key-not-live",
        "challenge-gone",
        "already-answered",
        "not-found",
    ),
)
CHALLENGE: Final = Operation(
    "challenge",
    "取得一份文件的通行密钥挑战，五分钟内有效，只用一次",
    "A passkey's challenge for one document, good once and for five minutes",
    {201: (consents.Challenged,)},
    body=bodies.Challenge,
    problems=("consent-mismatch",),
)

# --- what institutions are told ---

EVENTS: Final = Operation(
    "events",
    "本机构的通知事件（授权、拒绝、撤回、到期、中止、恢复、更正），按账本顺序编号；以 after 续取",
    "What this institution is told (granted, declined, withdrawn, expired, suspended, resumed, corrected), "
    "numbered in the order of the ledger; go on with after",
    {200: (queries.Events,)},
    query={
        "after": Annotated[str, msgspec.Meta(pattern=r"\A[0-9]{1,15}\Z", description="the last seq seen")],
        "limit": Annotated[
            str, msgspec.Meta(pattern=r"\A[0-9]{1,4}\Z", description="1 to 1000, usually 100")
        ],
    },
    problems=("malformed-body", *_STANDING),
)

# --- the citizen's own ---

ENROL: Final = Operation(
    "enrol",
    "登记核验机构证明的密钥；请求由该密钥签名",
    "Enrol a key that a registrar certified; the request is signed with that key",
    {201: (consents.Enrolled,)},
    body=bodies.Enrol,
    problems=(
        "not-signed",
        "bad-signature",
        "stale-signature",
        "target-refused",
        "replayed-nonce",
        "bad-certificate",
        "second-key",
    ),
)
REVOKE_KEY: Final = Operation(
    "revokeKey",
    "作废信息主体的密钥：本人签名，或柜台两名经办人指令；泄露的密钥所作授权随即中止",
    "Revoke a citizen's key: signed by a live key of theirs, or ordered by two officers at the counter. What "
    "a lost key granted stands; what a compromised key granted is suspended",
    {201: (consents.Revoked,)},
    body=bodies.Revoke,
    body_rule=_SIGNED_OR_ORDERED,
    problems=("bad-proof", "key-not-live", "key-in-effect", "challenge-gone", "already-answered", *_COUNTER),
)
COUNTER_CONSENTS: Final = Operation(
    "counterConsents",
    "柜台两名经办人为到场本人查询其密钥与有效授权；每次查询都记入账本",
    "Keys and live consents of the person before two officers at the counter; each look is an entry",
    {200: (citizens.CounterConsents,)},
    body=bodies.Counter,
    problems=(*_COUNTER, "replayed-nonce"),
)
OWN_KEYS: Final = Operation(
    "ownKeys",
    "查看本人登记过的密钥及生效时间",
    "Every key enrolled for oneself, and from when it acts; reading it is an entry too",
    {200: (citizens.OwnKeys,)},
    problems=("key-not-live",),
)
OWN_REPORT: Final = Operation(
    "ownReport",
    "查看本人信用报告；查看本身也记入账本",
    "Everything held about oneself; reading it is an entry too",
    {200: (citizens.OwnReport,)},
    problems=("key-not-live",),
)
OWN_ACCESSES: Final = Operation(
    "ownAccesses",
    "查看谁在何时因何查询过本人，每条附存在证明",
    "Who looked, why and when, each entry with its inclusion proof",
    {200: (citizens.Accesses,)},
    query={"after": Annotated[str, msgspec.Meta(pattern=r"\A[0-9]{1,15}\Z", description="the last n seen")]},
    problems=("malformed-body", "key-not-live"),
)

PUT_CONTACT: Final = Operation(
    "putContact",
    "登记接收通知的邮箱或手机号码；只告知有新消息，不含任何内容",
    "Where to be notified: e-mail or mobile number. A notice says that there is news, and nothing of it",
    {200: (citizens.OwnContact,)},
    body=ContactBody,
)
OWN_CONTACTS: Final = Operation(
    "ownContacts",
    "查看本人登记的联系方式",
    "Where one is notified",
    {200: (citizens.OwnContacts,)},
)
DROP_CONTACTS: Final = Operation(
    "dropContacts",
    "删除本人登记的全部联系方式，不再接收通知",
    "Forget every address of one's own: no notices any more",
    {200: (citizens.OwnContacts,)},
)

# --- the log ---

CHECKPOINT: Final = Operation(
    "checkpoint",
    "最新检查点（C2SP tlog-checkpoint）",
    "The latest checkpoint (C2SP tlog-checkpoint)",
    {200: (Text(TEXT, "签名的检查点", "a signed note"),)},
    records=False,
)
TILE: Final = Operation(
    "tile",
    "账本的散列块（C2SP tlog-tiles）；条目块只给监管的审计用户，须签名",
    "Hash tiles (C2SP tlog-tiles); entry bundles only to a regulator's auditor, whose request is signed",
    {200: (Text(OCTETS, "散列块或条目块", "a tile or an entry bundle"),)},
    problems=(
        "not-found",
        "not-signed",
        "bad-signature",
        "stale-signature",
        "unknown-key",
        "replayed-nonce",
        "target-refused",
        "too-many-bad-signatures",
    ),
)
POLICY: Final = Operation(
    "policy",
    "按散列值公布的政策",
    "A policy bundle by its hash",
    {200: (Text(JSON, "政策的规范 JSON", "the bundle's canonical JSON"),)},
    problems=("not-found",),
)
PROOF: Final = Operation(
    "proof",
    "一条账本记录的存在证明（C2SP tlog-proof）",
    "The inclusion proof of one entry (C2SP tlog-proof)",
    {200: (Text(TEXT, "存在证明", "tlog-proof@v1"),)},
    problems=("not-found", "not-yet-published"),
)
KEYS: Final = Operation("keys", "已公布的公钥", "The published keys", {200: (service.Keys,)})

# --- the machine ---

INDEX: Final = Operation(
    "index", "首页", "The front page", {200: (Text(HTML, "首页", "a page"),)}, records=False
)
HEALTH: Final = Operation(
    "health", "进程在运行", "The process runs", {200: (service.Healthy,)}, records=False
)
READY: Final = Operation(
    "ready",
    "网关是否可以服务；否则说明原因代码",
    "Whether the gateway serves; else a code that says why not",
    {200: (service.Ready,)},
    problems=("not-ready",),
    records=False,
)
OPENAPI: Final = Operation(
    "openapi", "本接口文档（OpenAPI 3.1）", "This document", {200: (service.ApiDocument,)}, records=False
)
DOCS: Final = Operation(
    "docs",
    "供人阅读的接口文档",
    "This document, for people",
    {200: (Text(HTML, "网页", "a page"),)},
    records=False,
)
DOCS_STYLE: Final = Operation(
    "docsStyle",
    "接口文档的样式",
    "The style of /docs",
    {200: (Text(CSS, "样式表", "a style sheet"),)},
    records=False,
)
