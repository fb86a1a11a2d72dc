"""Records of runs, answers and decisions, in SQLite or in PostgreSQL by URL."""

from shiftright.store.records import Records as Records
from shiftright.store.records import open_records as open_records
