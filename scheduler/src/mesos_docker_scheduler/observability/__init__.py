"""What others may see: snapshots, metrics, history, events, the log."""
