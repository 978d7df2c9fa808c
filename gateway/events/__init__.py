"""What institutions are told: numbered events, had by asking or sent to their webhooks."""
