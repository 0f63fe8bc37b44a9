"""From what is known and what is offered to what to do: functions without side effects."""
