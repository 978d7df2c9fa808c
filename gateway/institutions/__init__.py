"""Institutions (查询机构) and their operators (查询用户): registration, keys, standing."""
