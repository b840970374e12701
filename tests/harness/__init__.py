"""Helpers that tests and benches share: a served intake, a broker, a site to fetch from, hostile patterns.

Place: tests/* and bench/* → HERE.
Rule: nothing here imports a test or a bench (tests/test_layout.py), and benches import no other part of tests.
Not here: fakes of single parts, which are next to the tests that use them.
"""
