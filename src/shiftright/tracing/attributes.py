"""The names of every span attribute, in this file and nowhere else.

Those that begin with ``gen_ai.`` are OpenTelemetry's GenAI semantic conventions (semantic-conventions-genai, schema
gen-ai/1.42.0). OpenTelemetry has no name for cost or for an answer from a cache, so those are ours.
"""

from __future__ import annotations

from typing import Final

OPERATION: Final = "gen_ai.operation.name"
PROVIDER: Final = "gen_ai.provider.name"
OUTPUT_TYPE: Final = "gen_ai.output.type"
CONVERSATION_ID: Final = "gen_ai.conversation.id"

REQUEST_MODEL: Final = "gen_ai.request.model"
REQUEST_TEMPERATURE: Final = "gen_ai.request.temperature"
REQUEST_MAX_TOKENS: Final = "gen_ai.request.max_tokens"
REQUEST_TOP_P: Final = "gen_ai.request.top_p"
REQUEST_TOP_K: Final = "gen_ai.request.top_k"
REQUEST_SEED: Final = "gen_ai.request.seed"
REQUEST_STOP: Final = "gen_ai.request.stop_sequences"

RESPONSE_ID: Final = "gen_ai.response.id"
RESPONSE_MODEL: Final = "gen_ai.response.model"
FINISH_REASONS: Final = "gen_ai.response.finish_reasons"

INPUT_TOKENS: Final = "gen_ai.usage.input_tokens"
OUTPUT_TOKENS: Final = "gen_ai.usage.output_tokens"
CACHE_READ_TOKENS: Final = "gen_ai.usage.cache_read.input_tokens"
CACHE_CREATION_TOKENS: Final = "gen_ai.usage.cache_creation.input_tokens"
REASONING_TOKENS: Final = "gen_ai.usage.reasoning.output_tokens"

SYSTEM_INSTRUCTIONS: Final = "gen_ai.system_instructions"
INPUT_MESSAGES: Final = "gen_ai.input.messages"
OUTPUT_MESSAGES: Final = "gen_ai.output.messages"
TOOL_DEFINITIONS: Final = "gen_ai.tool.definitions"

AGENT_NAME: Final = "gen_ai.agent.name"
TOOL_NAME: Final = "gen_ai.tool.name"
TOOL_CALL_ID: Final = "gen_ai.tool.call.id"
TOOL_CALL_ARGUMENTS: Final = "gen_ai.tool.call.arguments"
TOOL_CALL_RESULT: Final = "gen_ai.tool.call.result"

EVALUATION_NAME: Final = "gen_ai.evaluation.name"
EVALUATION_VALUE: Final = "gen_ai.evaluation.score.value"
EVALUATION_LABEL: Final = "gen_ai.evaluation.score.label"
EVALUATION_EXPLANATION: Final = "gen_ai.evaluation.explanation"

SERVER_ADDRESS: Final = "server.address"
SERVER_PORT: Final = "server.port"
URL_PATH: Final = "url.path"
HTTP_STATUS: Final = "http.response.status_code"
STREAM: Final = "gen_ai.request.stream"
FIRST_CHUNK_S: Final = "gen_ai.response.time_to_first_chunk"
ERROR_TYPE: Final = "error.type"

COST_USD: Final = "shiftright.cost_usd"
CACHED: Final = "shiftright.cached"
ATTEMPTS: Final = "shiftright.attempts"
KEY_NAME: Final = "shiftright.key"
DROPPED_SPANS: Final = "shiftright.dropped_spans"
DROPPED_ATTRIBUTES: Final = "shiftright.dropped_attributes"

FEATURE: Final = "shiftright.feature"
VARIANT: Final = "shiftright.variant"
RELEASE: Final = "shiftright.release"
ROLLOUT: Final = "shiftright.rollout"
ARM: Final = "shiftright.rollout.arm"
PROBABILITY: Final = "shiftright.rollout.probability"
UNIT: Final = "shiftright.rollout.unit"
# Who answered where the feature itself failed: a rung of its contract's ship.fallback.
RUNG: Final = "shiftright.rung"
# On a shadow copy, which is no traffic of a feature: whose it is a copy of.
SHADOW_OF: Final = "shiftright.shadow_of"
CHECK: Final = "shiftright.check"
CLAUSE: Final = "shiftright.clause"
TARGET: Final = "shiftright.target"
WINDOW: Final = "shiftright.window"
USER_ID: Final = "user.id"
SESSION_ID: Final = "session.id"
SERVICE_NAME: Final = "service.name"
SCOPE_NAME: Final = "otel.scope.name"
# A span that repeats the usage of another has none of its own; here is the id of the one that counts.
USAGE_ON: Final = "shiftright.usage_on"
EVENTS: Final = "otel.events"
LINKS: Final = "otel.links"
