"""The ways a run can be watched from outside: over HTTP, by a file, by a Pushgateway."""
