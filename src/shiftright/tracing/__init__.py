"""Spans of one feature call, OpenTelemetry's unchanged. Import them from their modules."""
