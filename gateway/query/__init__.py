"""The authorised query (授权查询). `answer.py` is the hot path on one screen, its steps numbered."""
