"""Read, find and compare contracts."""

from shiftright.spec.checks import phrase as phrase
from shiftright.spec.loading import load as load
