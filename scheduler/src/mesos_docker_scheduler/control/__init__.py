"""The loop: takes what Mesos and operators say, writes it down, plans, and acts."""
