"""Consents (授权) over their life: requested, granted, declined or lapsed, withdrawn; and who may see one."""
