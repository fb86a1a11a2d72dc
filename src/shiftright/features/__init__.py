"""Features: what is under contract, and the one way to call it."""

from shiftright.features.call import call as call
from shiftright.features.context import Context as Context
from shiftright.features.current import variant as variant
from shiftright.features.frozen import load_release as load_release
from shiftright.features.identity import digest as digest
from shiftright.features.loading import LoadedFeature as LoadedFeature
from shiftright.features.loading import load as load
from shiftright.features.signature import feature as feature
