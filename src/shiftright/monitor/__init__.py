"""MONITOR: the contract on live traffic. Finished traces are scored after the answer has gone, never in its way."""
