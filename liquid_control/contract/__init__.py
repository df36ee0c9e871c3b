"""What a policy is: its contract, its bundle and the checks before anything of it runs."""
