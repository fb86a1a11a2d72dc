from shiftright.stats.boundary import BoundaryTest as BoundaryTest
from shiftright.stats.limit import expected_calls_limit as expected_calls_limit
from shiftright.stats.planning import Plan as Plan
from shiftright.stats.planning import plan as plan
