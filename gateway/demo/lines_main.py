"""The main story in lines, its beginning and its end: read in one minute, so each line earns its words."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from gateway.demo.line import Line

MAIN: Final[Mapping[str, Line]] = MappingProxyType(
    {
        "welcome.title": Line(
            "Chengxin Gateway: no credit query without the citizen's consent",
            "诚信网关：没有本人同意，就没有信用查询",
        ),
        "welcome.ledger": Line(
            "Every step is a ledger entry that nobody can quietly change.",
            "每一步都记入账本，谁也不能悄悄改动。",
        ),
        "welcome.what": Line(
            "Nothing about a person leaves unless that person signed for it or a statute orders it, and "
            "every answer and every refusal is written to a ledger that nobody can quietly change.",
            "没有本人的签名同意或法律规定，任何个人信息都不会离开网关；"
            "每一次答复和拒绝都记入账本，谁也不能悄悄改动。",
        ),
        "welcome.data": Line(
            "Real data: Statlog (German Credit Data), H. Hofmann, UCI Machine Learning Repository, CC BY "
            "4.0. The people are invented.",
            "真实数据：Statlog 德国信贷数据（H. Hofmann，UCI 机器学习库，CC BY 4.0）。人物均为虚构。",
        ),
        "home.found": Line(
            "An earlier demo is running (process {pid}). Stopping that one only.",
            "发现先前的演示仍在运行（进程 {pid}），只停止这一个。",
        ),
        "home.made": Line(
            "Starting afresh in {home}.",
            "在 {home} 中重新开始。",
        ),
        "home.postgres": Line(
            "PostgreSQL {major}, started for this demo, holds the state; {workers} worker processes share "
            "one ledger.",
            "数据存放在为本演示启动的 PostgreSQL {major} 中；{workers} 个工作进程共写一本账。",
        ),
        "main.import.title": Line(
            "A source sends credit records",
            "信源单位报送信用记录",
        ),
        "main.import.done": Line(
            "{records} records about {people} people, encrypted field by field; {columns} forbidden columns "
            "refused.",
            "{people} 人的 {records} 条记录，逐字段加密入库；拒绝了不得采集的 {columns} 列。",
        ),
        "main.enrol.title": Line(
            "Citizens get keys",
            "公民取得密钥",
        ),
        "main.enrol.done": Line(
            "{citizen} and {others} others make them; {registrar} certifies. The gateway has none.",
            "{citizen}和另外 {others} 人自己生成，由{registrar}证明；网关一把也没有。",
        ),
        "main.consent.title": Line(
            "The bank asks, the citizen signs",
            "银行请求，公民签名",
        ),
        "main.consent.done": Line(
            "{bank} wants {categories}. {citizen} signs for all but {left}: ledger entry {index}.",
            "{bank}想查询{categories}。{citizen}签名同意，唯独划去{left}：账本第 {index} 条。",
        ),
        "main.query.title": Line(
            "The bank is answered",
            "银行得到答复",
        ),
        "main.query.done": Line(
            "{records} records, in {categories} and nothing else. The ledger had it first: entry {index}.",
            "{records} 条记录，仅限{categories}。先入账，后答复：第 {index} 条。",
        ),
        "main.withdraw.title": Line(
            "The citizen withdraws",
            "公民撤回同意",
        ),
        "main.withdraw.done": Line(
            "One signature, entry {index}. The bank's next query is refused: {reason} (entry {refused}).",
            "一次签名即可：第 {index} 条。银行再查即被拒绝：{reason}（第 {refused} 条）。",
        ),
        "main.verify.title": Line(
            "Anybody checks the ledger, offline",
            "任何人都能离线核验账本",
        ),
        "main.verify.done": Line(
            "All {size} entries verify, without the gateway or its secrets:",
            "{size} 条全部完好。核验不需要网关及其秘密：",
        ),
        "main.insider.title": Line(
            "An insider is caught",
            "内部人员作弊被发现",
        ),
        "main.insider.done": Line(
            "With every key of the gateway, they sign one more answer into a copy. The verifier: WRONG at "
            "entry {index}, {finding}.",
            "此人掌握网关全部密钥，在副本中再签入一次答复。核验程序判定第 {index} 条有误：{finding}。",
        ),
        "server.running": Line(
            "The server is running on {addresses}:",
            "服务器正在运行，监听 {addresses}：",
        ),
        "server.stop": Line(
            "To stop it:",
            "停止服务器：",
        ),
        "server.here": Line(
            "The database ends with this command: Ctrl-C stops both.",
            "数据库随本命令结束：按 Ctrl-C 一并停止。",
        ),
        "server.once": Line(
            "The server is stopped. To start it again:",
            "服务器已停止。再次启动：",
        ),
        "server.gone": Line(
            "The server is stopped and its database is gone. Keys and exports stay in {home}.",
            "服务器已停止，其数据库已不存在。密钥与导出的账本保留在 {home}。",
        ),
        "closing.try": Line(
            "Try next:",
            "接着试试：",
        ),
        "closing.more": Line(
            "More: make demo CHAPTER=all (or {chapters})",
            "更多：make demo CHAPTER=all（或 {chapters}）",
        ),
        "done": Line(
            "The story is over: {seconds} s.",
            "演示结束，用时 {seconds} 秒。",
        ),
        "failed": Line(
            "the demo stopped at “{step}”: {what}",
            "演示在“{step}”处中止：{what}",
        ),
    }
)
