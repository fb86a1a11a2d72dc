"""Prompts: templates with settings, rendered in a sandbox."""

from shiftright.prompts.prompt import Prompt as Prompt
from shiftright.prompts.prompt import load as load
from shiftright.prompts.prompt import parse as parse
