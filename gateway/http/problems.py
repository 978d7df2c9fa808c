"""Every error the gateway answers with, in one table: RFC 9457 problem details in Chinese and English.

Invariant: a problem is chosen by its stable name and says the same to everybody. No text is composed from a
request or a record; what is added (a receipt, an index, a field's name) is one of `EXTRA`, and is a code, an
identifier or a number, so that no name and no citizen number can reach an error body.

A name is never renamed or reused: clients branch on `type`, people read `title` and `hint`. Every reason of
`consent.decision.Reason` is a row, under its own name.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from keys.canonical import canonical

TYPE_PREFIX: Final = "urn:chengxin:problem:"
MEDIA_TYPE: Final = "application/problem+json"
CHALLENGE: Final = 'Signature realm="chengxin"'

EXTRA: Final = frozenset(
    {
        "why",
        "field",
        "rule",
        "reason",
        "index",
        "state",
        "request_id",
        "query_id",
        "consent_id",
        "instance",
    }
)
_EXTRA_VALUE: Final = re.compile(r"[A-Za-z0-9_.:/$\[\]-]{1,128}")


@dataclass(frozen=True, slots=True)
class Problem:
    """One row: a stable name, its HTTP status, what it is and what to do about it, in both languages.

    `retry_after` is in seconds.
    """

    name: str
    status: int
    title_zh: str
    title_en: str
    hint_zh: str
    hint_en: str
    retry_after: int | None = None

    @property
    def type(self) -> str:
        return TYPE_PREFIX + self.name

    def members(
        self, receipt: str | None = None, extra: Mapping[str, str | int] | None = None
    ) -> dict[str, object]:
        """The members of the problem object. `receipt` is a compact JWS.

        Raises ValueError for an extra member that is not in `EXTRA` or whose value could carry personal data.
        """
        body: dict[str, object] = {
            "type": self.type,
            "status": self.status,
            "title": self.title_en,
            "title_zh": self.title_zh,
            "hint": self.hint_en,
            "hint_zh": self.hint_zh,
        }
        for name, value in (extra or {}).items():
            if name not in EXTRA or not (isinstance(value, int) or _EXTRA_VALUE.fullmatch(value)):
                raise ValueError("an extra problem member must be a known name and a code, an id or a number")
            body[name] = value
        if receipt is not None:
            body["receipt"] = receipt
        return body

    def to_json(self, receipt: str | None = None, extra: Mapping[str, str | int] | None = None) -> bytes:
        """The body as canonical JSON. See `members`."""
        return canonical(self.members(receipt, extra))

    def headers(self) -> dict[str, str]:
        """The response headers that belong to it: media type, no caching, and what the status demands."""
        headers = {"Content-Type": MEDIA_TYPE, "Cache-Control": "no-store"}
        if self.retry_after is not None:
            headers["Retry-After"] = str(self.retry_after)
        if self.status == 401:
            headers["WWW-Authenticate"] = CHALLENGE  # RFC 9110 section 11.6.1
        return headers


def problem(name: str) -> Problem:
    """The row called `name`. An unknown name is our own fault and is answered as `internal`."""
    return PROBLEMS.get(name, PROBLEMS["internal"])


def name_of(type_uri: str) -> str | None:
    """The problem name in a `type` URI, or None when the type is not one of ours."""
    return type_uri.removeprefix(TYPE_PREFIX) if type_uri.startswith(TYPE_PREFIX) else None


# A table is read by its rows.
# fmt: off
_REFUSALS: Final = (
    Problem("institution-suspended", 403, "机构已被暂停", "The institution is suspended",
            "联系监管部门，恢复后再查询。",
            "Ask the regulator; queries are answered again once the institution is reinstated."),
    Problem("operator-suspended", 403, "查询用户已被暂停", "The operator is suspended",
            "由本机构管理员联系网关恢复该用户，或改用另一名查询用户。",
            "Have the operator reinstated, or let another operator of the institution query."),
    Problem("role-not-permitted", 403, "该用户的角色不允许此操作", "The operator's role does not allow this",
            "改用具有相应角色的用户；管理员不能查询。",
            "Use an operator that holds the role; administrators cannot query."),
    Problem("purpose-unknown", 403, "查询原因不在目录中", "The purpose is not in the policy",
            "使用现行政策列出的查询原因代码。",
            "Use a purpose code that the policy in force lists."),
    Problem("purpose-off", 403, "该查询原因尚未启用", "The purpose is not switched on",
            "其法律依据尚未核对；核对后由网关启用。",
            "Its legal basis has not been checked yet; it can be used once the gateway switches it on."),
    Problem("statute-not-held", 403, "机构不具备所称的法定查询权",
            "The institution does not hold the named statute",
            "改为取得信息主体的授权。",
            "Ask the person for consent instead."),
    Problem("no-consent", 403, "没有适用的授权", "There is no consent that applies",
            "向信息主体请求授权，并使用其授权编号。",
            "Request the person's consent and name its consent_id."),
    Problem("evidence-broken", 403, "授权证据校验失败", "The evidence of the consent does not verify",
            "未提供任何信息，网关运营方已收到告警；请联系网关。",
            "Nothing was released and the gateway's operator was alerted; contact the gateway."),
    Problem("person-mismatch", 403, "授权人与核对的身份不一致",
            "The consent is not by the person named in person_check",
            "核对公民身份号码与授权编号。",
            "Check the citizen number and the consent_id."),
    Problem("key-not-live", 403, "所用密钥已失效或尚未生效", "The key that signed is not live",
            "请信息主体用有效的密钥签名；新增的密钥须等待期满。",
            "The person signs with a live key; a further key acts once its wait is over."),
    Problem("withdrawn", 403, "授权已被撤回", "The consent was withdrawn",
            "停止查询；如仍需要，重新请求授权。",
            "Stop querying; request a new consent if there is a new need."),
    Problem("consent-suspended", 403, "授权已被中止", "The consent is suspended",
            "等待信息主体确认或授权恢复。",
            "Wait until the person confirms it or it is resumed."),
    Problem("not-yet-valid", 403, "授权尚未生效", "The consent is not valid yet",
            "在授权的生效时间之后查询。",
            "Query after the consent's not_before."),
    Problem("expired", 403, "授权已过期", "The consent has expired",
            "重新请求授权。",
            "Request a new consent."),
    Problem("exhausted", 403, "授权的查询次数已用完", "The consent has no uses left",
            "重新请求授权。",
            "Request a new consent."),
    Problem("purpose-mismatch", 403, "查询原因与授权不符", "The purpose is not the one consented to",
            "按授权写明的查询原因查询，或另行请求授权。",
            "Query for the purpose in the consent, or request another consent."),
    Problem("category-unknown", 403, "信息类别不在目录中", "A category is not in the catalogue",
            "使用目录列出的信息类别代码。",
            "Use category codes that the catalogue lists."),
    Problem("category-not-consented", 403, "信息类别超出授权范围", "A category goes beyond the consent",
            "只查询授权中列明的类别。",
            "Ask only for the categories named in the consent."),
    Problem("category-not-permitted", 403, "该查询原因不得使用此类别",
            "A category is not permitted for this purpose",
            "去掉该类别。",
            "Leave that category out."),
    Problem("category-missing", 403, "缺少该查询原因所必需的类别",
            "A category that this purpose needs is missing",
            "补上该查询原因所必需的类别。",
            "Add the categories that the policy names as necessary for the purpose."),
    Problem("answer-mismatch", 403, "应答形式与授权不符", "The form of answer is not the one consented to",
            "按授权写明的应答形式查询。",
            "Ask for the form of answer in the consent."),
    Problem("answer-not-offered", 403, "网关不提供这种应答形式", "This form of answer is not offered",
            "使用该查询原因列出的应答形式。",
            "Use a form of answer that the purpose offers."),
    Problem("validity-too-long", 403, "授权期限过长", "The validity is too long",
            "缩短 not_before 与 not_after 之间的期限，至政策规定以内。",
            "Shorten the time between not_before and not_after to what the policy allows."),
    Problem("uses-too-many", 403, "查询次数过多", "Too many uses",
            "减少 max_uses，至政策规定以内。",
            "Lower max_uses to what the policy allows."),
    Problem("retention-too-long", 403, "保存期限过长", "The retention is too long",
            "减少 retention_days，至政策规定以内。",
            "Lower retention_days to what the policy allows."),
    Problem("predicate-suffices", 403, "该查询原因只需是否应答，不得调取原始记录",
            "A yes or no serves this purpose, so records are not given",
            "改用该查询原因所列的判断（predicate:名称）。",
            "Ask for one of the predicates that the purpose offers (predicate:NAME)."),
    Problem("approval-denied", 403, "法定查询未获批准", "The statutory query was not approved",
            "与批准人核实；确有需要时另行提交。",
            "Settle it with the approver; submit a new query if there is a need."),
    Problem("approval-lapsed", 403, "法定查询逾期未获批准", "The statutory query was not approved in time",
            "另行提交，并在期限内由另一名用户批准。",
            "Submit it again and have another operator approve it in time."),
    Problem("answer-gone", 403, "原应答已不能再次提供", "The answer may not be given again",
            "其中的记录已到期或已变更；用新的编号重新查询。",
            "A record in it has changed or passed its term; query again under a new query_id."),
    Problem("query-id-reused", 409, "查询编号已被使用", "The query_id was used before",
            "为新的查询生成新的 query_id。",
            "Make a new query_id for a new query."),
)

_UNAUTHENTICATED: Final = (
    Problem("not-signed", 401, "请求未签名", "The request is not signed",
            "按 RFC 9421 签名，附上 Signature-Input 与 Signature。",
            "Sign it by RFC 9421 and send Signature-Input and Signature."),
    Problem("bad-signature", 401, "请求签名无效", "The request's signature is not valid",
            "核对签名覆盖的内容与参数（见 why）、密钥和网关的公开地址。",
            "Check what is covered and the parameters (see why), the key and the gateway's public address."),
    Problem("replayed-nonce", 401, "签名已被使用过", "The signature was used before",
            "用新的 nonce 和时间重新签名。",
            "Sign again with a new nonce and time."),
    Problem("stale-signature", 401, "签名时间不在允许范围内", "The signature's time is out of range",
            "校准时钟，created 与网关时间相差不得超过 60 秒。",
            "Set the clock: created must be within 60 seconds of the gateway's time."),
    Problem("too-many-bad-signatures", 429, "此地址的无效签名过多",
            "Too many bad signatures from this address",
            "检查签名实现，按 Retry-After 等待后再试。",
            "Check what signs your requests, and try again after Retry-After seconds."),
    Problem("unknown-key", 401, "密钥未登记", "The key is not registered",
            "使用已登记的密钥；机构由网关登记查询用户，个人由核验机构登记。",
            "Use a registered key: the gateway registers operators, a registrar certifies citizens."),
)

_REQUESTS: Final = (
    Problem("malformed-body", 400, "请求内容无法解析", "The body does not parse",
            "按接口文档修正；多余的成员、浮点数和空值都不接受。",
            "Correct it by the API document; unknown members, floats and nulls are refused."),
    Problem("body-too-large", 413, "请求内容过大", "The body is too large",
            "缩小请求内容。",
            "Send less."),
    Problem("unsupported-media-type", 415, "不支持的内容类型", "The media type is not supported",
            "使用 Content-Type: application/json。",
            "Send Content-Type: application/json."),
    Problem("target-refused", 400, "请求地址不被接受", "The request target is refused",
            "地址中不得有百分号、点段或空查询。",
            "Use a target without percent signs, dot segments or an empty query."),
    Problem("not-found", 404, "没有找到", "There is nothing here for you",
            "核对地址与编号；他人的资料同样显示为没有。",
            "Check the address and the identifier; what belongs to others is shown as absent too."),
    Problem("method-not-allowed", 405, "不允许的方法", "The method is not allowed",
            "使用 Allow 头列出的方法。",
            "Use a method that the Allow header lists."),
    Problem("consent-mismatch", 422, "授权与请求不一致", "The consent does not equal its request",
            "只可填入 subject 并去掉可选类别，其余不得改动；重新签名。",
            "Only subject may be filled in and optional categories left out; sign the document again."),
    Problem("bad-proof", 422, "授权签名无效", "The citizen's signature does not verify",
            "用登记的密钥对该文件重新签名。",
            "Sign exactly this document with the registered key."),
    Problem("challenge-gone", 410, "签名挑战已失效", "The challenge is of another document, expired or spent",
            "重新取得挑战，用通行密钥再签一次。",
            "Get a new challenge for this document and sign again with the passkey."),
    Problem("bad-certificate", 422, "核验证书无效", "The enrolment certificate does not verify",
            "向核验机构索取由两名经办人签署、在本网关有效的证书；增加密钥须写明等待期。",
            "Get one for this gateway, signed by two officers; a further key needs its wait (--wait-hours)."),
    Problem("already-answered", 409, "该请求已有结果", "The request was answered already",
            "查看其状态；需要时另行请求。",
            "Look at its state; make a new request if there is a need."),
    Problem("approval-mismatch", 422, "批准的不是待批准的请求",
            "What was approved is not the request that waits",
            "向提交人索取原请求，重新计算 request_sha256 后再签署。",
            "Get the request from whoever submitted it, work out its request_sha256 and sign that."),
    Problem("quota-exceeded", 429, "已超出查询限额", "The quota is used up",
            "按 Retry-After 等待后再试；限额由政策规定，此次请求未入账本，但会计数。",
            "Wait as Retry-After says; the policy sets the quota. This request has no entry, but is counted.",
            retry_after=60),
    Problem("request-id-reused", 409, "请求编号已被使用", "The request_id was used before",
            "为新的请求生成新的 request_id。",
            "Make a new request_id for a new request."),
    Problem("request-lapsed", 410, "授权请求已失效", "The consent request has lapsed",
            "由机构重新请求授权。",
            "The institution may make a new request."),
    Problem("second-key", 409, "此密钥已作废，或属于他人", "The key was revoked, or is another person's",
            "生成新的密钥，请核验机构证明。",
            "Make a new key and have the registrar certify it."),
    Problem("key-in-effect", 409, "该密钥已生效，不能再拒绝", "The key is in effect and cannot be refused",
            "改以丢失（lost）或泄露（compromised）为由作废。",
            "Revoke it as lost or compromised instead."),
    Problem("counter-refused", 422, "柜台指令无效", "The counter's order does not hold",
            "由为此人核验过密钥的机构的两名经办人，在一日内对同一指令签名。",
            "Two officers of the registrar that certified this person's key sign one order, within a day."),
)

_SERVER: Final = (
    Problem("not-yet-published", 503, "证明尚未发布", "The proof is not published yet",
            "下一个检查点发布后再取，通常一秒之内。",
            "Ask again after the next checkpoint, usually within a second.", retry_after=1),
    Problem("undelivered", 503, "已登记但未能送达", "The answer was recorded but could not be delivered",
            "账本已登记此次未送达；在期限内原样重发（重新签名），不另计次数。",
            "The ledger says so; send the same again, freshly signed, in time: it takes no further use."),
    Problem("not-ready", 503, "网关尚未就绪", "The gateway is not ready",
            "稍后再试；运营方见 /readyz。",
            "Try again later; operators see /readyz.", retry_after=5),
    Problem("evidence-damaged", 503, "所存证据与账本不符", "Stored evidence does not match the ledger",
            "未提供任何信息；请联系网关运营方核查。",
            "Nothing was released; contact the gateway's operator, who must investigate."),
    Problem("ledger-unavailable", 503, "账本不可写，未作任何应答",
            "The ledger cannot be written, so nothing was answered",
            "稍后用新的编号再试。",
            "Try again later under a new identifier.", retry_after=5),
    Problem("internal", 500, "网关内部错误", "The gateway failed",
            "未提供任何信息；请联系网关运营方。",
            "Nothing was released; contact the gateway's operator."),
)
# fmt: on

PROBLEMS: Final[Mapping[str, Problem]] = MappingProxyType(
    {row.name: row for row in (*_REFUSALS, *_UNAUTHENTICATED, *_REQUESTS, *_SERVER)}
)
REFUSALS: Final = frozenset(row.name for row in _REFUSALS)
