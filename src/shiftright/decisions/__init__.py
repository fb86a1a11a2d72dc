"""Clause -> test -> row -> Verdict, and the ledger. The only such mapping: evals, ship and monitor all use it."""
