"""What is known of tasks, versions, updates and failures, and how it is kept."""
