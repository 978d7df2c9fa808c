"""The statutory query (法定查询): submitted by one operator, approved by another, collected by the first."""
