"""The data plane: what stands in front of models and features on live traffic."""

from shiftright.gateway.access import Access as Access
from shiftright.gateway.application import Gateway as Gateway
from shiftright.gateway.configuration import configure as configure
from shiftright.gateway.rollouts import Rollouts as Rollouts
from shiftright.gateway.routing import Router as Router
