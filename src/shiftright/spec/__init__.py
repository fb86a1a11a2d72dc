"""Read, find and compare contracts."""

from shiftright.spec.changes import Change as Change
from shiftright.spec.changes import diff as diff
from shiftright.spec.checks import phrase as phrase
from shiftright.spec.company import company as company
from shiftright.spec.contract_page import reference as reference
from shiftright.spec.discovery import discover as discover
from shiftright.spec.discovery import find as find
from shiftright.spec.discovery import named as named
from shiftright.spec.discovery import names as names
from shiftright.spec.discovery import unknown as unknown
from shiftright.spec.loading import files as files
from shiftright.spec.loading import load as load
from shiftright.spec.schema import json_schema as json_schema
