"""`chengxin sandbox`: a gateway with invented people, against which a bank tries its own client."""
