"""Cases: read, append, and see whether a prompt contains them."""

from shiftright.datasets._appending import append as append
from shiftright.datasets._appending import row_of as row_of
from shiftright.datasets._leaks import leaks as leaks
from shiftright.datasets._reading import read_bytes as read_bytes
from shiftright.datasets.dataset import Dataset as Dataset
from shiftright.datasets.dataset import load as load
