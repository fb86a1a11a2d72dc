"""Two result files against each other, and unchanged runs against themselves. Importing this costs numpy."""

from shiftright.evals.compare.aa import aa as aa
from shiftright.evals.compare.aa_report import AaReport as AaReport
from shiftright.evals.compare.comparison import Comparison as Comparison
from shiftright.evals.compare.deciding import compare as compare
from shiftright.evals.compare.stored import aa_feature as aa_feature
