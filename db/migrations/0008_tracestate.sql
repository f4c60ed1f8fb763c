-- Beside the traceparent of the event: what tracing systems on its way had to say, as W3C has it.
ALTER TABLE syncs ADD COLUMN tracestate text;
