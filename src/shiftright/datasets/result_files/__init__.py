"""Result files of other tools, in one shape."""

from shiftright.datasets.result_files.exported_run import dump as dump
from shiftright.datasets.result_files.reading import read as read
from shiftright.datasets.result_files.rows import ResultFile as ResultFile
from shiftright.datasets.result_files.rows import ResultRow as ResultRow
from shiftright.datasets.result_files.table import from_records as from_records
