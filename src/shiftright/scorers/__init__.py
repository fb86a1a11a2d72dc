"""Scorers: each gives a Score to an output. One file each; strangers' come in through the same entry points."""

from shiftright.scorers.build import NEEDS_EXPECTED as NEEDS_EXPECTED
from shiftright.scorers.build import build as build
from shiftright.scorers.build import digest as digest
