"""Decision mathematics: numbers in, a decision with a stated error rate out. Needs numpy alone."""

from shiftright.stats.assignment import AssignmentTest
from shiftright.stats.boundary import BoundaryTest, Decision
from shiftright.stats.canary import CanaryDecision, CanaryTest
from shiftright.stats.canary_planning import CanaryPlan, plan_canary
from shiftright.stats.clusters import GroupedIncrements, clustered_standard_error, group_increments
from shiftright.stats.confidence import mean_interval
from shiftright.stats.costs import MeanCostTest, cost_increments
from shiftright.stats.drift import DriftDetector
from shiftright.stats.flakiness import (
    VarianceComponents,
    flaky_probability,
    optimal_repeats,
    variance_components,
)
from shiftright.stats.gates import (
    Gate,
    any_case_broke,
    any_drop,
    betting_gate,
    drop_beyond,
    false_red_rates,
    watched_t_test,
)
from shiftright.stats.limit import binary_kl, clean_cases_needed, expected_calls_limit, kl_inf
from shiftright.stats.multiple import e_bh, e_holm
from shiftright.stats.planning import CAP_FACTOR, Plan, fixed_size, plan
from shiftright.stats.quantiles import SLA_BAD, SLA_GOOD, quantile_interval, relative_limit, sla_increments
from shiftright.stats.suite import SuiteTest

__all__ = [
    "CAP_FACTOR",
    "SLA_BAD",
    "SLA_GOOD",
    "AssignmentTest",
    "BoundaryTest",
    "CanaryDecision",
    "CanaryPlan",
    "CanaryTest",
    "Decision",
    "DriftDetector",
    "Gate",
    "GroupedIncrements",
    "MeanCostTest",
    "Plan",
    "SuiteTest",
    "VarianceComponents",
    "any_case_broke",
    "any_drop",
    "betting_gate",
    "binary_kl",
    "clean_cases_needed",
    "clustered_standard_error",
    "cost_increments",
    "drop_beyond",
    "e_bh",
    "e_holm",
    "expected_calls_limit",
    "false_red_rates",
    "fixed_size",
    "flaky_probability",
    "group_increments",
    "kl_inf",
    "mean_interval",
    "optimal_repeats",
    "plan",
    "plan_canary",
    "quantile_interval",
    "relative_limit",
    "sla_increments",
    "variance_components",
    "watched_t_test",
]
