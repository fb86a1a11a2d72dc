"""Providers that do not speak the caller's protocol, through pydantic-ai."""
